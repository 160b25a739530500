//! What happened in Auth that somebody is told of by mail: events without secrets, in a table of their own, whose stream
//! wakes `auth-mailer`.
//!
//! An event is written in the transaction of what it tells of, so that there is never one without the other
//! ([`AuthStore::event_write`](crate::store::AuthStore::event_write)).

use aws_lambda_events::event::dynamodb::EventRecord;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use user::model::{Email, Username};
use uuid::Uuid;

/// What happened. It says whom to write to and never holds a token, a code or a password, because a stream shows it whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// Somebody registered, or asked for the mail again: the user's address is to be verified.
    EmailVerificationRequested {
        /// Whose.
        user_id: Uuid,
    },
    /// Somebody says to have forgotten a password; whether there is such a user, nobody has looked yet.
    PasswordForgotten {
        /// Whose.
        whose: Whose,
    },
    /// A user has another password.
    PasswordChanged {
        /// Whose.
        user_id: Uuid,
    },
    /// Something about a user's second factor is different.
    FactorChanged {
        /// Whose.
        user_id: Uuid,
        /// What is.
        change: FactorChange,
    },
    /// A user verified another address than before.
    EmailChanged {
        /// Whose.
        user_id: Uuid,
        /// The address of before, which is the one to be told.
        former: Email,
    },
    /// Nothing that anybody is told of. Written where no event at all would tell something, by the time that it saves.
    Nothing,
}

/// What somebody typed to say who they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Whose {
    /// The user name.
    Username(Username),
    /// The e-mail address.
    Email(Email),
}

/// What happened to a second factor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FactorChange {
    /// From now on logging in takes a code too.
    Enabled,
    /// No longer.
    Disabled,
    /// There are new recovery codes; the old ones are void.
    RecoveryCodesReplaced,
    /// A recovery code stood in for the second factor.
    RecoveryCodeUsed,
}

/// An event as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// UUIDv7.
    pub id: Uuid,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
}

/// A record of the stream that cannot be read; it must not be passed over.
#[derive(Debug, thiserror::Error)]
#[error("the record's image is not an event")]
pub struct Unreadable(#[source] serde_dynamo::Error);

/// The event that a record of the outbox's stream brings; none where an event was merely marked, or deleted.
pub fn from_record(record: &EventRecord) -> Result<Option<Recorded>, Unreadable> {
    if record.event_name != "INSERT" {
        return Ok(None);
    }
    serde_dynamo::from_item(record.change.new_image.clone()).map(Some).map_err(Unreadable)
}
