//! What happens at night is told in the morning, once.

use jiff::SignedDuration;
use order::model::Status as OrderStatus;
use serde_json::{Value, json};
use shared::sending::SendError;
use shared::testing::When;

use super::*;
use crate::model::Preferences;
use crate::testing::{App, life, profile};

const EMAIL: &str = "mahindra@example.com";
const PHONE: &str = "+15551234567";

/// It is midnight in UTC, and the user wants to be left alone until seven.
async fn at_night() -> App {
    let app = App::new().await;
    put(&app, json!({ "from": "22:00", "to": "07:00", "time_zone": "UTC" })).await;
    app
}

async fn put(app: &App, hours: Value) {
    let quiet_hours = serde_json::from_value(hours).unwrap();
    let preferences = Preferences { quiet_hours, ..Preferences::default() };
    let now = app.worker.clock.now();
    app.worker.notifications.put_preferences(profile().user_id, &preferences, now).await.unwrap();
}

async fn counts(app: &App) -> (u32, u32) {
    let counts = run(&app.worker).await.unwrap();
    (counts.done, counts.later)
}

async fn statuses(app: &App) -> Vec<[Value; 2]> {
    let status = |item: &Value, channel: &str| item[channel]["status"].clone();
    app.notifications().await.iter().map(|item| [status(item, "email"), status(item, "sms")]).collect()
}

fn recipients(app: &App) -> Vec<String> {
    app.sent().into_iter().map(|(to, _)| to).collect()
}

fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

#[tokio::test]
async fn what_happens_in_quiet_hours_is_told_once_after_them() {
    let app = at_night().await;
    let shipped = || life(&[OrderStatus::Shipped])[1..].to_vec();
    assert_eq!(app.deliver(shipped()).await, None);
    assert_eq!(app.deliver(shipped()).await, None);
    assert_eq!(counts(&app).await, (0, 0), "not yet");
    app.worker.clock.advance(hours(7) - SignedDuration::from_secs(1));
    assert_eq!(counts(&app).await, (0, 0), "not yet");
    assert_eq!(statuses(&app).await, [[json!("DEFERRED"), json!("DEFERRED")]]);
    assert_eq!(recipients(&app), [""; 0]);

    app.worker.clock.advance(SignedDuration::from_secs(1));
    let (one, two) = tokio::join!(run(&app.worker), run(&app.worker));
    let _both = (one.unwrap(), two.unwrap());
    assert_eq!(recipients(&app), [EMAIL, PHONE]);
    assert_eq!(statuses(&app).await, [[json!("SENT"), json!("SENT")]]);
    assert_eq!(app.deliver(shipped()).await, None);
    app.worker.clock.advance(SignedDuration::from_hours(1));
    assert_eq!(counts(&app).await, (0, 0), "nothing is held any more");
    assert_eq!(app.notifications().await[0].get("held"), None);
    assert_eq!(recipients(&app), [EMAIL, PHONE]);
}

#[tokio::test]
async fn in_the_day_everything_is_told_at_once() {
    let app = at_night().await;
    app.worker.clock.advance(hours(8));
    assert_eq!(app.deliver(life(&[])).await, None);
    assert_eq!(recipients(&app), [EMAIL]);
}

#[tokio::test]
async fn whoever_says_no_in_the_meantime_is_told_nothing() {
    let app = at_night().await;
    app.deliver(life(&[OrderStatus::Shipped])).await;
    let now = app.worker.clock.now();
    let store = &app.worker.notifications;
    store.unsubscribe(profile().user_id, &[crate::model::Topic::OrderShipped], now).await.unwrap();
    store.suppress(EMAIL, "BOUNCED", now).await.unwrap();
    app.worker.clock.advance(hours(7));
    assert_eq!(counts(&app).await, (2, 0));
    assert_eq!(recipients(&app), [PHONE]);
    assert_eq!(statuses(&app).await, [[json!("SUPPRESSED"), json!(null)], [json!("DROPPED"), json!("SENT")]]);
}

#[tokio::test]
async fn quiet_hours_that_are_moved_move_what_is_held() {
    let app = at_night().await;
    app.deliver(life(&[])).await;
    put(&app, json!({ "from": "22:00", "to": "09:00", "time_zone": "UTC" })).await;
    app.worker.clock.advance(hours(7));
    assert_eq!(counts(&app).await, (0, 1));
    app.worker.clock.advance(hours(2));
    assert_eq!(counts(&app).await, (1, 0));
    assert_eq!(recipients(&app), [EMAIL]);
}

#[tokio::test]
async fn what_fails_is_tried_again_less_and_less_often_and_given_up_in_the_end() {
    let app = at_night().await;
    app.deliver(life(&[])).await;
    app.worker.clock.advance(hours(7));
    let failed = || SendError::Failed("TooManyRequestsException".to_owned());
    app.worker.sender.failures.lock().unwrap().extend((0..ATTEMPTS).map(|_| failed()));
    let mut runs = 0;
    while statuses(&app).await != [[json!("REJECTED"), json!(null)]] {
        // Every minute, of which most find nothing due.
        runs += u32::from(run(&app.worker).await.is_err());
        app.worker.clock.advance(SignedDuration::from_mins(1));
        assert!(app.worker.clock.now() < "2026-01-02T00:00:00Z".parse().unwrap(), "given up within the day");
    }
    assert_eq!(runs, ATTEMPTS, "each failure is an error of the function, which the alarm sees");
    assert_eq!(app.notifications().await[0].get("due_at"), None);
    assert_eq!(recipients(&app), [""; 0]);
}

/// At every call to the database, before and after it took effect.
#[tokio::test]
async fn wherever_a_run_dies_the_next_ones_send_what_is_left_once() {
    for when in [When::Before, When::After] {
        for call in 0.. {
            let app = at_night().await;
            app.deliver(life(&[OrderStatus::Shipped])[1..].to_vec()).await;
            app.worker.clock.advance(hours(7));
            let whole = app.database.kill_at(call, when, Box::pin(run(&app.worker))).await.is_some();
            for _ in 0..30 {
                let _counts = run(&app.worker).await.unwrap();
                app.worker.clock.advance(SignedDuration::from_mins(1));
            }
            let (sent, statuses) = (recipients(&app), statuses(&app).await.remove(0));
            for (to, status) in [EMAIL, PHONE].into_iter().zip(statuses) {
                let messages = sent.iter().filter(|recipient| *recipient == to).count();
                assert!(messages == 1 || (messages == 0 && status == "SENDING"), "{when:?} {call}: {sent:?}");
            }
            assert_eq!(
                app.notifications().await[0].get("due_at"),
                None,
                "{when:?} {call}: nothing is held for ever"
            );
            if whole {
                break;
            }
        }
    }
}
