//! Notifications and their deliveries: made, claimed, settled.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use shared::db::DbError;
use uuid::Uuid;

use super::{Held, NotificationStore, Stored, key, text};
use crate::model::{Channel, Status};

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

/// What the provider says later of a message that it took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Feedback {
    /// What became of it: delivered, bounced or complained of.
    pub status: Status,
    /// Whether a bounce is one that will not pass.
    pub for_good: bool,
    /// Why, where it matters.
    pub reason: Option<String>,
    /// What the provider calls the message.
    pub message_id: String,
}

impl NotificationStore {
    /// Writes a notification that is not there yet, and counts it as unread; whether it was not.
    pub async fn create(&self, stored: &Stored) -> Result<bool, DbError> {
        let put = self.table.put_write(&stored.key(), stored, "attribute_not_exists(pk)")?;
        let [pointer, count] = self.unread_writes(stored.user_id, stored.notification.id)?;
        self.write_all([put, pointer, count]).await
    }

    /// A notification with its deliveries.
    pub async fn notification(&self, user_id: Uuid, id: Uuid) -> Result<Option<Stored>, DbError> {
        self.table.get(&key(user_id, id)).await
    }

    /// Claims a delivery for the caller to send; whether the caller got it. Only one in the state `from` can be claimed, and so
    /// only once.
    pub async fn claim(
        &self,
        stored: &Stored,
        channel: Channel,
        from: Status,
        now: Timestamp,
    ) -> Result<bool, DbError> {
        self.write(self.table.update_write(&stored.key(), |update| {
            update
                .update_expression(
                    "SET #channel.#status = :sending, #channel.claimed_at = :now ADD #channel.attempts :one",
                )
                .condition_expression("#channel.#status = :from")
                .expression_attribute_names("#channel", channel.as_str())
                .expression_attribute_names("#status", "status")
                .expression_attribute_values(":sending", text(Status::Sending.as_str()))
                .expression_attribute_values(":from", text(from.as_str()))
                .expression_attribute_values(":now", text(now.to_string()))
                .expression_attribute_values(":one", AttributeValue::N("1".to_owned()))
        })?)
        .await
    }

    /// Has the deliveries, each in this state, wait with what is held; false, and nothing is changed, where one is in another
    /// state by now, or something is held already.
    pub async fn defer(
        &self,
        stored: &Stored,
        deliveries: &[(Channel, Status)],
        held: &Held,
    ) -> Result<bool, DbError> {
        let mut changes = vec!["due_pk = :due_pk, due_at = :due_at, held = :held".to_owned()];
        let mut conditions = vec!["attribute_not_exists(due_pk)".to_owned()];
        for (channel, status) in deliveries {
            let (channel, status) = (channel.as_str(), status.as_str().to_lowercase());
            changes.push(format!("{channel}.#status = :deferred"));
            conditions.push(format!("{channel}.#status = :{status}"));
        }
        self.write(self.table.update_write(&stored.key(), |update| {
            let update = update
                .update_expression(format!("SET {}", changes.join(", ")))
                .condition_expression(conditions.join(" AND "))
                .expression_attribute_names("#status", "status")
                .expression_attribute_values(":deferred", text(Status::Deferred.as_str()))
                .expression_attribute_values(":due_pk", text(&held.due_pk))
                .expression_attribute_values(":due_at", text(&held.due_at))
                .expression_attribute_values(":held", text(&held.event));
            deliveries.iter().fold(update, |update, (_, status)| {
                let name = format!(":{}", status.as_str().to_lowercase());
                update.expression_attribute_values(name, text(status.as_str()))
            })
        })?)
        .await
    }

    /// Notes how the attempt of whoever holds the claim ended; whether there was an attempt to end.
    pub async fn settle(
        &self,
        stored: &Stored,
        channel: Channel,
        outcome: &Outcome,
    ) -> Result<bool, DbError> {
        let (status, name, value) = match outcome {
            Outcome::Sent(id) => (Status::Sent, "message_id", id),
            Outcome::Failed(reason) => (Status::Failed, "reason", reason),
            Outcome::Rejected(reason) => (Status::Rejected, "reason", reason),
        };
        self.write(self.table.update_write(&stored.key(), |update| {
            update
                .update_expression("SET #channel.#status = :status, #channel.#name = :value")
                .condition_expression("#channel.#status = :sending")
                .expression_attribute_names("#channel", channel.as_str())
                .expression_attribute_names("#status", "status")
                .expression_attribute_names("#name", name)
                .expression_attribute_values(":status", text(status.as_str()))
                .expression_attribute_values(":value", text(value))
                .expression_attribute_values(":sending", text(Status::Sending.as_str()))
        })?)
        .await
    }

    /// Ends a delivery that nobody sends as `status`; nothing happens where it is not in the state `from`.
    pub async fn end_unsent(
        &self,
        stored: &Stored,
        channel: Channel,
        from: Status,
        status: Status,
    ) -> Result<bool, DbError> {
        self.write(self.table.update_write(&stored.key(), |update| {
            update
                .update_expression("SET #channel.#status = :status")
                .condition_expression("#channel.#status = :from")
                .expression_attribute_names("#channel", channel.as_str())
                .expression_attribute_names("#status", "status")
                .expression_attribute_values(":status", text(status.as_str()))
                .expression_attribute_values(":from", text(from.as_str()))
        })?)
        .await
    }

    /// Notes what the provider says of a mail; whether it is one that we sent, and the news is news. A complaint stands above
    /// a bounce, and a bounce above a delivery, in whatever order they come.
    pub async fn note(&self, user_id: Uuid, id: Uuid, feedback: &Feedback) -> Result<bool, DbError> {
        let before: &[Status] = match feedback.status {
            Status::Delivered => &[Status::Sending, Status::Sent],
            // Such as "out of office", of a mail that did arrive.
            Status::Bounced if !feedback.for_good => &[Status::Sending, Status::Sent],
            Status::Bounced => &[Status::Sending, Status::Sent, Status::Delivered],
            _ => &[Status::Sending, Status::Sent, Status::Delivered, Status::Bounced],
        };
        let names = [":a", ":b", ":c", ":d"];
        let states: Vec<_> = names.into_iter().zip(before).collect();
        let list = states.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
        let reason = feedback.reason.clone().unwrap_or_default();
        self.write(self.table.update_write(&key(user_id, id), |update| {
            let set = "SET email.#status = :status, email.message_id = :message";
            let update = update
                .update_expression(if reason.is_empty() { set.to_owned() } else { format!("{set}, email.reason = :reason") })
                // It may come before the sender has noted what the provider calls the mail.
                .condition_expression(format!(
                    "email.#status IN ({list}) AND (attribute_not_exists(email.message_id) OR email.message_id = :message)"
                ))
                .expression_attribute_names("#status", "status")
                .expression_attribute_values(":status", text(feedback.status.as_str()))
                .expression_attribute_values(":message", text(&feedback.message_id));
            let update = if reason.is_empty() { update } else { update.expression_attribute_values(":reason", text(reason)) };
            states.iter().fold(update, |update, (name, state)| {
                update.expression_attribute_values(*name, text(state.as_str()))
            })
        })?)
        .await
    }
}
