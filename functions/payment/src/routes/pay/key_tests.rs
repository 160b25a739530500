//! `POST /pay` under an `Idempotency-Key`: sent again, it tells what came of it.

use std::sync::Arc;

use http::header::{LOCATION, RETRY_AFTER};
use http::{Method, StatusCode};
use order::model::{Order, Status};
use serde_json::{Value, json};
use shared::testing::{Answer, call, issuer};
use tokio::task::JoinSet;

use crate::provider::TestProvider;
use crate::reconciler::run;
use crate::testing::{App, Fault, STRANGER, USER};

const KEY: Option<&str> = Some("the-clients-own");

fn kind(answer: &Answer) -> &str {
    answer.json["type"].as_str().unwrap().trim_start_matches("urn:problem-type:")
}

fn body(order: &Order, card: &str) -> Value {
    json!({"order_id": order.id, "payment_method": card})
}

fn is_replayed(answer: &Answer) -> bool {
    answer.headers.get("idempotency-replayed").is_some_and(|value| value == "true")
}

async fn pay_without_body(app: &App) -> Answer {
    let post = call(Method::POST, "/pay").header("idempotency-key", "the-clients-own");
    post.token(&app.token()).send(&app.router).await
}

#[tokio::test]
async fn a_receipt_is_told_again() {
    let app = App::new().await;
    let order = app.order().await;
    let body = body(&order, "pm_card_visa");
    let receipt = app.pay_under(KEY, &body).await.expect(StatusCode::CREATED);
    assert!(!is_replayed(&receipt));
    for _ in 0..2 {
        let again = app.pay_under(KEY, &body).await.expect(StatusCode::CREATED);
        assert!(is_replayed(&again));
        assert_eq!((&again.json, &again.headers[LOCATION]), (&receipt.json, &receipt.headers[LOCATION]));
    }
    let another = app.pay_under(Some("another"), &body).await.expect(StatusCode::CONFLICT);
    assert_eq!(kind(&another), "order-not-payable");
    app.assert_paid_once(&order).await;
}

#[tokio::test]
async fn a_decline_is_told_again_and_another_key_pays() {
    let app = App::new().await;
    let order = app.order().await;
    let declined = body(&order, "pm_card_declined");
    let told = app.pay_under(KEY, &declined).await.expect(StatusCode::PAYMENT_REQUIRED);
    assert!(!is_replayed(&told));
    let again = app.pay_under(KEY, &declined).await.expect(StatusCode::PAYMENT_REQUIRED);
    assert!(is_replayed(&again));
    for member in ["type", "title", "detail", "decline_reason", "order_id", "payment_id"] {
        assert!(told.json[member].is_string(), "{member}");
        assert_eq!(again.json[member], told.json[member], "{member}");
    }
    assert_eq!(app.payments().await.len(), 1, "nothing was tried again");

    let visa = body(&order, "pm_card_visa");
    let _receipt = app.pay_under(Some("another"), &visa).await.expect(StatusCode::CREATED);
    app.assert_paid_once(&order).await;
    // The decline stays the answer of its key.
    let again = app.pay_under(KEY, &declined).await.expect(StatusCode::PAYMENT_REQUIRED);
    assert_eq!(again.json["payment_id"], told.json["payment_id"]);
}

#[tokio::test]
async fn an_unknown_outcome_is_not_stored_and_found_out_under_the_key() {
    let app = App::new().await;
    let order = app.order().await;
    let body = body(&order, "pm_card_timeout");
    let unknown = app.pay_under(KEY, &body).await.expect(StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(kind(&unknown), "payment-unknown");
    let early = app.pay_under(KEY, &body).await.expect(StatusCode::CONFLICT);
    assert_eq!((kind(&early), &early.headers[RETRY_AFTER]), ("payment-in-progress", &"15".parse().unwrap()));

    app.outlive_leases();
    let receipt = app.pay_under(KEY, &body).await.expect(StatusCode::CREATED);
    assert!(!is_replayed(&receipt));
    assert_eq!(receipt.json["payment_id"], unknown.json["payment_id"]);
    let again = app.pay_under(KEY, &body).await.expect(StatusCode::CREATED);
    assert!(is_replayed(&again));
    assert_eq!(again.json, receipt.json);
    app.assert_paid_once(&order).await;
}

#[tokio::test]
async fn without_a_body_the_order_of_the_key_is_paid_though_a_newer_one_is_there() {
    for fault in [None, Some(Fault::HoldBefore), Some(Fault::HoldAfter)] {
        let app = App::new().await;
        let visa = TestProvider::card("pm_card_visa").unwrap();
        app.state.payments.set_default_method(USER, &visa).await.unwrap();
        let order = app.order().await;
        match fault {
            None => assert_eq!(pay_without_body(&app).await.status, StatusCode::CREATED),
            Some(fault) => {
                app.provider.next(fault);
                tokio::select! {
                    answer = pay_without_body(&app) => panic!("the fault did not strike: {answer:?}"),
                    () = app.provider.struck.notified() => {}
                }
            }
        }
        app.outlive_leases();
        let newer = app.order().await;
        let receipt = pay_without_body(&app).await.expect(StatusCode::CREATED);
        assert_eq!(receipt.json["order_id"], json!(order.id), "{fault:?}");
        let replayed = pay_without_body(&app).await.expect(StatusCode::CREATED);
        assert_eq!(replayed.json, receipt.json);
        assert_eq!(app.read(&order).await.status, Status::Paid);
        assert_eq!(app.read(&newer).await, newer);
        assert_eq!(app.charges().await, [order.total.amount]);
    }
}

/// Also where the payment was another request's, and taken over.
#[tokio::test]
async fn without_a_body_the_payment_that_was_taken_over_is_told_under_the_key() {
    for fault in [Fault::HoldBefore, Fault::HoldAfter] {
        let app = App::new().await;
        let visa = TestProvider::card("pm_card_visa").unwrap();
        app.state.payments.set_default_method(USER, &visa).await.unwrap();
        let older = app.order().await;
        app.outlive_leases();
        let newer = app.order().await;
        app.die(&newer, "pm_card_visa", fault).await;
        app.outlive_leases();
        app.provider.next(Fault::HoldBefore);
        tokio::select! {
            answer = pay_without_body(&app) => panic!("the fault did not strike: {answer:?}"),
            () = app.provider.struck.notified() => {}
        }
        app.outlive_leases();
        run(&app.state).await.unwrap();
        let receipt = pay_without_body(&app).await.expect(StatusCode::CREATED);
        assert_eq!(receipt.json["order_id"], json!(newer.id), "{fault:?}");
        assert_eq!(app.read(&older).await, older);
        assert_eq!(app.charges().await, [newer.total.amount]);
    }
}

#[tokio::test]
async fn what_somebody_else_finished_is_told_again_under_the_key() {
    for card in ["pm_card_visa", "pm_card_declined"] {
        let app = App::new().await;
        let order = app.order().await;
        let body = body(&order, card);
        app.provider.next(Fault::HoldBefore);
        let (late, ()) = tokio::join!(app.pay_under(KEY, &body), async {
            app.provider.struck.notified().await;
            app.outlive_leases();
            run(&app.state).await.unwrap();
            app.provider.go_on.notify_one();
        });
        assert!(!is_replayed(&late));
        let again = app.pay_under(KEY, &body).await.expect(late.status);
        assert!(is_replayed(&again), "{card}");
        assert_eq!(again.json["payment_id"], late.json["payment_id"]);
        assert_eq!(app.payments().await.len(), 1);
    }
}

#[tokio::test]
async fn an_owner_of_a_key_that_comes_back_late_changes_nothing() {
    for fault in [Fault::HoldBefore, Fault::HoldAfter] {
        let app = App::new().await;
        let order = app.order().await;
        let body = body(&order, "pm_card_visa");
        app.provider.next(fault);
        let (late, receipt) = tokio::join!(app.pay_under(KEY, &body), async {
            app.provider.struck.notified().await;
            app.outlive_leases();
            let receipt = app.pay_under(KEY, &body).await;
            app.provider.go_on.notify_one();
            receipt.expect(StatusCode::CREATED)
        });
        // The key is not its own any more.
        assert_eq!(kind(&late.expect(StatusCode::CONFLICT)), "request-in-progress", "{fault:?}");
        let again = app.pay_under(KEY, &body).await.expect(StatusCode::CREATED);
        assert_eq!((again.json, receipt.headers.get("idempotency-replayed")), (receipt.json, None));
        app.assert_paid_once(&order).await;
    }
}

#[tokio::test]
async fn sixteen_at_once_under_one_key_are_one_charge() {
    let app = Arc::new(App::new().await);
    let order = app.order().await;
    let mut requests = JoinSet::new();
    for _ in 0..16 {
        let (app, body) = (Arc::clone(&app), body(&order, "pm_card_visa"));
        requests.spawn(async move { app.pay_under(KEY, &body).await });
    }
    let (done, waiting): (Vec<Answer>, Vec<Answer>) =
        requests.join_all().await.into_iter().partition(|answer| answer.status == StatusCode::CREATED);
    assert_eq!(done.iter().filter(|answer| !is_replayed(answer)).count(), 1);
    for answer in waiting {
        let answer = answer.expect(StatusCode::CONFLICT);
        assert_eq!(kind(&answer), "request-in-progress");
        assert!(answer.headers.contains_key(RETRY_AFTER));
    }
    let again = app.pay_under(KEY, &body(&order, "pm_card_visa")).await.expect(StatusCode::CREATED);
    assert!(done.iter().all(|answer| answer.json == again.json));
    app.assert_paid_once(&order).await;
    assert_eq!(app.payments().await.len(), 1);
}

#[tokio::test]
async fn a_key_stands_for_one_body_of_one_user() {
    let app = App::new().await;
    let (order, other) = (app.order().await, app.order().await);
    let receipt = app.pay_under(KEY, &body(&order, "pm_card_visa")).await.expect(StatusCode::CREATED);
    for body in [body(&other, "pm_card_visa"), body(&order, "pm_card_mastercard"), json!({})] {
        let reused = app.pay_under(KEY, &body).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(kind(&reused), "idempotency-key-reused", "{body}");
    }
    let reused = pay_without_body(&app).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(kind(&reused), "idempotency-key-reused");
    assert_eq!(app.charges().await, [order.total.amount]);

    let theirs = app.order_of(STRANGER).await;
    let post = call(Method::POST, "/pay").header("idempotency-key", "the-clients-own");
    let post = post.token(&issuer().token(STRANGER, app.now())).json(&body(&theirs, "pm_card_visa"));
    let paid = post.send(&app.router).await.expect(StatusCode::CREATED);
    assert_eq!(paid.json["order_id"], json!(theirs.id));
    assert_ne!(paid.json["payment_id"], receipt.json["payment_id"]);
}

#[tokio::test]
async fn a_refused_request_may_be_corrected_under_its_key() {
    let app = App::new().await;
    let order = app.order().await;
    let unknown = app.pay_under(KEY, &body(&order, "pm_no_such_card")).await;
    assert_eq!(unknown.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(kind(&unknown), "unknown-payment-method");
    let _receipt = app.pay_under(KEY, &body(&order, "pm_card_visa")).await.expect(StatusCode::CREATED);
    app.assert_paid_once(&order).await;
}

#[tokio::test]
async fn a_bad_key_is_refused_and_charges_nothing() {
    let app = App::new().await;
    let order = app.order().await;
    let post = || call(Method::POST, "/pay").token(&app.token()).json(&body(&order, "pm_card_visa"));
    for key in ["", " ", "\"\"", "a\tb", "caf\u{e9}", &"k".repeat(256)] {
        let answer = post().header("idempotency-key", key).send(&app.router).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{key:?}");
        assert_eq!(answer.json["header"], "Idempotency-Key", "{key:?}");
    }
    let twice = post().header("idempotency-key", "a").header("idempotency-key", "b");
    assert_eq!(twice.send(&app.router).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(app.read(&order).await, order);
    assert_eq!(app.database.items::<Value>("PaymentTable").await, [Value::Null; 0]);
}
