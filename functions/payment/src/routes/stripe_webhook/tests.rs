use std::fmt::Write as _;

use aws_lc_rs::hmac;
use http::{Method, StatusCode};
use jiff::Timestamp;
use order::model::{Order, Status};
use serde_json::{Value, json};
use shared::testing::{Answer, When, call};

use crate::model::{Payment, Progress, RefundProgress};
use crate::provider::Stripe;
use crate::provider::stripe::StripeSecret;
use crate::refunds::{self, Wanted};
use crate::settlement::nothing;
use crate::testing::{App, Fault};

const SECRET: &str = "whsec_new";

/// The service with Stripe's webhooks; what is charged, is charged by the built-in provider.
async fn app() -> App {
    let mut app = App::new().await;
    let keys = r#"{"secret_key":"sk_test_1","webhook_secrets":["whsec_old","whsec_new"]}"#;
    let secret = StripeSecret::parse(keys).unwrap();
    app.hear(Stripe::fixed("http://127.0.0.1:1", secret, &app.state.clock).unwrap());
    app
}

fn hex(bytes: &[u8]) -> String {
    let mut hex = String::new();
    for byte in bytes {
        write!(hex, "{byte:02x}").unwrap();
    }
    hex
}

fn signature(secret: &str, at: Timestamp, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let signature = hmac::sign(&key, format!("{}.{body}", at.as_second()).as_bytes());
    format!("t={},v1={}", at.as_second(), hex(signature.as_ref()))
}

async fn send(app: &App, signature: &str, body: &str) -> Answer {
    let post = call(Method::POST, "/webhooks/stripe").header("stripe-signature", signature);
    post.header("content-type", "application/json").body(body.to_owned()).send(&app.router).await
}

/// Tells an event as Stripe does.
async fn tell(app: &App, event: &Value) -> Answer {
    let body = event.to_string();
    send(app, &signature(SECRET, app.now(), &body), &body).await
}

fn intent(id: &str, kind: &str, status: &str, payment: &Payment) -> Value {
    json!({"id": id, "type": kind, "data": {"object": {
        "id": "pi_1", "status": status, "amount": payment.amount.amount, "currency": "eur",
        "metadata": {"payment_id": payment.id}, "last_payment_error": null,
    }}})
}

fn succeeded(payment: &Payment) -> Value {
    intent("evt_1", "payment_intent.succeeded", "succeeded", payment)
}

/// An order whose payment was charged, and whose function died before it could say so.
async fn abandoned(app: &App) -> (Order, Payment) {
    let order = app.order().await;
    app.die(&order, "pm_card_visa", Fault::HoldAfter).await;
    (order, app.payments().await.remove(0))
}

#[tokio::test]
async fn what_a_dead_function_left_is_finished_by_the_webhook() {
    let app = app().await;
    let (order, payment) = abandoned(&app).await;
    // Twice, and again under another id: Stripe tells at least once.
    for event in [
        succeeded(&payment),
        succeeded(&payment),
        intent("evt_2", "payment_intent.succeeded", "succeeded", &payment),
    ] {
        let _heard = tell(&app, &event).await.expect(StatusCode::OK);
    }
    app.assert_paid_once(&order).await;
}

/// Does something, killed at each call of the database in turn, until it is done before it gets there.
async fn killed_at_each_call(scenario: impl AsyncFn(usize, When) -> bool) {
    for when in [When::Before, When::After] {
        let mut call = 0;
        while scenario(call, when).await {
            call += 1;
        }
        assert!(call >= 4, "{call} kills");
    }
}

#[tokio::test]
async fn a_payment_killed_anywhere_after_its_charge_is_finished_by_the_webhook() {
    killed_at_each_call(async |call, when| {
        let app = app().await;
        let order = app.order().await;
        let killed = app.database.kill_at(call, when, app.pay_with(&order, "pm_card_visa")).await.is_none();
        if app.charges().await.is_empty() {
            assert!(killed);
        } else {
            let payment = app.payments().await.remove(0);
            let mut event = succeeded(&payment);
            event["data"]["object"]["id"] = json!(format!("ch_test_{}", payment.id.simple()));
            let _heard = tell(&app, &event).await.expect(StatusCode::OK);
            app.assert_paid_once(&order).await;
        }
        killed
    })
    .await;
}

#[tokio::test]
async fn a_webhook_killed_anywhere_is_finished_when_it_comes_again() {
    killed_at_each_call(async |call, when| {
        let app = app().await;
        let (order, payment) = abandoned(&app).await;
        let killed = app.database.kill_at(call, when, tell(&app, &succeeded(&payment))).await.is_none();
        let _heard = tell(&app, &succeeded(&payment)).await.expect(StatusCode::OK);
        app.assert_paid_once(&order).await;
        killed
    })
    .await;
}

#[tokio::test]
async fn the_webhook_and_the_direct_answer_come_in_either_order() {
    let app = app().await;
    let order = app.order().await;
    app.provider.next(Fault::HoldAfter);
    let (direct, ()) = tokio::join!(app.pay_with(&order, "pm_card_visa"), async {
        app.provider.struck.notified().await;
        let payment = app.payments().await.remove(0);
        let _heard = tell(&app, &succeeded(&payment)).await.expect(StatusCode::OK);
        app.provider.go_on.notify_one();
    });
    let direct = direct.expect(StatusCode::CREATED);
    app.assert_paid_once(&order).await;

    let order = app.order().await;
    let receipt = app.pay_with(&order, "pm_card_visa").await.expect(StatusCode::CREATED);
    assert_ne!(receipt.json["payment_id"], direct.json["payment_id"]);
    let payment = app.payments().await.remove(0);
    let Progress::Succeeded { charge_id, .. } = &payment.progress else { panic!("{payment:?}") };
    let mut late = intent("evt_9", "payment_intent.succeeded", "succeeded", &payment);
    late["data"]["object"]["id"] = json!(charge_id);
    let _heard = tell(&app, &late).await.expect(StatusCode::OK);
    assert_eq!(app.payments().await[0], payment, "it changes nothing");
}

#[tokio::test]
async fn a_decline_frees_the_order_and_an_old_one_changes_nothing() {
    let app = app().await;
    let (order, payment) = abandoned(&app).await;
    let declined = intent("evt_1", "payment_intent.payment_failed", "requires_payment_method", &payment);
    let _heard = tell(&app, &declined).await.expect(StatusCode::OK);
    assert!(matches!(app.payments().await[0].progress, Progress::Declined { .. }));
    assert_eq!(app.read(&order).await.payment_id, None);

    let _receipt = app.pay_with(&order, "pm_card_visa").await.expect(StatusCode::CREATED);
    let paid = app.payments().await.remove(0);
    let old = intent("evt_2", "payment_intent.payment_failed", "requires_payment_method", &paid);
    let _heard = tell(&app, &old).await.expect(StatusCode::OK);
    assert_eq!(app.payments().await[0], paid);
    assert_eq!(app.read(&order).await.status, Status::Paid);
}

#[tokio::test]
async fn an_event_that_stripe_did_not_sign_lately_is_not_believed() {
    let app = app().await;
    let (order, payment) = abandoned(&app).await;
    let body = succeeded(&payment).to_string();
    let good = signature(SECRET, app.now(), &body);
    let (now, seconds) = (app.now(), jiff::SignedDuration::from_secs);
    let swapped = good.replace("v1=", "v0=");
    for forged in [
        String::new(),
        "t=,v1=".to_owned(),
        format!("t={}", now.as_second()),
        good.split_once(',').unwrap().1.to_owned(),
        swapped,
        good.replace("v1=", "v1=zz"),
        good[..good.len() - 1].to_owned(),
        signature("whsec_foreign", now, &body),
        signature(SECRET, now, &body.replace("succeeded", "succeeded ")),
        signature(SECRET, now - seconds(301), &body),
        signature(SECRET, now + seconds(301), &body),
        good.replace(&format!("t={}", now.as_second()), &format!("t={}", now.as_second() + 1)),
    ] {
        let refused = send(&app, &forged, &body).await.expect(StatusCode::BAD_REQUEST);
        assert_eq!(refused.json["detail"], "The event is not signed as Stripe signs", "{forged}");
    }
    let unsigned = call(Method::POST, "/webhooks/stripe").body(body.clone()).send(&app.router).await;
    assert_eq!(unsigned.status, StatusCode::BAD_REQUEST);
    let tampered = body.replace("5097", "1");
    let _refused = send(&app, &good, &tampered).await.expect(StatusCode::BAD_REQUEST);
    assert_eq!(app.read(&order).await.status, Status::PendingPayment);

    // Any of several signatures, by any secret, within the tolerance.
    let old_secret = signature("whsec_old", now - seconds(300), &body);
    let several = old_secret.replace(",v1=", ",v0=00,v1=00,v1=");
    let _heard = send(&app, &several, &body).await.expect(StatusCode::OK);
    app.assert_paid_once(&order).await;
}

/// A signature that another program made.
#[tokio::test]
async fn a_recorded_signature_is_believed() {
    let app = app().await;
    let body = r#"{"id":"evt_1","type":"payment_intent.succeeded","data":{"object":{"id":"pi_1","status":"succeeded","amount":5097,"currency":"eur","metadata":{}}}}"#;
    let mut recorded = App::new().await;
    let keys = r#"{"secret_key":"sk_test_1","webhook_secrets":["whsec_recorded"]}"#;
    let secret = StripeSecret::parse(keys).unwrap();
    recorded.hear(Stripe::fixed("http://127.0.0.1:1", secret, &app.state.clock).unwrap());
    // 2026-01-01T00:00:00Z, where the clock stands.
    let header = "t=1767225600,v1=5f2db571967603d92cd32f55cb2b3073c8f8e245496de5df9bfd073b905c0a34";
    let _heard = send(&recorded, header, body).await.expect(StatusCode::OK);
    let _refused = send(&app, header, body).await.expect(StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn what_is_none_of_ours_is_left_alone_and_what_contradicts_is_refused() {
    let app = app().await;
    let (order, payment) = abandoned(&app).await;
    let with = |id: &str, change: &dyn Fn(&mut Value)| {
        let mut event = intent(id, "payment_intent.succeeded", "succeeded", &payment);
        change(&mut event);
        event
    };
    for foreign in [
        with("evt_1", &|event| event["data"]["object"]["metadata"] = json!({})),
        with("evt_2", &|event| event["data"]["object"]["metadata"]["payment_id"] = json!("order-7")),
        with("evt_3", &|event| event["data"]["object"]["metadata"]["payment_id"] = json!(order.id)),
        with("evt_4", &|event| event["type"] = json!("customer.created")),
        with("evt_5", &|event| event["data"]["object"]["status"] = json!("processing")),
    ] {
        let _left_alone = tell(&app, &foreign).await.expect(StatusCode::OK);
    }
    for wrong in [
        with("evt_6", &|event| event["data"]["object"]["amount"] = json!(1)),
        with("evt_7", &|event| event["data"]["object"]["currency"] = json!("usd")),
    ] {
        for _ in 0..2 {
            let _refused = tell(&app, &wrong).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
        }
    }
    for no_event in
        ["", "{}", "[]", r#"{"id":"evt_8","type":"payment_intent.succeeded","data":{"object":{}}}"#]
    {
        let signed = signature(SECRET, app.now(), no_event);
        let _refused = send(&app, &signed, no_event).await.expect(StatusCode::BAD_REQUEST);
    }
    assert_eq!(app.read(&order).await.status, Status::PendingPayment);
}

#[tokio::test]
async fn a_charge_of_a_payment_that_was_declined_sets_off_the_alarm() {
    let app = app().await;
    let order = app.order().await;
    let _declined = app.pay_with(&order, "pm_card_declined").await.expect(StatusCode::PAYMENT_REQUIRED);
    let payment = app.payments().await.remove(0);
    let _refused = tell(&app, &succeeded(&payment)).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(app.payments().await, [payment]);
}

#[tokio::test]
async fn a_refund_is_finished_by_the_webhook_too() {
    let app = app().await;
    for (status, paid_back) in [("pending", 0), ("failed", 0), ("succeeded", 5097)] {
        let order = app.order().await;
        let _receipt = app.pay_with(&order, "pm_card_visa").await.expect(StatusCode::CREATED);
        let payment = app.payments().await.remove(0);
        let wanted =
            Wanted { amount: payment.amount, by: order::model::Actor::System, by_id: None, reason: None };
        let refund = refunds::begin(&app.state, &payment, wanted, &nothing).await.unwrap().unwrap();
        let event = json!({"id": format!("evt_{status}"), "type": "refund.updated", "data": {"object": {
            "id": "re_1", "status": status, "amount": 5097, "currency": "eur",
            "metadata": {"refund_id": refund.id, "payment_id": payment.id},
        }}});
        for _ in 0..2 {
            let _heard = tell(&app, &event).await.expect(StatusCode::OK);
        }
        let payment = app.payments().await.remove(0);
        assert_eq!(payment.refunded, paid_back, "{status}");
        assert_eq!(app.read(&order).await.refunded, paid_back, "{status}");
        assert_eq!(payment.refund_reserved, if status == "failed" { 0 } else { 5097 });
        let refund = app.state.payments.refund(refund.user_id, payment.id, refund.id).await.unwrap().unwrap();
        assert_eq!(matches!(refund.progress, RefundProgress::Processing { .. }), status == "pending");
        app.outlive_leases();
    }
}

#[tokio::test]
async fn a_refund_that_a_bank_gives_back_days_later_sets_off_the_alarm() {
    let app = app().await;
    let (order, payment_id) = app.paid("pm_card_visa").await;
    let body = json!({"reason": "broken"});
    let refund = app.refund(payment_id, None, &body).await.expect(StatusCode::CREATED).json;
    let event = json!({"id": "evt_1", "type": "refund.failed", "data": {"object": {
        "id": "re_1", "status": "failed", "amount": 5097, "currency": "eur",
        "metadata": {"refund_id": refund["refund_id"], "payment_id": payment_id},
    }}});
    for _ in 0..2 {
        let _refused = tell(&app, &event).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    }
    assert_eq!(app.read(&order).await.refunded, 5097);
}

/// What Stripe cannot do is refused before anything is begun.
#[tokio::test]
async fn with_stripe_no_method_is_kept_and_no_currency_is_taken_that_it_counts_otherwise() {
    let mut app = app().await;
    app.state.provider = std::sync::Arc::new(app.state.stripe.clone().unwrap());
    let stripe = app.state.stripe.clone().unwrap();
    app.hear(stripe);
    let order = app.order().await;
    let body = json!({"order_id": order.id, "payment_method": "pm_1", "save_payment_method": true});
    let kept = app.pay(&body).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(kept.json["field"], "save_payment_method");
    let none = app.pay(&json!({"order_id": order.id})).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(none.json["type"], "urn:problem-type:no-payment-method");
    let mut crowns = order.clone();
    crowns.id = app.state.ids.uuid(app.now());
    crowns.total.currency = "ISK".parse().unwrap();
    app.place(&crowns).await;
    let body = json!({"order_id": crowns.id, "payment_method": "pm_1"});
    let refused = app.pay(&body).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(refused.json["type"], "urn:problem-type:currency-not-accepted");
    assert!(app.payments().await.is_empty());
}

#[tokio::test]
async fn without_stripe_there_is_no_such_path() {
    let app = App::new().await;
    let _nothing = send(&app, "t=1,v1=00", "{}").await.expect(StatusCode::NOT_FOUND);
}
