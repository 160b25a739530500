//! The events of Auth: what happened, without secrets, in a table of their own, whose stream wakes `auth-mailer`.
//!
//! An event is written in the transaction of what it tells of, so that there is never one without the other
//! ([`AuthStore::event_write`](crate::store::AuthStore::event_write)). It is never changed: [`Recorded`] is the form in which
//! everybody reads it, its `id` stays the same however often the stream brings it, and its `version` says how it is written.
//! A further kind of event, or a further member that may be absent, does not change the version; readers pass over
//! members that they do not know. Whatever else changes counts [`VERSION`] up, and readers refuse versions that are newer
//! than they are.

use aws_lambda_events::event::dynamodb::EventRecord;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use user::model::{Email, Username};
use uuid::Uuid;

/// How events are written today.
pub const VERSION: u32 = 1;

/// What happened. It says whom to write to and never holds a token, a code or a password, because a stream shows it whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Event {
    /// Somebody registered. Nobody is told; the mail that verifies the address has an event of its own.
    UserRegistered {
        /// Who that is now.
        user_id: Uuid,
    },
    /// A user logged in from a device that the account was never used from.
    NewSignIn {
        /// Whose account.
        user_id: Uuid,
        /// What the device called itself, shortened: text that a stranger may have written.
        device: String,
    },
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

/// An event as it is stored, and as the stream brings it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recorded {
    /// UUIDv7. What comes again has it again.
    pub id: Uuid,
    /// How it is written; events from before there were versions have the first.
    #[serde(default = "first_version")]
    pub version: u32,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
}

/// A record of the stream that cannot be read; it must not be passed over.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It is something else.
    #[error("the record's image is not an event")]
    NoEvent(#[from] serde_dynamo::Error),
    /// A newer Auth wrote it.
    #[error("events of version {0} are not known here")]
    Version(u32),
}

fn first_version() -> u32 {
    1
}

/// The one member whose meaning no version changes.
#[derive(Deserialize)]
struct Versioned {
    #[serde(default = "first_version")]
    version: u32,
}

/// The event that a record of the outbox's stream brings; none where an event was merely marked, or deleted.
pub fn from_record(record: &EventRecord) -> Result<Option<Recorded>, Unreadable> {
    if record.event_name != "INSERT" {
        return Ok(None);
    }
    let image = &record.change.new_image;
    // First: what a newer version says may not be readable as an event of this one, or worse, may be.
    let Versioned { version } = serde_dynamo::from_item(image.clone())?;
    if version > VERSION {
        return Err(Unreadable::Version(version));
    }
    Ok(Some(serde_dynamo::from_item(image.clone())?))
}
