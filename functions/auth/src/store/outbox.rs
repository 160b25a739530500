//! Events for the mailer.

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use shared::db::{DbError, Key, retry_conflicts};
use shared::trace::Trace;
use uuid::Uuid;

use super::AuthStore;
use crate::outbox::{Event, Recorded, VERSION};

/// How long an event is kept: the stream forgets it after a day, and what was typed as a user name is in some.
const KEPT: SignedDuration = SignedDuration::from_hours(2 * 24);

#[derive(Serialize)]
struct Item {
    #[serde(flatten)]
    recorded: Recorded,
    /// The trace of the request that it happened in; for the stream's readers, see [`shared::stream`].
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<Trace>,
    /// TTL, seconds since the epoch.
    expires_at: i64,
}

#[derive(Deserialize)]
struct Progress {
    #[serde(default)]
    done_at: Option<Timestamp>,
}

impl AuthStore {
    /// Records an event, in the transaction of what it tells of. `id` is a UUIDv7 of `now`.
    pub fn event_write(&self, event: &Event, id: Uuid, now: Timestamp) -> Result<TransactWriteItem, DbError> {
        self.outbox.put_write(&key(id), &item(event, id, now), "")
    }

    /// Records an event that tells of nothing else that is written. `id` is a UUIDv7 of `now`.
    pub async fn put_event(&self, event: &Event, id: Uuid, now: Timestamp) -> Result<(), DbError> {
        self.outbox.put(&key(id), &item(event, id, now)).await
    }

    /// Whether the mailer is done with an event.
    pub async fn event_is_done(&self, id: Uuid) -> Result<bool, DbError> {
        let progress: Option<Progress> = self.outbox.get(&key(id)).await?;
        Ok(progress.is_some_and(|progress| progress.done_at.is_some()))
    }

    /// Notes that the mailer is done with an event.
    pub async fn event_done(&self, id: Uuid, now: Timestamp) -> Result<(), DbError> {
        let outcome = retry_conflicts(|| async {
            let update = self.outbox.client().update_item().table_name(self.outbox.name());
            update
                .set_key(Some(key(id).attributes()))
                .update_expression("SET done_at = :now")
                .condition_expression("attribute_exists(pk)")
                .expression_attribute_values(":now", AttributeValue::S(now.to_string()))
                .send()
                .await?;
            Ok(())
        });
        match outcome.await {
            // Deleted since: nobody will ask.
            Err(DbError::ConditionFailed) => Ok(()),
            outcome => outcome,
        }
    }
}

fn item(event: &Event, id: Uuid, now: Timestamp) -> Item {
    let recorded = Recorded { id, version: VERSION, at: now, event: event.clone() };
    Item { recorded, trace: Trace::current(), expires_at: (now + KEPT).as_second() }
}

fn key(id: Uuid) -> Key {
    Key::new(format!("EVENT#{id}"), "EVENT")
}
