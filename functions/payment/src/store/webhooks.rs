//! The events of webhooks that were seen. They make nothing happen twice even where they are seen again; to remember them
//! spares the work, and keeps a copied event from being of any use.

use jiff::{SignedDuration, Timestamp};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use shared::db::{DbError, Key};

use super::PaymentStore;

/// Longer than a provider tries to tell an event (Stripe: three days), and than a signature is believed.
const RETENTION: SignedDuration = SignedDuration::from_hours(7 * 24);

#[derive(Serialize, Deserialize)]
struct Seen {
    /// The TTL, in seconds since the epoch.
    expires_at: i64,
}

impl PaymentStore {
    /// Whether the event was dealt with.
    pub async fn has_seen(&self, event_id: &str) -> Result<bool, DbError> {
        Ok(self.table().get::<IgnoredAny>(&key(event_id)).await?.is_some())
    }

    /// Remembers that the event was dealt with.
    pub async fn remember_event(&self, event_id: &str, now: Timestamp) -> Result<(), DbError> {
        let expires_at = now.as_second().saturating_add(RETENTION.as_secs());
        self.table().put(&key(event_id), &Seen { expires_at }).await
    }
}

fn key(event_id: &str) -> Key {
    Key::new(format!("WEBHOOK#{event_id}"), "WEBHOOK")
}
