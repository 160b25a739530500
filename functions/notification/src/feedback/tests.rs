//! What SES says is believed when it comes from where SES says it.

use serde_json::{Value, json};

use super::*;
use crate::testing::{App, life, profile};

const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:feedback";
const EMAIL: &str = "mahindra@example.com";

fn listener(app: &App) -> Listener {
    Listener {
        notifications: app.worker.notifications.clone(),
        topic: TOPIC.to_owned(),
        clock: app.worker.clock.clone(),
    }
}

/// An app in which one mail was sent, and the id of its notification.
async fn sent() -> (App, String) {
    let app = App::new().await;
    app.deliver(life(&[])).await;
    let id = app.notifications().await[0]["id"].as_str().unwrap().to_owned();
    (app, id)
}

/// A report in the form that SES documents, of the mail that our sender called `message-1`.
fn report(id: &str, details: &Value) -> Value {
    let mut report = json!({
        "mail": {
            "timestamp": "2026-01-01T00:00:00.000Z",
            "messageId": "message-1",
            "source": "shop@example.com",
            "destination": [EMAIL],
            "tags": {
                "ses:configuration-set": ["MailEvents"],
                "user": [profile().user_id],
                "notification": [id],
            },
        },
    });
    for (name, value) in details.as_object().unwrap() {
        report[name] = value.clone();
    }
    report
}

fn bounce(id: &str, kind: &str) -> Value {
    let recipient = json!({ "emailAddress": EMAIL, "action": "failed", "status": "5.1.1" });
    let bounce = json!({ "bounceType": kind, "bounceSubType": "General", "bouncedRecipients": [recipient] });
    report(id, &json!({ "eventType": "Bounce", "bounce": bounce }))
}

fn complaint(id: &str) -> Value {
    let complaint = json!({ "complainedRecipients": [{ "emailAddress": format!("Ann <{EMAIL}>") }] });
    report(id, &json!({ "eventType": "Complaint", "complaint": complaint }))
}

fn delivery(id: &str) -> Value {
    report(id, &json!({ "eventType": "Delivery", "delivery": { "recipients": [EMAIL] } }))
}

async fn hear(app: &App, topic: &str, message: &str) -> Result<(), Error> {
    let event = json!({ "Records": [{
        "EventSource": "aws:sns",
        "EventVersion": "1.0",
        "Sns": { "Type": "Notification", "TopicArn": topic, "Message": message },
    }] });
    listener(app).hear(&serde_json::from_value(event).unwrap()).await
}

async fn mail(app: &App) -> Value {
    app.notifications().await[0]["email"].clone()
}

async fn suppressed(app: &App) -> bool {
    app.worker.notifications.is_suppressed(EMAIL).await.unwrap()
}

#[tokio::test]
async fn a_delivered_mail_is_shown_so_and_its_address_stays_good() {
    let (app, id) = sent().await;
    for _ in 0..2 {
        hear(&app, TOPIC, &delivery(&id).to_string()).await.unwrap();
        assert_eq!(mail(&app).await["status"], "DELIVERED");
    }
    assert!(!suppressed(&app).await);
}

#[tokio::test]
async fn an_address_that_bounced_for_good_or_complained_gets_no_mail_any_more() {
    for report in [|id: &str| bounce(id, "Permanent"), |id: &str| complaint(id)] {
        let (app, id) = sent().await;
        hear(&app, TOPIC, &report(&id).to_string()).await.unwrap();
        assert!(suppressed(&app).await);
        let stored = Value::from(app.items().await).to_string();
        assert!(!stored.contains("example.com"), "{stored}");
    }
}

#[tokio::test]
async fn a_bounce_that_may_pass_is_noted_and_the_address_stays_good() {
    let (app, id) = sent().await;
    hear(&app, TOPIC, &bounce(&id, "Transient").to_string()).await.unwrap();
    let mail = mail(&app).await;
    assert_eq!((&mail["status"], &mail["reason"]), (&json!("BOUNCED"), &json!("Transient/General")));
    assert!(!suppressed(&app).await);
}

#[tokio::test]
async fn a_complaint_stands_above_a_bounce_and_that_above_a_delivery_in_any_order() {
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let (app, id) = sent().await;
        let reports = [delivery(&id), bounce(&id, "Transient"), complaint(&id)];
        for index in order {
            hear(&app, TOPIC, &reports[index].to_string()).await.unwrap();
        }
        assert_eq!(mail(&app).await["status"], "COMPLAINED", "{order:?}");
    }
}

#[tokio::test]
async fn an_automatic_reply_does_not_undo_a_delivery() {
    let (app, id) = sent().await;
    for report in [delivery(&id), bounce(&id, "Transient")] {
        hear(&app, TOPIC, &report.to_string()).await.unwrap();
    }
    assert_eq!(mail(&app).await["status"], "DELIVERED");
    hear(&app, TOPIC, &bounce(&id, "Permanent").to_string()).await.unwrap();
    assert_eq!(mail(&app).await["status"], "BOUNCED");
}

#[tokio::test]
async fn a_report_about_another_message_or_of_nobody_changes_no_notification() {
    let (app, id) = sent().await;
    let before = app.notifications().await;
    let mut other = delivery(&id);
    other["mail"]["messageId"] = json!("message-2");
    let mut stranger = delivery(&id);
    stranger["mail"]["tags"]["user"] = json!([Uuid::from_u128(2)]);
    let mut untagged = delivery(&id);
    untagged["mail"].as_object_mut().unwrap().remove("tags");
    let opened = report(&id, &json!({ "eventType": "Open" }));
    for report in [other, stranger, untagged, opened] {
        hear(&app, TOPIC, &report.to_string()).await.unwrap();
    }
    assert_eq!(app.notifications().await, before);
}

#[tokio::test]
async fn what_comes_from_another_topic_or_is_no_report_is_refused_and_changes_nothing() {
    let (app, id) = sent().await;
    let before = app.items().await;
    let forged = complaint(&id).to_string();
    for topic in ["arn:aws:sns:us-east-1:999999999999:feedback", ""] {
        assert!(matches!(hear(&app, topic, &forged).await, Err(Error::Stranger(_))));
    }
    for message in ["", "{}", "[]"] {
        assert!(matches!(hear(&app, TOPIC, message).await, Err(Error::Unreadable(_))), "{message}");
    }
    let validation = "Successfully validated SNS topic for Amazon SES event publishing.";
    hear(&app, TOPIC, validation).await.unwrap();
    assert_eq!(app.items().await, before);
}
