//! Notification's table.
//!
//! | item | pk | sk | index |
//! |---|---|---|---|
//! | notification | `USER#<user id>` | `NOTIFICATION#<notification id>` | `due`: `due_pk` = `DEFERRED`, `due_at`, while a message waits for the end of quiet hours |
//! | pointer to an unread one | `USER#<user id>` | `UNREAD#<notification id>` | |
//! | how many are unread | `USER#<user id>` | `UNREAD` | |
//! | preferences | `USER#<user id>` | `PREFERENCES` | |
//! | suppressed address | `ADDRESS#<SHA-256 of the address in lower case>` | `SUPPRESSED` | |
//!
//! A notification's id is made of the event alone: there is one item for each, written before anything is sent, and in it one
//! delivery per channel. A delivery is claimed before it is sent; see [`worker`](crate::worker). The pointers and
//! the number of unread ones change in the transactions that write or mark them.

mod deliveries;
mod due;
mod inbox;
mod suppression;

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use jiff::Timestamp;
use order::events::OrderEvent;
use serde::{Deserialize, Serialize};
use shared::db::{DbError, Key, Table, Transaction, TransactionError};
use uuid::Uuid;

pub use deliveries::{Feedback, Outcome};
pub use due::DuePage;
pub use inbox::Listed;

use crate::model::{Channel, Notification, Preferences, Status, Topic};

/// The only way to Notification's table.
#[derive(Debug, Clone)]
pub struct NotificationStore {
    table: Table,
}

/// A notification with its deliveries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// Who is told.
    pub user_id: Uuid,
    /// Of what.
    #[serde(flatten)]
    pub notification: Notification,
    /// The event's id.
    pub event_id: String,
    /// By e-mail, where that was wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Delivery>,
    /// By SMS, where that was wanted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sms: Option<Delivery>,
    /// What waits for the end of quiet hours.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub held: Option<Held>,
}

/// An event that is to be told later, with its place in the index `due`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    due_pk: String,
    due_at: String,
    /// JSON text, as the order was when it happened.
    #[serde(rename = "held")]
    event: String,
}

/// A message on one channel.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// What became of it.
    pub status: Status,
    /// How often it was tried.
    pub attempts: u32,
    /// When the last attempt began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed_at: Option<Timestamp>,
    /// What the provider calls it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// Why it ended as it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Delivery {
    /// One that nobody has tried yet.
    pub fn new(status: Status) -> Self {
        Self { status, attempts: 0, claimed_at: None, message_id: None, reason: None }
    }

    /// One that its maker is sending.
    pub fn sending(now: Timestamp) -> Self {
        Self { attempts: 1, claimed_at: Some(now), ..Self::new(Status::Sending) }
    }
}

impl Held {
    /// The event, to be told at `until`.
    pub fn new(event: &OrderEvent, until: Timestamp) -> Result<Self, serde_json::Error> {
        Ok(Self {
            due_pk: due::DEFERRED.to_owned(),
            due_at: sortable(until),
            event: serde_json::to_string(event)?,
        })
    }

    /// The event.
    pub fn event(&self) -> Result<OrderEvent, serde_json::Error> {
        serde_json::from_str(&self.event)
    }
}

impl Stored {
    /// The delivery by this channel.
    pub fn delivery(&self, channel: Channel) -> Option<&Delivery> {
        match channel {
            Channel::Email => self.email.as_ref(),
            Channel::Sms => self.sms.as_ref(),
        }
    }

    /// The same, to be changed.
    pub fn delivery_mut(&mut self, channel: Channel) -> &mut Option<Delivery> {
        match channel {
            Channel::Email => &mut self.email,
            Channel::Sms => &mut self.sms,
        }
    }

    fn key(&self) -> Key {
        key(self.user_id, self.notification.id)
    }
}

#[derive(Default, Deserialize)]
struct PreferencesItem {
    preferences: Preferences,
    /// How often they were written; a change on condition of it undoes nobody else's.
    #[serde(default)]
    version: u64,
}

impl NotificationStore {
    /// The store over `table`.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// The table, for readiness probes.
    pub fn table(&self) -> Table {
        self.table.clone()
    }

    /// What the user wants to be told; the default until the user says otherwise.
    pub async fn preferences(&self, user_id: Uuid) -> Result<Preferences, DbError> {
        Ok(self.preferences_item(user_id).await?.preferences)
    }

    async fn preferences_item(&self, user_id: Uuid) -> Result<PreferencesItem, DbError> {
        Ok(self.table.get(&preferences_key(user_id)).await?.unwrap_or_default())
    }

    /// Replaces what the user wants to be told.
    pub async fn put_preferences(
        &self,
        user_id: Uuid,
        preferences: &Preferences,
        now: Timestamp,
    ) -> Result<(), DbError> {
        self.write_preferences(user_id, preferences, None, now).await.map(|_| ())
    }

    /// Has the user get no more mail about these topics, and leaves everything else as it is.
    pub async fn unsubscribe(&self, user_id: Uuid, topics: &[Topic], now: Timestamp) -> Result<(), DbError> {
        loop {
            let PreferencesItem { mut preferences, version } = self.preferences_item(user_id).await?;
            for topic in topics {
                preferences.channels(*topic).email = false;
            }
            // Somebody else may have changed them meanwhile: then theirs is the state to start from.
            if self.write_preferences(user_id, &preferences, Some(version), now).await? {
                return Ok(());
            }
        }
    }

    /// Writes them, where one is given on condition that they are still of this version; whether they were.
    async fn write_preferences(
        &self,
        user_id: Uuid,
        preferences: &Preferences,
        version: Option<u64>,
        now: Timestamp,
    ) -> Result<bool, DbError> {
        let preferences = serde_dynamo::to_attribute_value(preferences).map_err(DbError::Format)?;
        let number = |number: u64| AttributeValue::N(number.to_string());
        self.write(self.table.update_write(&preferences_key(user_id), |update| {
            let update = update
                .update_expression("SET preferences = :preferences, updated_at = :now ADD version :one")
                .expression_attribute_values(":preferences", preferences)
                .expression_attribute_values(":now", text(now.to_string()))
                .expression_attribute_values(":one", number(1));
            match version {
                None => update,
                Some(0) => update.condition_expression("attribute_not_exists(version)"),
                Some(version) => update
                    .condition_expression("version = :version")
                    .expression_attribute_values(":version", number(version)),
            }
        })?)
        .await
    }

    /// A transaction of one write, because its `ClientRequestToken` makes a repeated call harmless. The SDK repeats a call
    /// whose answer was lost: a repeated claim would take its own success for somebody else's, and a repeated outcome
    /// would undo the claim that somebody else took since.
    async fn write(&self, write: TransactWriteItem) -> Result<bool, DbError> {
        self.write_all([write]).await
    }

    /// Whether all conditions held.
    async fn write_all(&self, writes: impl IntoIterator<Item = TransactWriteItem>) -> Result<bool, DbError> {
        let mut transaction = Transaction::new(self.table.client());
        for write in writes {
            transaction.add(write);
        }
        match transaction.run().await {
            Ok(()) => Ok(true),
            Err(TransactionError::Cancelled(_)) => Ok(false),
            Err(TransactionError::Db(error)) => Err(error),
        }
    }
}

const NOTIFICATION: &str = "NOTIFICATION#";

fn key(user_id: Uuid, id: Uuid) -> Key {
    Key::new(partition(user_id), format!("{NOTIFICATION}{id}"))
}

fn partition(user_id: Uuid) -> String {
    format!("USER#{user_id}")
}

fn preferences_key(user_id: Uuid) -> Key {
    Key::new(partition(user_id), "PREFERENCES")
}

fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// A time as text that sorts: RFC 3339 with milliseconds.
fn sortable(at: Timestamp) -> String {
    format!("{at:.3}")
}
