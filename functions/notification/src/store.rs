//! Notification's table.
//!
//! | item | pk | sk |
//! |---|---|---|
//! | message | `USER#<user id>` | `NOTIFICATION#<event time>#<event id>#<channel>` |
//! | preferences | `USER#<user id>` | `PREFERENCES` |
//!
//! A message's key is made of the event and the channel alone: there is one item, and so one message, for each. It is
//! written before the message is sent, as the claim to send it; see [`worker`](crate::worker).

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shared::db::{DbError, Key, Table, Transaction, TransactionError};
use shared::page::{Page, PageQuery};
use uuid::Uuid;

use crate::model::{Channel, Notification, Preferences, Status};

/// The only way to Notification's table.
#[derive(Debug, Clone)]
pub struct NotificationStore {
    table: Table,
}

/// What tells a message from every other.
#[derive(Debug, Clone, Copy)]
pub struct MessageKey<'a> {
    /// Who is told.
    pub user_id: Uuid,
    /// When the event happened.
    pub at: Timestamp,
    /// The event's id.
    pub event_id: &'a str,
    /// How it is told.
    pub channel: Channel,
}

/// How an attempt to send ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The provider took the message and calls it this.
    Sent(String),
    /// The provider could not take it, for this reason; it may be tried again.
    Failed(String),
    /// The provider will never take it, for this reason.
    Rejected(String),
}

#[derive(Serialize)]
struct MessageItem {
    #[serde(flatten)]
    notification: Notification,
    event_id: String,
    /// How often it was tried.
    attempts: u32,
    /// When the last attempt began.
    claimed_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct PreferencesItem {
    preferences: Preferences,
    updated_at: Timestamp,
}

#[derive(Deserialize)]
struct StatusItem {
    status: Status,
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
        let item: Option<PreferencesItem> = self.table.get(&preferences_key(user_id)).await?;
        Ok(item.map(|item| item.preferences).unwrap_or_default())
    }

    /// Replaces what the user wants to be told.
    pub async fn put_preferences(
        &self,
        user_id: Uuid,
        preferences: Preferences,
        updated_at: Timestamp,
    ) -> Result<(), DbError> {
        self.table.put(&preferences_key(user_id), &PreferencesItem { preferences, updated_at }).await
    }

    /// The user's messages, of the newest event first.
    pub async fn notifications(
        &self,
        user_id: Uuid,
        page: &PageQuery,
    ) -> Result<Page<Notification>, DbError> {
        self.table.page(&partition(user_id), NOTIFICATION, page).await
    }

    /// Claims a message for the caller to send; whether the caller got it. Only a message that nobody ever claimed, or
    /// whose last attempt certainly failed, can be claimed.
    pub async fn claim(
        &self,
        key: MessageKey<'_>,
        notification: &Notification,
        now: Timestamp,
    ) -> Result<bool, DbError> {
        let event_id = key.event_id.to_owned();
        let key = key.in_table();
        let item = MessageItem { notification: notification.clone(), event_id, attempts: 1, claimed_at: now };
        if self.write(self.table.put_write(&key, &item, "attribute_not_exists(pk)")?).await? {
            return Ok(true);
        }
        let status = self.table.get::<StatusItem>(&key).await?.map(|item| item.status);
        if status == Some(Status::Sending) {
            tracing::warn!(event_id = item.event_id, "already claimed, and not known to be sent; left alone");
        }
        if status != Some(Status::Failed) {
            return Ok(false);
        }
        self.write(self.table.update_write(&key, |update| {
            update
                .update_expression("SET #status = :sending, claimed_at = :now ADD attempts :one")
                .condition_expression("#status = :failed")
                .expression_attribute_names("#status", "status")
                .expression_attribute_values(":sending", text(Status::Sending.as_str()))
                .expression_attribute_values(":failed", text(Status::Failed.as_str()))
                .expression_attribute_values(":now", text(now.to_string()))
                .expression_attribute_values(":one", AttributeValue::N("1".to_owned()))
        })?)
        .await
    }

    /// Notes how the attempt of whoever holds the claim ended; whether there was an attempt to end.
    pub async fn settle(&self, key: MessageKey<'_>, outcome: &Outcome) -> Result<bool, DbError> {
        let (status, name, value) = match outcome {
            Outcome::Sent(id) => (Status::Sent, "message_id", id),
            Outcome::Failed(reason) => (Status::Failed, "reason", reason),
            Outcome::Rejected(reason) => (Status::Rejected, "reason", reason),
        };
        self.write(self.table.update_write(&key.in_table(), |update| {
            update
                .update_expression("SET #status = :status, #name = :value")
                .condition_expression("#status = :sending")
                .expression_attribute_names("#status", "status")
                .expression_attribute_names("#name", name)
                .expression_attribute_values(":status", text(status.as_str()))
                .expression_attribute_values(":value", text(value))
                .expression_attribute_values(":sending", text(Status::Sending.as_str()))
        })?)
        .await
    }

    /// A transaction of one write, because its `ClientRequestToken` makes a repeated call harmless. The SDK repeats a call
    /// whose answer was lost: a repeated claim would take its own success for somebody else's, and a repeated outcome
    /// would undo the claim that somebody else took since.
    async fn write(&self, write: TransactWriteItem) -> Result<bool, DbError> {
        let mut transaction = Transaction::new(self.table.client());
        transaction.add(write);
        match transaction.run().await {
            Ok(()) => Ok(true),
            Err(TransactionError::Cancelled(_)) => Ok(false),
            Err(TransactionError::Db(error)) => Err(error),
        }
    }
}

const NOTIFICATION: &str = "NOTIFICATION#";

impl MessageKey<'_> {
    fn in_table(&self) -> Key {
        // All nine decimals, so that times sort as text.
        let sk = format!("{NOTIFICATION}{:.9}#{}#{}", self.at, self.event_id, self.channel.as_str());
        Key::new(partition(self.user_id), sk)
    }
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
