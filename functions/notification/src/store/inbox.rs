//! What a user sees: the list, and what of it is unread.

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shared::db::{DbError, Key, from_item};
use shared::page::{Page, PageQuery};
use uuid::Uuid;

use super::{NOTIFICATION, NotificationStore, Stored, key, partition, text};

/// How many notifications one transaction marks: two writes each.
const BATCH: i32 = 40;

/// A page of the list.
#[derive(Debug)]
pub struct Listed {
    /// The notifications, of the newest event first.
    pub page: Page<Stored>,
    /// How many of all are unread.
    pub unread: u64,
}

#[derive(Serialize, Deserialize)]
struct UnreadItem {
    unread: i64,
}

/// Of an unread notification.
#[derive(Serialize, Deserialize)]
struct Pointer {
    id: Uuid,
}

impl NotificationStore {
    /// The user's notifications, of the newest event first, and how many are unread.
    pub async fn list(&self, user_id: Uuid, page: &PageQuery) -> Result<Listed, DbError> {
        let partition = partition(user_id);
        let (page, unread) =
            tokio::try_join!(self.table.page(&partition, NOTIFICATION, page), self.unread(user_id))?;
        Ok(Listed { page, unread })
    }

    /// How many of the user's notifications are unread.
    pub async fn unread(&self, user_id: Uuid) -> Result<u64, DbError> {
        let item: Option<UnreadItem> = self.table.get(&unread_key(user_id)).await?;
        Ok(item.map_or(0, |item| u64::try_from(item.unread).unwrap_or_default()))
    }

    /// Marks a notification as read; false where there is none. One that was read before stays as it is.
    pub async fn mark_read(&self, user_id: Uuid, id: Uuid, now: Timestamp) -> Result<bool, DbError> {
        if self.mark(user_id, &[id], now).await? {
            return Ok(true);
        }
        Ok(self.notification(user_id, id).await?.is_some())
    }

    /// Marks all of the user's notifications up to this one as read, or all that there are. Costs by how many are unread, and
    /// not by how many there are.
    pub async fn mark_all_read(
        &self,
        user_id: Uuid,
        until: Option<Uuid>,
        now: Timestamp,
    ) -> Result<(), DbError> {
        let last = until.unwrap_or(Uuid::max());
        loop {
            let ids = self.unread_ids(user_id, last).await?;
            if ids.is_empty() {
                return Ok(());
            }
            // Where somebody else marks one of them meanwhile, nothing is marked: look again.
            self.mark(user_id, &ids, now).await?;
        }
    }

    async fn unread_ids(&self, user_id: Uuid, last: Uuid) -> Result<Vec<Uuid>, DbError> {
        let query = self
            .table
            .client()
            .query()
            .table_name(self.table.name())
            .key_condition_expression("pk = :pk AND sk BETWEEN :first AND :last")
            .expression_attribute_values(":pk", text(partition(user_id)))
            .expression_attribute_values(":first", text(pointer_key(user_id, Uuid::nil()).sk))
            .expression_attribute_values(":last", text(pointer_key(user_id, last).sk))
            .consistent_read(true)
            .limit(BATCH);
        let pointers = query.send().await?.items.unwrap_or_default().into_iter();
        pointers.map(|item| from_item::<Pointer>(item).map(|pointer| pointer.id)).collect()
    }

    /// Marks these, and counts them off; false, and nothing is changed, where one is not there, or read already.
    async fn mark(&self, user_id: Uuid, ids: &[Uuid], now: Timestamp) -> Result<bool, DbError> {
        let mut writes = vec![self.count_write(user_id, -i64::try_from(ids.len()).unwrap_or_default())?];
        for id in ids {
            writes.push(self.table.delete_write(&pointer_key(user_id, *id), |delete| {
                delete.condition_expression("attribute_exists(pk)")
            })?);
            writes.push(self.table.update_write(&key(user_id, *id), |update| {
                update
                    .update_expression("SET read_at = :now")
                    .expression_attribute_values(":now", text(now.to_string()))
            })?);
        }
        self.write_all(writes).await
    }

    /// What is written beside a new notification.
    pub(super) fn unread_writes(&self, user_id: Uuid, id: Uuid) -> Result<[TransactWriteItem; 2], DbError> {
        let pointer = self.table.put_write(&pointer_key(user_id, id), &Pointer { id }, "")?;
        Ok([pointer, self.count_write(user_id, 1)?])
    }

    fn count_write(&self, user_id: Uuid, by: i64) -> Result<TransactWriteItem, DbError> {
        self.table.update_write(&unread_key(user_id), |update| {
            update
                .update_expression("ADD unread :by")
                .expression_attribute_values(":by", AttributeValue::N(by.to_string()))
        })
    }
}

fn pointer_key(user_id: Uuid, id: Uuid) -> Key {
    Key::new(partition(user_id), format!("UNREAD#{id}"))
}

fn unread_key(user_id: Uuid) -> Key {
    Key::new(partition(user_id), "UNREAD")
}
