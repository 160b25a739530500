//! Events for the mailer.

use aws_sdk_dynamodb::types::TransactWriteItem;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use shared::db::{DbError, Key};
use uuid::Uuid;

use super::AuthStore;
use crate::outbox::{Event, Recorded};

/// How long an event is kept: the stream forgets it after a day, the rest is for whoever looks into a dead letter.
const KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);

#[derive(Serialize)]
struct Item {
    #[serde(flatten)]
    recorded: Recorded,
    /// TTL, seconds since the epoch.
    expires_at: i64,
}

impl AuthStore {
    /// Records an event, in the transaction of what it tells of. `id` is a UUIDv7 of `now`.
    pub fn event_write(&self, event: &Event, id: Uuid, now: Timestamp) -> Result<TransactWriteItem, DbError> {
        let recorded = Recorded { id, at: now, event: event.clone() };
        let expires_at = (now + KEPT).as_second();
        self.outbox.put_write(&key(id), &Item { recorded, expires_at }, "")
    }
}

fn key(id: Uuid) -> Key {
    Key::new(format!("EVENT#{id}"), "EVENT")
}
