//! What admins get for asking money back, and what customers see of it.

use std::sync::Arc;

use http::header::LOCATION;
use http::{Method, StatusCode};
use order::model::{Actor, Status};
use serde_json::{Value, json};
use shared::testing::{Answer, call, issuer};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::reconciler::run;
use crate::testing::{ADMIN, App, Fault, STRANGER, USER};

const KEY: Option<&str> = Some("the-admins-own");

fn kind(answer: &Answer) -> &str {
    answer.json["type"].as_str().unwrap().trim_start_matches("urn:problem-type:")
}

fn eur(amount: u64) -> Value {
    json!({"amount": amount, "currency": "EUR"})
}

/// All that is left, or so much of it.
fn body(amount: Option<u64>) -> Value {
    match amount {
        None => json!({"reason": "broken"}),
        Some(amount) => json!({"amount": eur(amount), "reason": "broken"}),
    }
}

fn is_replayed(answer: &Answer) -> bool {
    answer.headers.get("idempotency-replayed").is_some_and(|value| value == "true")
}

async fn seen_as_refunded(app: &App, payment_id: Uuid) -> Value {
    let receipt = app.get(&format!("/payments/{payment_id}")).await.expect(StatusCode::OK).json;
    let list = app.get("/payments").await.expect(StatusCode::OK).json;
    assert_eq!(list["items"], json!([receipt]));
    assert_eq!(receipt["status"], "SUCCEEDED");
    receipt["refunded"].clone()
}

#[tokio::test]
async fn all_of_a_payment_goes_back() {
    for amount in [None, Some(5097)] {
        let app = App::new().await;
        let (order, payment_id) = app.paid("pm_card_visa").await;
        assert_eq!(seen_as_refunded(&app, payment_id).await, eur(0));
        let done = app.refund(payment_id, None, &body(amount)).await.expect(StatusCode::CREATED);
        let refund_id = done.json["refund_id"].clone();
        assert_eq!(done.headers[LOCATION], format!("/payments/{payment_id}"));
        assert_eq!(
            done.json,
            json!({
                "refund_id": refund_id, "payment_id": payment_id, "order_id": order.id, "status": "SUCCEEDED",
                "amount": eur(5097), "reason": "broken",
                "created_at": "2026-01-01T00:00:00Z", "refunded_at": "2026-01-01T00:00:00Z",
            })
        );
        let after = app.read(&order).await;
        assert_eq!(after.status, Status::Refunded);
        let entry = after.history.last().unwrap();
        assert_eq!((entry.status, entry.by, entry.by_id), (Status::Refunded, Actor::Admin, Some(ADMIN)));
        assert_eq!(json!([entry.refund, entry.refund_id]), json!([eur(5097), refund_id]));
        assert_eq!(seen_as_refunded(&app, payment_id).await, eur(5097));
        app.assert_refunded(&order, &[5097]).await;
    }
}

#[tokio::test]
async fn a_part_goes_back_and_later_what_is_left() {
    let app = App::new().await;
    let (order, payment_id) = app.paid("pm_card_visa").await;
    let first = app.refund(payment_id, None, &body(Some(2000))).await.expect(StatusCode::CREATED);
    assert_eq!(first.json["amount"], eur(2000));
    assert_eq!(seen_as_refunded(&app, payment_id).await, eur(2000));
    let after = app.read(&order).await;
    assert_eq!(after.status, Status::Paid);
    let entry = after.history.last().unwrap();
    assert_eq!((entry.status, entry.by), (Status::Paid, Actor::Admin));
    let told = json!([entry.refund, entry.refund_id, entry.reason]);
    assert_eq!(told, json!([eur(2000), first.json["refund_id"], "broken"]));

    let second = app.refund(payment_id, None, &body(Some(1))).await.expect(StatusCode::CREATED);
    assert_ne!(second.json["refund_id"], first.json["refund_id"]);
    app.assert_refunded(&order, &[2000, 1]).await;
    let rest = app.refund(payment_id, None, &body(None)).await.expect(StatusCode::CREATED);
    assert_eq!(rest.json["amount"], eur(3096));
    assert_eq!(app.read(&order).await.status, Status::Refunded);
    app.assert_refunded(&order, &[2000, 1, 3096]).await;
}

#[tokio::test]
async fn more_than_is_left_does_not_go_back() {
    let app = App::new().await;
    let (order, payment_id) = app.paid("pm_card_visa").await;
    for (amount, left) in [(5098, 5097), (u64::MAX, 5097)] {
        let answer = app.refund(payment_id, None, &body(Some(amount))).await.expect(StatusCode::CONFLICT);
        assert_eq!((kind(&answer), &answer.json["refundable"]), ("refund-exceeds-charge", &eur(left)));
    }
    let _part = app.refund(payment_id, None, &body(Some(5000))).await.expect(StatusCode::CREATED);
    let answer = app.refund(payment_id, None, &body(Some(98))).await.expect(StatusCode::CONFLICT);
    assert_eq!((kind(&answer), &answer.json["refundable"]), ("refund-exceeds-charge", &eur(97)));
    let _rest = app.refund(payment_id, None, &body(Some(97))).await.expect(StatusCode::CREATED);
    for amount in [None, Some(1)] {
        let answer = app.refund(payment_id, None, &body(amount)).await.expect(StatusCode::CONFLICT);
        assert_eq!((kind(&answer), &answer.json["refundable"]), ("refund-exceeds-charge", &eur(0)));
    }
    app.assert_refunded(&order, &[5000, 97]).await;
}

#[tokio::test]
async fn what_is_under_way_is_not_left() {
    let app = App::new().await;
    let (order, payment_id) = app.paid("pm_card_visa").await;
    app.provider.next(Fault::HoldBefore);
    let (first, body) = (body(Some(3000)), body(Some(3000)));
    let (first, second) = tokio::join!(app.refund(payment_id, None, &first), async {
        app.provider.struck.notified().await;
        assert_eq!(seen_as_refunded(&app, payment_id).await, eur(0), "nothing went back yet");
        let second = app.refund(payment_id, None, &body).await;
        app.provider.go_on.notify_one();
        second
    });
    let second = second.expect(StatusCode::CONFLICT);
    assert_eq!((kind(&second), &second.json["refundable"]), ("refund-exceeds-charge", &eur(2097)));
    let _first = first.expect(StatusCode::CREATED);
    app.assert_refunded(&order, &[3000]).await;
}

#[tokio::test]
async fn bad_requests_are_refused_and_pay_nothing_back() {
    let app = App::new().await;
    let (order, payment_id) = app.paid("pm_card_visa").await;
    let other_currency = json!({"amount": {"amount": 100, "currency": "USD"}, "reason": "broken"});
    let answer = app.refund(payment_id, None, &other_currency).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(answer.json["field"], "amount.currency");

    let amounts =
        ["0", "-1", "0.5", "1.0", "1e2", "1e30", "18446744073709551616", "\"100\"", "null", "[100]"];
    let amounts = amounts
        .map(|amount| format!(r#"{{"amount":{{"amount":{amount},"currency":"EUR"}},"reason":"broken"}}"#));
    let others = [
        "",
        "{}",
        "[]",
        "null",
        r#"{"amount":{"amount":100,"currency":"EUR"}}"#,
        r#"{"amount":100,"reason":"broken"}"#,
        r#"{"amount":[100,"EUR"],"reason":"broken"}"#,
        r#"{"amount":{"amount":100},"reason":"broken"}"#,
        r#"{"amount":{"amount":100,"currency":"eur"},"reason":"broken"}"#,
        r#"{"amount":{"amount":100,"currency":"EUR","vat":1},"reason":"broken"}"#,
        r#"{"reason":""}"#,
        r#"{"reason":null}"#,
        r#"{"reason":7}"#,
        r#"{"reason":"broken","reason":"broken"}"#,
        r#"{"reason":"broken","order_id":"x"}"#,
    ];
    let token = issuer().admin_token(ADMIN, app.now());
    let post = |path: &str| call(Method::POST, path).token(&token).header("content-type", "application/json");
    let path = format!("/payments/{payment_id}/refund");
    for body in amounts.into_iter().chain(others.map(str::to_owned)) {
        let answer = post(&path).body(body.clone()).send(&app.router).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}");
    }
    let long = json!({"reason": "r".repeat(201)}).to_string();
    assert_eq!(post(&path).body(long).send(&app.router).await.status, StatusCode::BAD_REQUEST);
    let no_id = post("/payments/x/refund").body(body(None).to_string()).send(&app.router).await;
    assert_eq!(no_id.status, StatusCode::BAD_REQUEST);
    let unknown = app.refund(Uuid::from_u128(77), None, &body(None)).await.expect(StatusCode::NOT_FOUND);
    assert_eq!(kind(&unknown), "not-found");
    app.assert_refunded(&order, &[]).await;
}

#[tokio::test]
async fn only_admins_may_refund() {
    let app = App::new().await;
    let (order, payment_id) = app.paid("pm_card_visa").await;
    let post = || call(Method::POST, &format!("/payments/{payment_id}/refund")).json(&body(None));
    for user_id in [USER, STRANGER] {
        let answer = post().token(&issuer().token(user_id, app.now())).send(&app.router).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{user_id}");
    }
    assert_eq!(post().send(&app.router).await.status, StatusCode::UNAUTHORIZED);
    app.assert_refunded(&order, &[]).await;
}

#[tokio::test]
async fn a_payment_that_did_not_succeed_is_not_refunded() {
    let app = App::new().await;
    let order = app.order().await;
    let declined = app.pay_with(&order, "pm_card_declined").await.expect(StatusCode::PAYMENT_REQUIRED);
    let declined: Uuid = declined.json["payment_id"].as_str().unwrap().parse().unwrap();
    app.die(&order, "pm_card_visa", Fault::HoldAfter).await;
    let processing = app.read(&order).await.payment_id.unwrap();
    for payment_id in [declined, processing] {
        for amount in [None, Some(100)] {
            let answer = app.refund(payment_id, None, &body(amount)).await.expect(StatusCode::CONFLICT);
            assert_eq!(kind(&answer), "payment-not-refundable");
        }
    }
    assert_eq!(app.refunds().await, [0; 0]);
    app.outlive_leases();
    let _receipt = app.pay_with(&order, "pm_card_visa").await.expect(StatusCode::CREATED);
    app.assert_refunded(&order, &[]).await;
}

async fn sixteen_at_once(app: &Arc<App>, payment_id: Uuid, amount: Option<u64>) -> Vec<Answer> {
    let mut requests = JoinSet::new();
    for _ in 0..16 {
        let app = Arc::clone(app);
        requests.spawn(async move { app.refund(payment_id, None, &body(amount)).await });
    }
    requests.join_all().await
}

#[tokio::test]
async fn of_sixteen_at_once_who_want_all_of_it_one_gets_it() {
    for amount in [None, Some(5097)] {
        let app = Arc::new(App::new().await);
        let (order, payment_id) = app.paid("pm_card_visa").await;
        let answers = sixteen_at_once(&app, payment_id, amount).await;
        let (done, refused): (Vec<Answer>, Vec<Answer>) =
            answers.into_iter().partition(|answer| answer.status == StatusCode::CREATED);
        assert_eq!(done.len(), 1);
        for answer in refused {
            assert_eq!(kind(&answer.expect(StatusCode::CONFLICT)), "refund-exceeds-charge");
        }
        app.assert_refunded(&order, &[5097]).await;
    }
}

#[tokio::test]
async fn sixteen_at_once_who_want_a_part_get_no_more_than_there_is() {
    let app = Arc::new(App::new().await);
    let (order, payment_id) = app.paid("pm_card_visa").await;
    let answers = sixteen_at_once(&app, payment_id, Some(1000)).await;
    let refused = answers.iter().filter(|answer| answer.status == StatusCode::CONFLICT).count();
    assert_eq!(refused, 11, "five times 10.00 are in 50.97");
    // Who did not get through to order or provider among the others is still under way.
    app.outlive_leases();
    run(&app.state).await.unwrap();
    app.assert_refunded(&order, &[1000; 5]).await;
}

#[tokio::test]
async fn a_refund_that_fails_reserves_nothing_and_leaves_no_trace_on_the_order() {
    let app = App::new().await;
    let (order, payment_id) = app.paid("pm_card_refund_fail").await;
    let paid = app.read(&order).await;
    for key in [None, KEY] {
        let failed = app.refund(payment_id, key, &body(None)).await.expect(StatusCode::CONFLICT);
        assert_eq!((kind(&failed), &failed.json["failure"]), ("refund-failed", &json!("rejected")));
        assert_eq!(failed.json["payment_id"], json!(payment_id));
        let left = app.payments().await.remove(0).refundable();
        assert_eq!(json!(left), eur(5097));
    }
    let first = app.refund(payment_id, KEY, &body(None)).await.expect(StatusCode::CONFLICT);
    let again = app.refund(payment_id, KEY, &body(None)).await.expect(StatusCode::CONFLICT);
    assert!(is_replayed(&first) && is_replayed(&again));
    assert_eq!(first.json["refund_id"], again.json["refund_id"]);
    assert_eq!(app.read(&order).await, paid);
    assert_eq!(seen_as_refunded(&app, payment_id).await, eur(0));
    app.assert_refunded(&order, &[]).await;
}

#[tokio::test]
async fn a_refund_is_told_again_under_its_key() {
    let app = App::new().await;
    let (order, payment_id) = app.paid("pm_card_visa").await;
    let done = app.refund(payment_id, KEY, &body(Some(2000))).await.expect(StatusCode::CREATED);
    assert!(!is_replayed(&done));
    let again = app.refund(payment_id, KEY, &body(Some(2000))).await.expect(StatusCode::CREATED);
    assert!(is_replayed(&again));
    assert_eq!((&again.json, &again.headers[LOCATION]), (&done.json, &done.headers[LOCATION]));
    for amount in [None, Some(2001)] {
        let reused =
            app.refund(payment_id, KEY, &body(amount)).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(kind(&reused), "idempotency-key-reused");
    }
    app.assert_refunded(&order, &[2000]).await;
    // Without a key, or under another, it is another refund.
    let _another = app.refund(payment_id, None, &body(Some(2000))).await.expect(StatusCode::CREATED);
    app.assert_refunded(&order, &[2000, 2000]).await;
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_under_the_key() {
    for fault in [Fault::HoldBefore, Fault::HoldAfter] {
        let mut app = App::new().await;
        let (order, payment_id) = app.paid("pm_card_visa").await;
        app.set_provider_deadline(std::time::Duration::ZERO);
        app.provider.next(fault);
        let lost = app.refund(payment_id, KEY, &body(None)).await.expect(StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!((kind(&lost), &lost.headers["retry-after"]), ("refund-unknown", &"15".parse().unwrap()));
        app.set_provider_deadline(std::time::Duration::from_mins(1));
        let early = app.refund(payment_id, KEY, &body(None)).await.expect(StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(early.json["refund_id"], lost.json["refund_id"]);
        app.outlive_leases();
        let done = app.refund(payment_id, KEY, &body(None)).await.expect(StatusCode::CREATED);
        assert_eq!(done.json["refund_id"], lost.json["refund_id"]);
        app.assert_refunded(&order, &[5097]).await;
    }
}

#[tokio::test]
async fn what_the_reconciler_finished_is_told_again_under_the_key() {
    for (card, amounts) in [("pm_card_visa", &[2000][..]), ("pm_card_refund_fail", &[])] {
        let app = App::new().await;
        let (order, payment_id) = app.paid(card).await;
        let body = body(Some(2000));
        app.provider.next(Fault::HoldBefore);
        let (late, ()) = tokio::join!(app.refund(payment_id, KEY, &body), async {
            app.provider.struck.notified().await;
            app.outlive_leases();
            assert_eq!(run(&app.state).await.is_ok(), !amounts.is_empty());
            app.provider.go_on.notify_one();
        });
        assert!(!is_replayed(&late));
        let again = app.refund(payment_id, KEY, &body).await.expect(late.status);
        assert!(is_replayed(&again), "{card}");
        assert_eq!(again.json["refund_id"], late.json["refund_id"]);
        app.assert_refunded(&order, amounts).await;
    }
}
