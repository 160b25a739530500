//! Who is told what, how often, and what a failure leaves.

use std::sync::Arc;

use order::model::Status as OrderStatus;
use serde_json::{Value, json};
use shared::db::Key;
use shared::mail::Envelope;
use shared::testing::{When, log, record};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use user::model::{Email, Phone};

use super::*;
use crate::testing::{App, ORDER_ID, life, order, profile};
use crate::unsubscribe::Unsubscribe;

const EMAIL: &str = "mahindra@example.com";
const PHONE: &str = "+15551234567";

fn told(messages: &[(&str, &str)]) -> Vec<(String, String)> {
    messages.iter().map(|(to, subject)| ((*to).to_owned(), (*subject).to_owned())).collect()
}

fn failed() -> SendError {
    SendError::Failed("TooManyRequestsException".to_owned())
}

/// Of each notification's mail and SMS.
async fn statuses(app: &App) -> Vec<[Value; 2]> {
    let status = |item: &Value, channel: &str| item[channel]["status"].clone();
    app.notifications().await.iter().map(|item| [status(item, "email"), status(item, "sms")]).collect()
}

#[tokio::test]
async fn each_event_of_an_order_is_told_by_the_channels_that_are_wanted() {
    let app = App::new().await;
    let states = [OrderStatus::Paid, OrderStatus::Packed, OrderStatus::Shipped, OrderStatus::Delivered];
    assert_eq!(app.deliver(life(&states)).await, None);
    assert_eq!(
        app.sent(),
        told(&[
            (EMAIL, "We have your order"),
            (EMAIL, "Your order is paid"),
            (EMAIL, "Your order is on its way"),
            (PHONE, "Your order is on its way"),
            (EMAIL, "Your order has arrived"),
            (PHONE, "Your order has arrived"),
        ])
    );
    let (sent, none) = (json!("SENT"), json!(null));
    let both = [sent.clone(), sent.clone()];
    let mail = [sent, none];
    assert_eq!(statuses(&app).await, [mail.clone(), mail, both.clone(), both]);
}

#[tokio::test]
async fn records_as_lambda_delivers_them_are_understood() {
    let app = App::new().await;
    let batch: aws_lambda_events::event::dynamodb::Event =
        serde_json::from_str(include_str!("recorded.json")).unwrap();
    assert_eq!(app.deliver(batch.records).await, None);
    assert_eq!(app.sent(), told(&[(EMAIL, "We have your order"), (EMAIL, "Your order is paid")]));
}

#[tokio::test]
async fn a_batch_that_comes_again_sends_nothing_again() {
    let app = App::new().await;
    let records = || life(&[OrderStatus::Paid, OrderStatus::Packed, OrderStatus::Shipped]);
    app.deliver(records()).await;
    let (sent, items) = (app.sent(), app.items().await);
    assert_eq!(app.deliver(records()).await, None);
    assert_eq!(app.deliver(records().into_iter().rev().collect()).await, None);
    assert_eq!(app.deliver(records().into_iter().chain(records()).collect()).await, None);
    assert_eq!(app.sent(), sent);
    assert_eq!(app.items().await, items);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_same_records_in_many_workers_at_once_are_sent_once() {
    let app = App::new().await;
    let mut workers = JoinSet::new();
    for _ in 0..16 {
        let worker = app.worker.clone();
        workers.spawn(async move {
            for record in life(&[OrderStatus::Paid, OrderStatus::Packed, OrderStatus::Shipped]) {
                worker.process(&record).await.unwrap();
            }
        });
    }
    workers.join_all().await;
    let mut sent = app.sent();
    sent.sort();
    assert_eq!(
        sent,
        told(&[
            (PHONE, "Your order is on its way"),
            (EMAIL, "We have your order"),
            (EMAIL, "Your order is on its way"),
            (EMAIL, "Your order is paid"),
        ])
    );
}

#[tokio::test]
async fn the_log_holds_no_address_and_no_number() {
    log::start();
    let app = App::new().await;
    app.worker.sender.failures.lock().unwrap().push_back(failed());
    assert_eq!(app.deliver(life(&[OrderStatus::Shipped])).await.as_deref(), Some("100"));
    assert_eq!(app.deliver(life(&[OrderStatus::Shipped])).await, None);
    assert!(app.sent().iter().any(|(to, _)| to == EMAIL) && app.sent().iter().any(|(to, _)| to == PHONE));
    assert!(log::lines().iter().any(|line| line["level"] == "ERROR"), "the failure is told");
    for secret in [EMAIL, PHONE] {
        assert!(!log::everything().contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn a_failure_of_the_provider_is_reported_and_the_retry_sends_what_is_missing_once() {
    let app = App::new().await;
    let records = || life(&[OrderStatus::Paid, OrderStatus::Packed, OrderStatus::Shipped]);
    app.worker.sender.failures.lock().unwrap().push_back(failed());
    assert_eq!(app.deliver(records()).await.as_deref(), Some("100"));
    assert_eq!(app.sent(), []);
    assert_eq!(app.deliver(records()[..1].to_vec()).await, None);

    app.worker.sender.failures.lock().unwrap().extend([failed()]);
    assert_eq!(app.deliver(records()).await.as_deref(), Some("101"));
    assert_eq!(app.sent(), told(&[(EMAIL, "We have your order")]), "what follows a failure waits");
    assert_eq!(app.deliver(records()[1..3].to_vec()).await, None);

    app.worker.sender.failures.lock().unwrap().extend([failed()]);
    assert_eq!(app.deliver(records()[2..].to_vec()).await.as_deref(), Some("103"));
    let before = told(&[
        (EMAIL, "We have your order"),
        (EMAIL, "Your order is paid"),
        (PHONE, "Your order is on its way"),
    ]);
    assert_eq!(app.sent(), before, "one channel's trouble is not the other's");

    assert_eq!(app.deliver(records()).await, None);
    assert_eq!(app.deliver(records()).await, None);
    let after = [before, told(&[(EMAIL, "Your order is on its way")])].concat();
    assert_eq!(app.sent(), after);
    let attempts = |item: &Value| [item["email"]["attempts"].as_u64(), item["sms"]["attempts"].as_u64()];
    let attempts: Vec<_> = app.notifications().await.iter().map(attempts).collect();
    assert_eq!(attempts, [[Some(2), None], [Some(2), None], [Some(2), Some(1)]]);
}

#[tokio::test]
async fn what_the_provider_rejects_is_marked_and_not_tried_again() {
    let app = App::new().await;
    let rejected = SendError::Rejected("MessageRejected".to_owned());
    app.worker.sender.failures.lock().unwrap().push_back(rejected);
    assert_eq!(app.deliver(life(&[])).await, None);
    assert_eq!(app.deliver(life(&[])).await, None);
    assert_eq!(app.sent(), []);
    let mail = app.notifications().await.remove(0)["email"].take();
    assert_eq!((&mail["status"], &mail["reason"]), (&json!("REJECTED"), &json!("MessageRejected")));
}

#[tokio::test]
async fn what_may_have_been_sent_is_not_sent_again() {
    let app = App::new().await;
    app.worker.sender.failures.lock().unwrap().push_back(SendError::Unknown("no answer in time"));
    assert_eq!(app.deliver(life(&[])).await, None);
    assert_eq!(app.deliver(life(&[])).await, None);
    assert_eq!(app.sent(), []);
    assert_eq!(statuses(&app).await, [[json!("SENDING"), json!(null)]]);
}

#[tokio::test]
async fn an_outcome_that_comes_late_does_not_open_a_message_for_another_attempt() {
    let app = App::new().await;
    assert_eq!(app.deliver(life(&[])).await, None);
    let store = &app.worker.notifications;
    let id = notification_id(order().created_at, &format!("{ORDER_ID}:PENDING_PAYMENT"));
    let stored = store.notification(profile().user_id, id).await.unwrap().unwrap();
    let late = Outcome::Failed("TooManyRequestsException".to_owned());
    assert!(!store.settle(&stored, Channel::Email, &late).await.unwrap());
    assert_eq!(statuses(&app).await, [[json!("SENT"), json!(null)]]);
    assert_eq!(app.deliver(life(&[])).await, None);
    assert_eq!(app.sent(), told(&[(EMAIL, "We have your order")]));
}

/// A sender that never comes back.
struct Stuck(Arc<Notify>);

impl Sender for Stuck {
    async fn email(&self, _: &Email, _: &Message, _: &Envelope) -> Result<String, SendError> {
        self.0.notify_one();
        std::future::pending().await
    }

    async fn sms(&self, _: &Phone, _: &Message) -> Result<String, SendError> {
        std::future::pending().await
    }
}

#[tokio::test]
async fn what_a_worker_was_sending_when_it_died_is_not_sent_again() {
    let app = App::new().await;
    let App { worker: Worker { notifications, users, link_keys, api, clock, .. }, .. } = &app;
    let reached = Arc::new(Notify::new());
    let doomed = Worker {
        notifications: notifications.clone(),
        users: users.clone(),
        link_keys: link_keys.clone(),
        api: api.clone(),
        clock: clock.clone(),
        sender: Stuck(Arc::clone(&reached)),
    };
    let records = life(&[]);
    tokio::select! {
        _ = doomed.process(&records[0]) => panic!("the sender never comes back"),
        () = reached.notified() => {}
    }
    assert_eq!(app.deliver(records).await, None);
    assert_eq!(app.sent(), []);
    assert_eq!(statuses(&app).await, [[json!("SENDING"), json!(null)]]);
}

#[tokio::test]
async fn only_what_the_user_wants_is_sent() {
    let app = App::new().await;
    let mut preferences = Preferences::default();
    preferences.order_placed.email = false;
    preferences.order_paid.sms = true;
    preferences.order_shipped.email = false;
    let (user_id, now) = (profile().user_id, app.worker.clock.now());
    app.worker.notifications.put_preferences(user_id, &preferences, now).await.unwrap();
    app.deliver(life(&[OrderStatus::Paid, OrderStatus::Packed, OrderStatus::Shipped])).await;
    assert_eq!(
        app.sent(),
        told(&[
            (EMAIL, "Your order is paid"),
            (PHONE, "Your order is paid"),
            (PHONE, "Your order is on its way")
        ])
    );
}

#[tokio::test]
async fn a_user_without_a_telephone_gets_mail_only() {
    let app = App::new().await;
    app.worker.users.put_profile(&Profile { phone: None, ..profile() }).await.unwrap();
    assert_eq!(app.deliver(life(&[OrderStatus::Shipped])).await, None);
    assert_eq!(app.sent(), told(&[(EMAIL, "We have your order"), (EMAIL, "Your order is on its way")]));
}

#[tokio::test]
async fn a_user_without_a_profile_holds_nobody_up() {
    let app = App::new().await;
    let stranger = Key::new("USER#x", "ORDER#x");
    let mut order = order();
    order.user_id = Uuid::from_u128(2);
    let mut records = vec![record(&stranger, None, Some(&order), 99)];
    records.extend(life(&[]));
    assert_eq!(app.deliver(records).await, None);
    assert_eq!(app.sent(), told(&[(EMAIL, "We have your order")]));
}

#[tokio::test]
async fn a_record_that_is_no_order_is_reported_and_the_ones_before_it_are_sent() {
    let app = App::new().await;
    let poison = record(&Key::new("USER#x", "ORDER#x"), None, Some(&json!({ "status": "?" })), 555);
    let mut records = life(&[OrderStatus::Paid]);
    records.insert(1, poison);
    assert_eq!(app.deliver(records).await.as_deref(), Some("555"));
    assert_eq!(app.sent(), told(&[(EMAIL, "We have your order")]));
}

/// At every call to the database, before and after it took effect.
#[tokio::test]
async fn wherever_a_worker_dies_nothing_is_sent_twice_and_what_is_missing_is_known_to_be_in_doubt() {
    let records = life(&[OrderStatus::Paid, OrderStatus::Packed, OrderStatus::Shipped])[3..].to_vec();
    let mut in_doubt = 0;
    for when in [When::Before, When::After] {
        for call in 0.. {
            let app = App::new().await;
            let whole =
                app.database.kill_at(call, when, Box::pin(app.worker.process(&records[0]))).await.is_some();
            assert_eq!(app.deliver(records.clone()).await, None);
            let sent = app.sent();
            let [statuses] = &statuses(&app).await[..] else { panic!("one notification") };
            for (to, status) in [EMAIL, PHONE].into_iter().zip(statuses) {
                let messages = sent.iter().filter(|(recipient, _)| recipient == to).count();
                let doubt = status == "SENDING";
                in_doubt += u32::from(doubt);
                assert!(messages == 1 || (messages == 0 && doubt), "{when:?} {call}: {sent:?} {statuses:?}");
            }
            let user_id = profile().user_id;
            assert_eq!(app.worker.notifications.unread(user_id).await.unwrap(), 1, "{when:?} {call}");
            if whole {
                break;
            }
        }
    }
    assert!(in_doubt > 0, "the stated window exists");
}

#[tokio::test]
async fn a_mail_says_how_to_end_mails_like_it_and_what_feedback_is_about() {
    let app = App::new().await;
    app.deliver(life(&[])).await;
    let envelope = app.worker.sender.envelopes.lock().unwrap().remove(0);
    let header = |name: &str| {
        envelope.headers.iter().find(|(header, _)| *header == name).map(|(_, value)| value.clone()).unwrap()
    };
    assert_eq!(header("List-Unsubscribe-Post"), "List-Unsubscribe=One-Click");
    assert_eq!(header("List-Id"), "<order-placed.notifications.api.example.com>");
    let link = header("List-Unsubscribe");
    let link = link.strip_prefix("<https://api.example.com/notifications/unsubscribe/").unwrap();
    let keys = app.worker.link_keys.get().await;
    let link = Unsubscribe::verify(link.strip_suffix('>').unwrap(), &keys).unwrap();
    assert_eq!((link.user_id, link.topic), (profile().user_id, crate::model::Topic::OrderPlaced));
    let id = app.notifications().await[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(envelope.tags, [("user", profile().user_id.to_string()), ("notification", id)]);
}

#[tokio::test]
async fn an_address_that_bounced_gets_no_mail_and_the_telephone_still_rings() {
    let app = App::new().await;
    let now = app.worker.clock.now();
    app.worker.notifications.suppress("Mahindra@Example.com", "BOUNCED", now).await.unwrap();
    assert_eq!(app.deliver(life(&[OrderStatus::Shipped])).await, None);
    assert_eq!(app.sent(), told(&[(PHONE, "Your order is on its way")]));
    let suppressed = json!("SUPPRESSED");
    assert_eq!(statuses(&app).await, [[suppressed.clone(), json!(null)], [suppressed, json!("SENT")]]);
}

#[tokio::test]
async fn what_failed_by_day_is_not_tried_again_at_night_and_what_is_not_wanted_any_more_not_at_all() {
    let app = App::new().await;
    let (user_id, now) = (profile().user_id, app.worker.clock.now());
    let shipped = || life(&[OrderStatus::Shipped])[1..].to_vec();
    app.worker.sender.failures.lock().unwrap().extend([failed(), failed()]);
    assert!(app.deliver(shipped()).await.is_some());
    let quiet_hours = json!({ "from": "22:00", "to": "07:00", "time_zone": "UTC" });
    let quiet_hours = serde_json::from_value(quiet_hours).unwrap();
    let night = Preferences { quiet_hours, ..Preferences::default() };
    app.worker.notifications.put_preferences(user_id, &night, now).await.unwrap();
    for _ in 0..2 {
        assert_eq!(app.deliver(shipped()).await, None);
        assert_eq!(
            (app.sent(), statuses(&app).await),
            (vec![], vec![[json!("DEFERRED"), json!("DEFERRED")]])
        );
    }
    app.worker.clock.advance(jiff::SignedDuration::from_hours(7));
    let _counts = crate::deferred::run(&app.worker).await.unwrap();
    assert_eq!(app.sent(), told(&[(EMAIL, "Your order is on its way"), (PHONE, "Your order is on its way")]));

    let app = App::new().await;
    app.worker.sender.failures.lock().unwrap().extend([failed(), failed()]);
    assert!(app.deliver(shipped()).await.is_some());
    app.worker.notifications.suppress(EMAIL, "BOUNCED", now).await.unwrap();
    let mut mail_only = Preferences::default();
    mail_only.order_shipped.sms = false;
    app.worker.notifications.put_preferences(user_id, &mail_only, now).await.unwrap();
    assert_eq!(app.deliver(shipped()).await, None);
    assert_eq!((app.sent(), statuses(&app).await), (vec![], vec![[json!("SUPPRESSED"), json!("DROPPED")]]));
}
