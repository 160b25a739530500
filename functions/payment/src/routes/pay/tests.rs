//! What a payer sees.

use std::time::Duration;

use http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{Method, StatusCode};
use order::model::Status;
use serde_json::json;
use shared::testing::{Answer, call};
use uuid::Uuid;

use crate::provider::TestProvider;
use crate::testing::{App, Fault, STRANGER, USER};

fn kind(answer: &Answer) -> &str {
    answer.json["type"].as_str().unwrap().trim_start_matches("urn:problem-type:")
}

async fn pay_without_body(app: &App) -> Answer {
    call(Method::POST, "/pay").token(&app.token()).send(&app.router).await
}

#[tokio::test]
async fn without_a_body_the_newest_order_is_paid_by_the_default_method() {
    let app = App::new().await;
    let visa = TestProvider::card("pm_card_visa").unwrap();
    app.state.payments.set_default_method(USER, &visa).await.unwrap();
    let older = app.order().await;
    app.outlive_leases();
    let newer = app.order().await;

    let receipt = pay_without_body(&app).await.expect(StatusCode::CREATED);
    let payment_id = receipt.json["payment_id"].as_str().unwrap().to_owned();
    assert_eq!(receipt.headers[LOCATION], format!("/payments/{payment_id}"));
    assert_eq!(
        receipt.json,
        json!({
            "payment_id": payment_id, "order_id": newer.id, "status": "SUCCEEDED",
            "amount": {"amount": 5097, "currency": "EUR"},
            "refunded": {"amount": 0, "currency": "EUR"},
            "payment_method": {"brand": "visa", "last4": "4242"},
            "created_at": "2026-01-01T00:00:16Z", "paid_at": "2026-01-01T00:00:16Z",
        })
    );
    assert_eq!(app.read(&newer).await.status, Status::Paid);
    assert_eq!(app.read(&older).await.status, Status::PendingPayment);
    let location = format!("/payments/{payment_id}");
    assert_eq!(app.get(&location).await.expect(StatusCode::OK).json, receipt.json);

    // The next one is the older one, and then there is none.
    let second = pay_without_body(&app).await.expect(StatusCode::CREATED);
    assert_eq!(second.json["order_id"], json!(older.id));
    let third = pay_without_body(&app).await.expect(StatusCode::CONFLICT);
    assert_eq!(kind(&third), "nothing-owed");
    assert_eq!(app.charges().await, [5097, 5097]);
}

#[tokio::test]
async fn a_paid_order_is_not_paid_again() {
    let app = App::new().await;
    let order = app.order().await;
    let receipt = app.pay_with(&order, "pm_card_visa").await.expect(StatusCode::CREATED);
    let again = app.pay_with(&order, "pm_card_visa").await.expect(StatusCode::CONFLICT);
    assert_eq!(kind(&again), "order-not-payable");
    assert_eq!(again.json["order_status"], "PAID");
    assert_eq!(again.json["payment_id"], receipt.json["payment_id"]);
    app.assert_paid_once(&order).await;
}

#[tokio::test]
async fn a_cancelled_order_is_not_paid() {
    let app = App::new().await;
    let order = app.order().await;
    assert!(app.cancel(&order).await);
    let answer = app.pay_with(&order, "pm_card_visa").await.expect(StatusCode::CONFLICT);
    assert_eq!((kind(&answer), &answer.json["order_status"]), ("order-not-payable", &json!("CANCELLED")));
    assert!(app.charges().await.is_empty());
}

#[tokio::test]
async fn a_declined_card_leaves_the_order_to_a_second_card() {
    let app = App::new().await;
    let order = app.order().await;
    for (card, reason) in
        [("pm_card_declined", "card_declined"), ("pm_card_insufficient_funds", "insufficient_funds")]
    {
        let answer = app.pay_with(&order, card).await.expect(StatusCode::PAYMENT_REQUIRED);
        assert_eq!((kind(&answer), &answer.json["decline_reason"]), ("payment-declined", &json!(reason)));
        let path = format!("/payments/{}", answer.json["payment_id"].as_str().unwrap());
        assert_eq!(app.get(&path).await.json["status"], "DECLINED");
        assert_eq!(app.read(&order).await.payment_id, None, "nothing holds the order any more");
    }
    let _receipt = app.pay_with(&order, "pm_card_mastercard").await.expect(StatusCode::CREATED);
    app.assert_paid_once(&order).await;
    assert_eq!(app.payments().await.len(), 3);
}

#[tokio::test]
async fn a_lost_answer_is_not_a_second_charge() {
    let app = App::new().await;
    let order = app.order().await;
    let lost = app.pay_with(&order, "pm_card_timeout").await.expect(StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!((kind(&lost), &lost.headers[RETRY_AFTER]), ("payment-unknown", &"15".parse().unwrap()));
    assert!(!app.cancel(&order).await, "it may be charged already");

    let early = app.pay_with(&order, "pm_card_visa").await.expect(StatusCode::CONFLICT);
    assert_eq!((kind(&early), &early.headers[RETRY_AFTER]), ("payment-in-progress", &"15".parse().unwrap()));

    // Another card, or none: what is finished is the payment that was begun, not a second one.
    app.outlive_leases();
    let receipt = app.pay(&json!({"order_id": order.id})).await.expect(StatusCode::CREATED);
    assert_eq!(receipt.json["payment_id"], lost.json["payment_id"]);
    assert_eq!(receipt.json["payment_method"]["last4"], "0408");
    app.assert_paid_once(&order).await;
    assert_eq!(app.payments().await.len(), 1);
}

#[tokio::test]
async fn a_provider_that_does_not_answer_counts_as_a_lost_answer() {
    let mut app = App::new().await;
    app.set_provider_deadline(Duration::ZERO);
    let order = app.order().await;
    app.provider.next(Fault::HoldBefore);
    let lost = app.pay_with(&order, "pm_card_visa").await.expect(StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(kind(&lost), "payment-unknown");
    app.set_provider_deadline(Duration::from_mins(1));
    app.outlive_leases();
    let _receipt = app.pay_with(&order, "pm_card_visa").await.expect(StatusCode::CREATED);
    app.assert_paid_once(&order).await;
}

#[tokio::test]
async fn a_method_is_saved_when_the_payment_succeeds_and_only_then() {
    let app = App::new().await;
    let order = app.order().await;
    let save = |card| json!({"order_id": order.id, "payment_method": card, "save_payment_method": true});
    let _declined = app.pay(&save("pm_card_declined")).await.expect(StatusCode::PAYMENT_REQUIRED);
    let none = pay_without_body(&app).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(kind(&none), "no-payment-method");

    let _receipt = app.pay(&save("pm_card_mastercard")).await.expect(StatusCode::CREATED);
    let _next = app.order().await;
    let receipt = pay_without_body(&app).await.expect(StatusCode::CREATED);
    assert_eq!(receipt.json["payment_method"]["brand"], "mastercard");
}

#[tokio::test]
async fn a_card_number_is_never_stored_or_repeated() {
    let app = App::new().await;
    let order = app.order().await;
    let refused = app.pay_with(&order, "4111111111111111").await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(kind(&refused), "unknown-payment-method");
    assert!(!refused.json.to_string().contains("4111"));

    let receipt = app.pay_with(&order, "4242424242424242").await.expect(StatusCode::CREATED);
    let stored: Vec<serde_json::Value> = app.database.items("PaymentTable").await;
    for text in [receipt.json.to_string(), json!(stored).to_string()] {
        assert!(text.contains("4242") && !text.contains("42424242"), "{text}");
    }
}

#[tokio::test]
async fn anothers_order_and_payment_do_not_exist() {
    let app = App::new().await;
    let theirs = app.order_of(STRANGER).await;
    let unknown = Uuid::from_u128(77);
    for order_id in [theirs.id, unknown] {
        let body = json!({"order_id": order_id, "payment_method": "pm_card_visa"});
        let answer = app.pay(&body).await.expect(StatusCode::NOT_FOUND);
        assert_eq!(kind(&answer), "not-found");
    }
    assert_eq!(app.read(&theirs).await, theirs);

    let order = app.order().await;
    let receipt = app.pay_with(&order, "pm_card_visa").await.expect(StatusCode::CREATED);
    let path = format!("/payments/{}", receipt.json["payment_id"].as_str().unwrap());
    let stranger = shared::testing::issuer().token(STRANGER, app.now());
    for path in [path, format!("/payments/{unknown}")] {
        let answer = call(Method::GET, &path).token(&stranger).send(&app.router).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
    }
    let list = call(Method::GET, "/payments").token(&stranger).send(&app.router).await;
    assert_eq!(list.json, json!({"items": []}));
}

#[tokio::test]
async fn bad_requests_are_refused_and_charge_nothing() {
    let app = App::new().await;
    let order = app.order().await;
    let id = order.id;
    let bodies = [
        "{".to_owned(),
        "[]".to_owned(),
        "null x".to_owned(),
        r#"{"order_id":"not-an-id"}"#.to_owned(),
        r#"{"order_id":7}"#.to_owned(),
        format!(r#"{{"order_id":"{id}","amount":{{"amount":1,"currency":"EUR"}}}}"#),
        format!(r#"{{"order_id":"{id}","payment_method":4242424242424242}}"#),
        format!(r#"{{"order_id":"{id}","payment_method":{{"token":"pm_card_visa"}}}}"#),
        format!(r#"{{"order_id":"{id}","payment_method":""}}"#),
        format!(r#"{{"order_id":"{id}","payment_method":"pm_card_visa","save_payment_method":"yes"}}"#),
        format!(r#"{{"order_id":"{id}","order_id":"{id}","payment_method":"pm_card_visa"}}"#),
    ];
    let send = |content_type: &'static str, body: Vec<u8>| {
        let call = call(Method::POST, "/pay").token(&app.token());
        call.header(CONTENT_TYPE.as_str(), content_type).body(body).send(&app.router)
    };
    for body in bodies {
        let answer = send("application/json", body.clone().into_bytes()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}");
    }
    let good = format!(r#"{{"order_id":"{id}","payment_method":"pm_card_visa"}}"#);
    let not_utf8 = [good.as_bytes(), b"\xff"].concat();
    assert_eq!(send("application/json", not_utf8).await.status, StatusCode::BAD_REQUEST);
    let answer = send("text/plain", good.clone().into_bytes()).await;
    assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let oversized = [good.as_bytes(), &vec![b' '; 65 * 1024]].concat();
    assert_eq!(send("application/json", oversized).await.status, StatusCode::PAYLOAD_TOO_LARGE);

    for path in ["/payments/x", "/payments?limit=0", "/payments?cursor=%00", "/payments?page=2"] {
        assert_eq!(app.get(path).await.status, StatusCode::BAD_REQUEST, "{path}");
    }
    assert_eq!(app.read(&order).await, order);
    let left: Vec<serde_json::Value> = app.database.items("PaymentTable").await;
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn payments_are_listed_newest_first_page_by_page() {
    let app = App::new().await;
    let mut paid = Vec::new();
    for _ in 0..3 {
        let order = app.order().await;
        let receipt = app.pay_with(&order, "pm_card_visa").await.expect(StatusCode::CREATED);
        paid.insert(0, receipt.json);
        app.outlive_leases();
    }
    let first = app.get("/payments?limit=2").await.expect(StatusCode::OK);
    let cursor = first.json["next_cursor"].as_str().unwrap();
    let second = app.get(&format!("/payments?limit=2&cursor={cursor}")).await.expect(StatusCode::OK);
    assert_eq!(first.json["items"], json!(paid[..2]));
    assert_eq!(second.json, json!({"items": paid[2..]}));
}
