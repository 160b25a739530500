//! Tells users what happens to their orders, as the stream of the order table tells it, by each wanted channel at most
//! once per event.
//!
//! The stream delivers at least once, and neither SES nor SNS recognises a message that it has been given before. So a
//! message is *claimed* before it is sent, by writing its item with the status `SENDING` on condition that there is none:
//!
//! | status | means | when the event comes again |
//! |---|---|---|
//! | (no item) | never tried | claimed and sent |
//! | `SENDING` | being sent, or its outcome is not known | left alone |
//! | `SENT` | the provider took it | left alone |
//! | `FAILED` | the provider certainly did not take it | claimed again and sent |
//! | `REJECTED` | the provider never will take it | left alone |
//!
//! A record with a message that failed is reported as failed, so that Lambda delivers it again, a bounded number of
//! times, and then puts it into the dead-letter queue.
//!
//! **The window that remains**: from the claim until the outcome is written. If the worker dies in it, or the answer to
//! the claim or the provider's answer is lost, or the outcome cannot be written, the item stays at `SENDING` and nobody
//! sends the message again, although the provider may never have had it. So this errs on the side of silence: a user may
//! miss one message, which the list of notifications then shows as `SENDING`, and never gets one twice. Closing the
//! window would take a provider that accepts idempotency keys.
//!
//! What the provider does later (a bounce, SES's own repeated delivery attempts) is not part of this.

use aws_lambda_events::event::dynamodb::EventRecord;
use order::events::{OrderEvent, Unreadable, from_record};
use shared::aws::Aws;
use shared::clock::Clock;
use shared::config::{ConfigError, Env};
use shared::db::{DbError, Table};
use shared::problem::Chain;
use shared::sending::SendError;
use user::model::Profile;
use user::store::UserStore;

use crate::messages::{ComposeError, Links, Message, Recipient, compose};
use crate::model::{Channel, EventKind, Notification, Status};
use crate::sender::{AwsSender, Sender};
use crate::store::{MessageKey, NotificationStore, Outcome};

/// The worker.
#[derive(Debug, Clone)]
pub struct Worker<S> {
    /// What was sent, and what users want.
    pub notifications: NotificationStore,
    /// Where users are reached.
    pub users: UserStore,
    /// What sends.
    pub sender: S,
    /// Time.
    pub clock: Clock,
}

/// Why a record has to come again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The record is not what the order table's stream brings.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The message cannot be composed.
    #[error(transparent)]
    Compose(#[from] ComposeError),
    /// A table.
    #[error(transparent)]
    Db(#[from] DbError),
    /// A message was not sent.
    #[error(transparent)]
    Send(SendError),
}

impl Worker<AwsSender> {
    /// The worker of a running function: the tables that `NOTIFICATION_TABLE` and `USER_TABLE` name, SES and SNS.
    pub fn new(env: &Env, aws: &Aws) -> Result<Self, ConfigError> {
        let client = aws.dynamodb();
        let notifications = Table::new(client.clone(), env.required("NOTIFICATION_TABLE")?);
        let users = Table::new(client, env.required("USER_TABLE")?);
        Ok(Self {
            notifications: NotificationStore::new(notifications),
            users: UserStore::new(users),
            sender: AwsSender::new(env, aws)?,
            clock: Clock::system(),
        })
    }
}

impl<S: Sender> Worker<S> {
    /// Tells of the events of one record what was not told before.
    pub async fn process(&self, record: &EventRecord) -> Result<(), Error> {
        for event in from_record(record)? {
            if let Some(kind) = EventKind::of(event.kind) {
                self.tell(kind, &event).await?;
            }
        }
        Ok(())
    }

    async fn tell(&self, kind: EventKind, event: &OrderEvent) -> Result<(), Error> {
        let user_id = event.order.user_id;
        let (profile, preferences) =
            tokio::try_join!(self.users.profile(user_id), self.notifications.preferences(user_id))?;
        let Some(profile) = profile else {
            tracing::warn!(event_id = event.id, "the user has no profile, and so no address");
            return Ok(());
        };
        let name = profile.name.as_ref().map_or(profile.username.as_str(), |name| name.as_str());
        let locale = profile.locale.as_ref().map(user::model::Locale::as_str);
        let message = compose(kind, event, &Recipient { name, locale }, &Links::default())?;
        let mut outcome = Ok(());
        for channel in [Channel::Email, Channel::Sms] {
            if preferences.want(kind, channel) {
                // One channel's trouble is not the other's.
                outcome = outcome.and(self.tell_by(channel, kind, event, &profile, &message).await);
            }
        }
        outcome
    }

    async fn tell_by(
        &self,
        channel: Channel,
        event_kind: EventKind,
        event: &OrderEvent,
        profile: &Profile,
        message: &Message,
    ) -> Result<(), Error> {
        if channel == Channel::Sms && profile.phone.is_none() {
            return Ok(());
        }
        let key = MessageKey { user_id: profile.user_id, at: event.at, event_id: &event.id, channel };
        let notification = Notification {
            event: event_kind,
            channel,
            order_id: event.order.id,
            subject: message.mail.subject.clone(),
            status: Status::Sending,
            at: event.at,
        };
        if !self.notifications.claim(key, &notification, self.clock.now()).await? {
            return Ok(());
        }
        let sent = match (channel, &profile.phone) {
            (Channel::Sms, Some(phone)) => self.sender.sms(phone, message).await,
            _ => self.sender.email(&profile.email, message).await,
        };
        self.settle(key, sent).await
    }

    async fn settle(&self, key: MessageKey<'_>, sent: Result<String, SendError>) -> Result<(), Error> {
        let (event_id, channel) = (key.event_id, key.channel.as_str());
        let (outcome, result) = match sent {
            Ok(id) => {
                tracing::info!(event_id, channel, message_id = id, "sent");
                (Outcome::Sent(id), Ok(()))
            }
            Err(SendError::Failed(reason)) => {
                (Outcome::Failed(reason.clone()), Err(Error::Send(SendError::Failed(reason))))
            }
            Err(SendError::Rejected(reason)) => {
                tracing::error!(event_id, channel, reason, "rejected; will not be sent");
                (Outcome::Rejected(reason), Ok(()))
            }
            Err(SendError::Unknown(reason)) => {
                tracing::error!(event_id, channel, reason, "may not have been sent; will not be sent again");
                return Ok(());
            }
        };
        // The message is what it is, whether that can be noted or not: delivering the record again would not help.
        match self.notifications.settle(key, &outcome).await {
            Ok(true) => {}
            Ok(false) => tracing::error!(
                event_id,
                channel,
                ?outcome,
                "nobody was sending the message; its outcome is not noted"
            ),
            Err(error) => {
                tracing::error!(event_id, channel, ?outcome, error = %Chain(&error), "the outcome cannot be noted");
            }
        }
        result
    }
}

#[cfg(test)]
mod tests;
