//! Tells users what happens to their orders, as the stream of the order table tells it: one notification per event, and by
//! each wanted channel at most one message.
//!
//! The stream delivers at least once, and neither SES nor SNS recognises a message that it has been given before. So the
//! notification is written first, on condition that there is none, with a delivery per wanted channel; and a delivery is
//! *claimed* before it is sent, by giving it the status `SENDING`:
//!
//! | status | means | when the event comes again |
//! |---|---|---|
//! | (no notification) | never seen | written, and its messages sent |
//! | `PENDING` | its worker died before it came to it | claimed and sent |
//! | `SENDING` | being sent, or its outcome is not known | left alone |
//! | `FAILED` | the provider certainly did not take it | claimed again and sent |
//! | `DEFERRED` | waits for the end of quiet hours | left to [`deferred`](crate::deferred) |
//! | any other | done with | left alone |
//!
//! A record with a message that failed is reported as failed, so that Lambda delivers it again, a bounded number of
//! times, and then puts it into the dead-letter queue.
//!
//! **The window that remains**: from the claim until the outcome is written. If the worker dies in it, or the answer to
//! the claim or the provider's answer is lost, or the outcome cannot be written, the delivery stays at `SENDING` and nobody
//! sends the message again, although the provider may never have had it. So this errs on the side of silence: a user may
//! miss one message, which the list of notifications then shows as `SENDING`, and never gets one twice. Closing the
//! window would take a provider that accepts idempotency keys. What SES says later ([`feedback`](crate::feedback)) also
//! ends the doubt of a mail that it did take.

use aws_lambda_events::event::dynamodb::EventRecord;
use order::events::{OrderEvent, Unreadable, from_record};
use shared::aws::Aws;
use shared::clock::Clock;
use shared::config::Env;
use shared::db::{DbError, Table};
use shared::mail::Envelope;
use shared::problem::Chain;
use shared::run::Failure;
use shared::secret::ReplaceableSecret;
use shared::sending::SendError;
use shared::token::issuer;
use user::model::{Locale, Profile};
use user::store::UserStore;
use uuid::Uuid;

use crate::messages::{ComposeError, Links, Message, Recipient, compose};
use crate::model::{Channel, EventKind, Notification, Preferences, Status, notification_id};
use crate::sender::{AwsSender, Sender};
use crate::store::{Delivery, Held, NotificationStore, Outcome, Stored};
use crate::unsubscribe::Unsubscribe;

/// The worker.
#[derive(Debug, Clone)]
pub struct Worker<S> {
    /// What was sent, and what users want.
    pub notifications: NotificationStore,
    /// Where users are reached.
    pub users: UserStore,
    /// What sends.
    pub sender: S,
    /// What signs the links by which mails are ended.
    pub link_keys: ReplaceableSecret,
    /// The public base URL of the API.
    pub api: String,
    /// Time.
    pub clock: Clock,
}

/// Why a record has to come again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The record is not what the order table's stream brings.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// A table.
    #[error(transparent)]
    Db(#[from] DbError),
    /// A template, which is a bug.
    #[error(transparent)]
    Compose(#[from] ComposeError),
    /// The event cannot be kept for later, or be read again.
    #[error("the held event is not readable")]
    Held(#[from] serde_json::Error),
    /// A message was not sent.
    #[error(transparent)]
    Send(SendError),
}

impl Worker<AwsSender> {
    /// The worker of a running function: the tables that `NOTIFICATION_TABLE` and `USER_TABLE` name, SES and SNS, the
    /// secret that `UNSUBSCRIBE_SECRET` names, and the public URL from the one that `VERIFICATION_KEYS_SECRET` names.
    pub async fn new(env: &Env, aws: &Aws) -> Result<Self, Failure> {
        let client = aws.dynamodb();
        let notifications = Table::new(client.clone(), env.required("NOTIFICATION_TABLE")?);
        let users = Table::new(client, env.required("USER_TABLE")?);
        let (secrets, name) = (aws.secrets_manager(), env.required("UNSUBSCRIBE_SECRET")?);
        let clock = Clock::system();
        let (link_keys, api) = tokio::try_join!(
            async { ReplaceableSecret::load(secrets.clone(), name, &clock).await.map_err(Failure::from) },
            async { issuer(env, secrets.clone()).await.map_err(Failure::from) },
        )?;
        Ok(Self {
            notifications: NotificationStore::new(notifications),
            users: UserStore::new(users),
            sender: AwsSender::new(env, aws)?,
            link_keys,
            api,
            clock,
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
        let Some(profile) = self.users.profile(user_id).await? else {
            tracing::warn!(event_id = event.id, "the user has no profile, and so no address");
            return Ok(());
        };
        let (preferences, suppressed) = tokio::try_join!(
            self.notifications.preferences(user_id),
            self.notifications.is_suppressed(profile.email.as_str())
        )?;
        let message = self.compose(kind, event, &profile).await?;
        let stored = self.plan(kind, event, &profile, &preferences, suppressed, &message)?;
        if !self.notifications.create(&stored).await? {
            let Some(before) = self.notifications.notification(user_id, stored.notification.id).await? else {
                return Ok(());
            };
            let held = (event, &preferences, suppressed);
            return self.go_on(before, held, &profile, &message).await;
        }
        let mut outcome = Ok(());
        for channel in Channel::ALL {
            // One channel's trouble is not the other's.
            let sent = match stored.delivery(channel).map(|delivery| delivery.status) {
                Some(Status::Sending) => self.send(&stored, channel, &profile, &message).await,
                Some(Status::Pending) => {
                    self.claim_and_send(&stored, channel, Status::Pending, &profile, &message).await
                }
                _ => Ok(()),
            };
            outcome = outcome.and(sent);
        }
        outcome
    }

    /// Sends of a notification that was there before what is left to send: as the user wants it now, and not in quiet hours.
    async fn go_on(
        &self,
        stored: Stored,
        (event, preferences, suppressed): (&OrderEvent, &Preferences, bool),
        profile: &Profile,
        message: &Message,
    ) -> Result<(), Error> {
        // What waited for the end of quiet hours is tried again by `deferred`.
        if stored.held.is_some() {
            return Ok(());
        }
        let mut left = Vec::new();
        for channel in Channel::ALL {
            match stored.delivery(channel).map(|delivery| delivery.status) {
                Some(Status::Sending) => {
                    tracing::warn!(
                        event_id = stored.event_id,
                        channel = channel.as_str(),
                        "claimed, and not known to be sent; left alone"
                    );
                }
                Some(status @ (Status::Pending | Status::Failed)) => left.push((channel, status)),
                _ => {}
            }
        }
        let quiet_until = preferences.quiet_hours.as_ref().and_then(|hours| hours.end(self.clock.now()));
        if let (Some(until), false) = (quiet_until, left.is_empty()) {
            let held = Held::new(event, until)?;
            let deferred = self.notifications.defer(&stored, &left, &held).await?;
            // Somebody else is at it: once more, when it is clear what is left.
            return if deferred { Ok(()) } else { Err(DbError::Conflict.into()) };
        }
        let mut outcome = Ok(());
        for delivery in left {
            let sent = self.send_if_wanted(&stored, delivery, (preferences, suppressed), profile, message);
            outcome = outcome.and(sent.await);
        }
        outcome
    }

    /// Sends a message that is in this state, and was to be sent earlier: unless the user does not want it any more, or no
    /// mail goes to the address any more.
    pub(crate) async fn send_if_wanted(
        &self,
        stored: &Stored,
        (channel, status): (Channel, Status),
        (preferences, suppressed): (&Preferences, bool),
        profile: &Profile,
        message: &Message,
    ) -> Result<(), Error> {
        let end = if !preferences.want(stored.notification.event.topic(), channel) {
            Status::Dropped
        } else if channel == Channel::Email && suppressed {
            Status::Suppressed
        } else {
            return self.claim_and_send(stored, channel, status, profile, message).await;
        };
        self.notifications.end_unsent(stored, channel, status, end).await?;
        Ok(())
    }

    /// The notification of an event with a delivery per wanted channel, the first of which the caller is sending as soon
    /// as it is written.
    fn plan(
        &self,
        kind: EventKind,
        event: &OrderEvent,
        profile: &Profile,
        preferences: &Preferences,
        suppressed: bool,
        message: &Message,
    ) -> Result<Stored, Error> {
        let now = self.clock.now();
        let quiet_until = preferences.quiet_hours.as_ref().and_then(|hours| hours.end(now));
        let notification = Notification {
            id: notification_id(event.at, &event.id),
            event: kind,
            order_id: event.order.id,
            subject: message.mail.subject.clone(),
            at: event.at,
            read_at: None,
        };
        let mut stored = Stored {
            user_id: profile.user_id,
            notification,
            event_id: event.id.clone(),
            email: None,
            sms: None,
            held: None,
        };
        let mut first = true;
        for channel in Channel::ALL {
            let reachable = channel == Channel::Email || profile.phone.is_some();
            if !reachable || !preferences.want(kind.topic(), channel) {
                continue;
            }
            let delivery = if channel == Channel::Email && suppressed {
                Delivery::new(Status::Suppressed)
            } else if let Some(until) = quiet_until {
                stored.held = Some(Held::new(event, until)?);
                Delivery::new(Status::Deferred)
            } else if first {
                first = false;
                Delivery::sending(now)
            } else {
                Delivery::new(Status::Pending)
            };
            *stored.delivery_mut(channel) = Some(delivery);
        }
        Ok(stored)
    }

    /// What the user is told of an event.
    pub(crate) async fn compose(
        &self,
        kind: EventKind,
        event: &OrderEvent,
        profile: &Profile,
    ) -> Result<Message, Error> {
        let name = profile.name.as_ref().map_or(profile.username.as_str(), |name| name.as_str());
        let unsubscribe = self.unsubscribe_url(profile.user_id, kind).await;
        let locale = profile.locale.as_ref().map(Locale::as_str);
        let recipient = Recipient { name, locale };
        Ok(compose(kind, event, &recipient, &Links { unsubscribe: Some(&unsubscribe) })?)
    }

    async fn unsubscribe_url(&self, user_id: Uuid, kind: EventKind) -> String {
        let token = Unsubscribe { user_id, topic: kind.topic() }.sign(&*self.link_keys.get().await);
        format!("{}/notifications/unsubscribe/{token}", self.api)
    }

    /// Sends a message if nobody else does: if its delivery is in the state `from`.
    async fn claim_and_send(
        &self,
        stored: &Stored,
        channel: Channel,
        from: Status,
        profile: &Profile,
        message: &Message,
    ) -> Result<(), Error> {
        if !self.notifications.claim(stored, channel, from, self.clock.now()).await? {
            return Ok(());
        }
        self.send(stored, channel, profile, message).await
    }

    /// Sends a message whose claim the caller holds.
    async fn send(
        &self,
        stored: &Stored,
        channel: Channel,
        profile: &Profile,
        message: &Message,
    ) -> Result<(), Error> {
        let sent = match (channel, &profile.phone) {
            (Channel::Sms, Some(phone)) => self.sender.sms(phone, message).await,
            (Channel::Sms, None) => Err(SendError::Rejected("NoPhone".to_owned())),
            (Channel::Email, _) => {
                let envelope = self.envelope(stored).await;
                self.sender.email(&profile.email, message, &envelope).await
            }
        };
        self.settle(stored, channel, sent).await
    }

    /// One-click unsubscription (RFC 8058 §3.1), the list's id (RFC 2919), and what SES's feedback finds the notification by.
    async fn envelope(&self, stored: &Stored) -> Envelope {
        let (kind, user_id) = (stored.notification.event, stored.user_id);
        let host = self.api.split_once("://").map_or(self.api.as_str(), |(_, host)| host);
        let host = host.split([':', '/']).next().unwrap_or_default();
        let unsubscribe = self.unsubscribe_url(user_id, kind).await;
        Envelope {
            headers: vec![
                ("List-Unsubscribe", format!("<{unsubscribe}>")),
                ("List-Unsubscribe-Post", "List-Unsubscribe=One-Click".to_owned()),
                ("List-Id", format!("<{}.notifications.{host}>", kind.topic().as_str().replace('_', "-"))),
            ],
            tags: vec![("user", user_id.to_string()), ("notification", stored.notification.id.to_string())],
        }
    }

    async fn settle(
        &self,
        stored: &Stored,
        channel: Channel,
        sent: Result<String, SendError>,
    ) -> Result<(), Error> {
        let (event_id, name) = (&stored.event_id, channel.as_str());
        let (outcome, result) = match sent {
            Ok(id) => {
                tracing::info!(event_id, channel = name, message_id = id, "sent");
                (Outcome::Sent(id), Ok(()))
            }
            Err(SendError::Failed(reason)) => {
                (Outcome::Failed(reason.clone()), Err(Error::Send(SendError::Failed(reason))))
            }
            Err(SendError::Rejected(reason)) => {
                tracing::error!(event_id, channel = name, reason, "rejected; will not be sent");
                (Outcome::Rejected(reason), Ok(()))
            }
            Err(SendError::Unknown(reason)) => {
                tracing::error!(
                    event_id,
                    channel = name,
                    reason,
                    "may not have been sent; will not be sent again"
                );
                return Ok(());
            }
        };
        // The message is what it is, whether that can be noted or not: delivering the record again would not help.
        match self.notifications.settle(stored, channel, &outcome).await {
            Ok(true) => {}
            Ok(false) => tracing::info!(
                event_id,
                channel = name,
                ?outcome,
                "not noted: the provider's feedback was faster"
            ),
            Err(error) => {
                tracing::error!(event_id, channel = name, ?outcome, error = %Chain(&error), "the outcome cannot be noted");
            }
        }
        result
    }
}

#[cfg(test)]
mod tests;
