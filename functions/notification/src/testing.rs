//! The service and its worker over an embedded database, with the user `mahindra`, one order, and a sender that records.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use aws_lambda_events::event::dynamodb::{Event, EventRecord};
use axum::Router;
use jiff::{SignedDuration, Timestamp};
use order::model::{Act, Actor, Line, Order, Status};
use serde_json::Value;
use shared::clock::Clock;
use shared::db::Key;
use shared::mail::Envelope;
use shared::money::Money;
use shared::routes::Service;
use shared::secret::{ReplaceableSecret, Values};
use shared::sending::SendError;
use shared::stream::handle_batch;
use shared::testing::{Database, issuer, record};
use user::model::{Email, Phone, Profile};
use user::store::UserStore;
use uuid::Uuid;

use crate::State;
use crate::messages::Message;
use crate::sender::Sender;
use crate::store::NotificationStore;
use crate::worker::Worker;

const NOW: &str = "2026-01-01T00:00:00Z";

/// The order's id.
pub(crate) const ORDER_ID: &str = "01930000-0000-7000-8000-000000000007";

/// A sender that keeps what it was given, or fails as told.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recorder {
    /// Recipient and subject of all that was sent.
    pub(crate) sent: Arc<Mutex<Vec<(String, String)>>>,
    /// What went with the mails.
    pub(crate) envelopes: Arc<Mutex<Vec<Envelope>>>,
    /// How the next attempts fail; afterwards, all succeed.
    pub(crate) failures: Arc<Mutex<VecDeque<SendError>>>,
}

impl Recorder {
    async fn send(&self, to: &str, message: &Message) -> Result<String, SendError> {
        // Lets whoever else is at work go first.
        tokio::task::yield_now().await;
        if let Some(failure) = self.failures.lock().unwrap().pop_front() {
            return Err(failure);
        }
        let mut sent = self.sent.lock().unwrap();
        sent.push((to.to_owned(), message.mail.subject.clone()));
        Ok(format!("message-{}", sent.len()))
    }
}

impl Sender for Recorder {
    async fn email(&self, to: &Email, message: &Message, envelope: &Envelope) -> Result<String, SendError> {
        self.envelopes.lock().unwrap().push(envelope.clone());
        self.send(to.as_str(), message).await
    }

    async fn sms(&self, to: &Phone, message: &Message) -> Result<String, SendError> {
        self.send(to.as_str(), message).await
    }
}

pub(crate) struct App {
    pub(crate) router: Router,
    pub(crate) worker: Worker<Recorder>,
    /// A token of `mahindra`.
    pub(crate) token: String,
    pub(crate) database: Database,
}

impl App {
    pub(crate) async fn new() -> Self {
        let now: Timestamp = NOW.parse().unwrap();
        let clock = Clock::fixed(now);
        let database = Database::new(&["NotificationTable", "UserTable"]).await;
        let notifications = NotificationStore::new(database.table("NotificationTable"));
        let users = UserStore::new(database.table("UserTable"));
        users.put_profile(&profile()).await.unwrap();
        let service = Service::new(issuer().verifier(&clock), vec![notifications.table()]);
        let link_keys = ReplaceableSecret::fixed(Values { current: "k".repeat(32), previous: None }, &clock);
        let state = State {
            notifications: notifications.clone(),
            link_keys: link_keys.clone(),
            clock: clock.clone(),
        };
        Self {
            router: crate::router(state, service),
            worker: Worker {
                notifications,
                users,
                sender: Recorder::default(),
                link_keys,
                api: "https://api.example.com".to_owned(),
                clock,
            },
            token: issuer().token(Uuid::from_u128(1), now),
            database,
        }
    }

    /// A token of someone else.
    pub(crate) fn stranger(&self) -> String {
        issuer().token(Uuid::from_u128(2), self.worker.clock.now())
    }

    /// Invokes the worker with these records; the sequence number that it reports as failed.
    pub(crate) async fn deliver(&self, records: Vec<EventRecord>) -> Option<String> {
        let mut batch = Event::default();
        batch.records = records;
        let response = handle_batch(&batch, async |record| self.worker.process(record).await).await;
        let mut failures = response.batch_item_failures;
        assert!(failures.len() <= 1, "the first failure says it all");
        failures.pop().and_then(|failure| failure.item_identifier)
    }

    /// What was sent: recipients and subjects without the order's number, in order.
    pub(crate) fn sent(&self) -> Vec<(String, String)> {
        let sent = self.worker.sender.sent.lock().unwrap();
        sent.iter()
            .map(|(to, subject)| (to.clone(), subject.replace(&format!(" {}", &ORDER_ID[28..]), "")))
            .collect()
    }

    /// All that Notification's table holds.
    pub(crate) async fn items(&self) -> Vec<Value> {
        self.database.items("NotificationTable").await
    }

    /// The notifications, of the oldest event first.
    pub(crate) async fn notifications(&self) -> Vec<Value> {
        self.items().await.into_iter().filter(|item| item.get("event_id").is_some()).collect()
    }
}

pub(crate) fn profile() -> Profile {
    let now: Timestamp = NOW.parse().unwrap();
    Profile {
        user_id: Uuid::from_u128(1),
        username: "mahindra".to_owned().try_into().unwrap(),
        email: "mahindra@example.com".to_owned().try_into().unwrap(),
        email_verified: true,
        former_email: None,
        phone: Some("+15551234567".to_owned().try_into().unwrap()),
        name: None,
        locale: None,
        created_at: now,
        updated_at: now,
    }
}

/// The order as it was placed.
pub(crate) fn order() -> Order {
    let at = NOW.parse().unwrap();
    let money = |amount| Money::new(amount, "EUR".parse().unwrap());
    Order {
        id: ORDER_ID.parse().unwrap(),
        user_id: Uuid::from_u128(1),
        status: Status::PendingPayment,
        lines: vec![Line {
            product_id: "espresso".to_owned().try_into().unwrap(),
            name: "Espresso".to_owned().try_into().unwrap(),
            quantity: 2,
            price: money(999),
            total: money(1998),
        }],
        total: money(1998),
        refunded: 0,
        shipping_address: None,
        payment_id: None,
        shipment: None,
        created_at: at,
        pay_until: at,
        trace: None,
        history: vec![Act::of(Actor::Customer, at).entry(Status::PendingPayment)],
    }
}

/// The stream's records of the order's life: placed, then each of `states` an hour after the one before. Their sequence
/// numbers are 100, 101 and so on.
pub(crate) fn life(states: &[Status]) -> Vec<EventRecord> {
    let mut order = order();
    let key = Key::new(format!("USER#{}", order.user_id), format!("ORDER#{}", order.id));
    let mut records = vec![record(&key, None, Some(&order), 100)];
    for (status, number) in states.iter().zip(1_i32..) {
        let old = order.clone();
        let at = order.created_at + SignedDuration::from_hours(number.into());
        order.status = *status;
        order.history.push(Act::of(Actor::Admin, at).entry(*status));
        records.push(record(&key, Some(&old), Some(&order), 100 + u64::from(number.unsigned_abs())));
    }
    records
}
