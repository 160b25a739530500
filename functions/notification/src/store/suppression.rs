//! Addresses that no mail goes to any more. Only their hashes are kept: whose they are is the profile's to know.

use std::fmt::Write as _;

use aws_lc_rs::digest;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shared::db::{DbError, Key};

use super::NotificationStore;

#[derive(Serialize, Deserialize)]
struct Suppressed {
    reason: String,
    at: Timestamp,
}

impl NotificationStore {
    /// Whether no mail goes to this address.
    pub async fn is_suppressed(&self, address: &str) -> Result<bool, DbError> {
        Ok(self.table.get::<Suppressed>(&address_key(address)).await?.is_some())
    }

    /// Has no mail go to this address from now on.
    pub async fn suppress(&self, address: &str, reason: &str, at: Timestamp) -> Result<(), DbError> {
        self.table.put(&address_key(address), &Suppressed { reason: reason.to_owned(), at }).await
    }
}

fn address_key(address: &str) -> Key {
    let hash = digest::digest(&digest::SHA256, address.to_lowercase().as_bytes());
    let mut pk = "ADDRESS#".to_owned();
    for byte in hash.as_ref() {
        // Writing to a string cannot fail.
        let _ = write!(pk, "{byte:02x}");
    }
    Key::new(pk, "SUPPRESSED")
}
