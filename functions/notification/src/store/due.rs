//! The index `due`: what waits for the end of somebody's quiet hours, the longest due first.

use jiff::Timestamp;
use serde::Deserialize;
use shared::db::{DbError, Item, from_item};
use uuid::Uuid;

use super::{NotificationStore, Stored, sortable, text};

pub(super) const DEFERRED: &str = "DEFERRED";

/// Some of what is due; as of a moment ago, for an index lags.
#[derive(Debug)]
pub struct DuePage {
    /// User and notification, the longest due first.
    pub items: Vec<(Uuid, Uuid)>,
    /// What comes after them; none where nothing does.
    pub next: Option<Item>,
}

#[derive(Deserialize)]
struct Pointer {
    user_id: Uuid,
    id: Uuid,
}

impl NotificationStore {
    /// Up to `limit` notifications that were to be told by `now`, after those before `start`.
    pub async fn due(&self, now: Timestamp, limit: i32, start: Option<Item>) -> Result<DuePage, DbError> {
        let output = self
            .table
            .client()
            .query()
            .table_name(self.table.name())
            .index_name("due")
            .key_condition_expression("due_pk = :deferred AND due_at <= :now")
            .expression_attribute_values(":deferred", text(DEFERRED))
            .expression_attribute_values(":now", text(sortable(now)))
            .set_exclusive_start_key(start)
            .limit(limit)
            .send()
            .await?;
        let items = output.items.unwrap_or_default().into_iter().map(from_item::<Pointer>);
        let items = items.map(|item| item.map(|item| (item.user_id, item.id))).collect::<Result<_, _>>()?;
        Ok(DuePage { items, next: output.last_evaluated_key })
    }

    /// Has what is held told at `until`, unless somebody else decided meanwhile.
    pub async fn postpone(&self, stored: &Stored, until: Timestamp) -> Result<bool, DbError> {
        let seen = stored.held.as_ref().map(|held| held.due_at.clone()).unwrap_or_default();
        self.write(self.table.update_write(&stored.key(), |update| {
            update
                .update_expression("SET due_at = :until")
                .condition_expression("due_at = :seen")
                .expression_attribute_values(":until", text(sortable(until)))
                .expression_attribute_values(":seen", text(seen))
        })?)
        .await
    }

    /// Forgets what was held: every message of it is done with.
    pub async fn release(&self, stored: &Stored) -> Result<bool, DbError> {
        let seen = stored.held.as_ref().map(|held| held.due_at.clone()).unwrap_or_default();
        self.write(self.table.update_write(&stored.key(), |update| {
            update
                .update_expression("REMOVE due_pk, due_at, held")
                .condition_expression("due_at = :seen")
                .expression_attribute_values(":seen", text(seen))
        })?)
        .await
    }
}
