//! An entry, and what is acceptable in it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shared::text::Text;
use uuid::Uuid;

/// What an entry says.
pub type EntryText = Text<500>;

/// An entry of one user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Entry {
    /// Its id, by the client's choice.
    pub id: Uuid,
    /// What it says.
    pub text: EntryText,
    /// Counts the writes of it, from 1.
    pub version: u64,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last written.
    pub updated_at: Timestamp,
}

impl Entry {
    /// The entry after a write of this text: the first one, or the one after `before`.
    pub fn written(id: Uuid, text: EntryText, before: Option<&Self>, now: Timestamp) -> Self {
        Self {
            id,
            text,
            version: before.map_or(0, |before| before.version) + 1,
            created_at: before.map_or(now, |before| before.created_at),
            updated_at: now,
        }
    }
}
