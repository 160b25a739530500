//! Sessions: `USER#<user id>` / `SESSION#<session id>`, and `SESSIONS` / `ENDED`: when all of them were ended.

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shared::db::{DbError, Item, Key, from_item, retry_conflicts, to_item};
use uuid::Uuid;

use super::AuthStore;
use crate::model::session::{RefreshToken, Session};

/// The row: the session, and when DynamoDB may delete it.
#[derive(Serialize)]
struct Row<'a> {
    #[serde(flatten)]
    session: &'a Session,
    /// TTL, seconds since the epoch.
    expires_at: i64,
}

/// Every session that began until then has ended.
#[derive(Serialize, Deserialize)]
struct Ended {
    at: Timestamp,
}

impl AuthStore {
    /// A session, over or not; none that was ended.
    pub async fn session(&self, user_id: Uuid, session_id: Uuid) -> Result<Option<Session>, DbError> {
        let key = key(user_id, session_id);
        let (session, ended_at) = tokio::try_join!(self.table.get::<Session>(&key), self.all_ended_at())?;
        Ok(session.filter(|session| session.began_after(ended_at)))
    }

    /// When all sessions were ended, if ever.
    pub async fn all_ended_at(&self) -> Result<Option<Timestamp>, DbError> {
        let ended = self.table.get::<Ended>(&all_ended_key()).await?;
        Ok(ended.map(|ended| ended.at))
    }

    /// Ends every session that began until `at`, whosever it is, and revokes their access tokens: two writes for one
    /// transaction. The sessions' items stay until they would have ended, and open nothing.
    pub fn end_all_writes(&self, at: Timestamp) -> Result<[TransactWriteItem; 2], DbError> {
        let ended = self.table.put_write(&all_ended_key(), &Ended { at }, "")?;
        Ok([ended, self.revocations.write_all(at)?])
    }

    /// All sessions of a user that DynamoDB still has, over or not, read consistently; the most recently used first.
    pub async fn sessions(&self, user_id: Uuid) -> Result<Vec<Session>, DbError> {
        let mut sessions: Vec<Session> = Vec::new();
        let mut start: Option<Item> = None;
        loop {
            let query = self.table.client().query().table_name(self.table.name());
            let output = query
                .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
                .expression_attribute_values(":pk", AttributeValue::S(partition(user_id)))
                .expression_attribute_values(":prefix", AttributeValue::S(PREFIX.to_owned()))
                .consistent_read(true)
                .set_exclusive_start_key(start)
                .send()
                .await?;
            for item in output.items.unwrap_or_default() {
                sessions.push(from_item(item)?);
            }
            start = output.last_evaluated_key.filter(|key| !key.is_empty());
            if start.is_none() {
                sessions.sort_by_key(|session| std::cmp::Reverse(session.rotated_at));
                return Ok(sessions);
            }
        }
    }

    /// Writes a new session, in the transaction of a login.
    pub fn start_write(&self, session: &Session) -> Result<TransactWriteItem, DbError> {
        let row = Row { session, expires_at: session.ends_at().as_second() };
        self.table.put_write(&key(session.user_id, session.session_id), &row, "attribute_not_exists(pk)")
    }

    /// Replaces a session by what the rotation of `current` made of it. False where `current` is not its token any more,
    /// or it has ended. This one write is the whole rotation: before it the old token works, and after it the new one.
    pub async fn rotate(&self, rotated: &Session, current: &RefreshToken) -> Result<bool, DbError> {
        let key = key(rotated.user_id, rotated.session_id);
        let row = Row { session: rotated, expires_at: rotated.ends_at().as_second() };
        let item = to_item(&key, &row)?;
        let outcome = retry_conflicts(|| async {
            let put = self.table.client().put_item().table_name(self.table.name());
            put.set_item(Some(item.clone()))
                .condition_expression("current_hash = :presented")
                .expression_attribute_values(":presented", AttributeValue::S(current.hash().into()))
                .send()
                .await?;
            Ok(())
        });
        match outcome.await {
            Ok(()) => Ok(true),
            Err(DbError::ConditionFailed) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Ends a session and revokes its access tokens: two writes for one transaction. With `must_exist`, the first one
    /// fails where the session has ended already.
    pub fn end_writes(
        &self,
        (user_id, session_id): (Uuid, Uuid),
        now: Timestamp,
        must_exist: bool,
    ) -> Result<[TransactWriteItem; 2], DbError> {
        let condition = must_exist.then(|| "attribute_exists(pk)".to_owned());
        let delete = self
            .table
            .delete_write(&key(user_id, session_id), |delete| delete.set_condition_expression(condition))?;
        Ok([delete, self.revocations.write(session_id, now)?])
    }
}

const PREFIX: &str = "SESSION#";

fn partition(user_id: Uuid) -> String {
    format!("USER#{user_id}")
}

fn all_ended_key() -> Key {
    Key::new("SESSIONS".to_owned(), "ENDED".to_owned())
}

fn key(user_id: Uuid, session_id: Uuid) -> Key {
    Key::new(partition(user_id), format!("{PREFIX}{session_id}"))
}
