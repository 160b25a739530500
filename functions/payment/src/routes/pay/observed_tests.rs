//! What a payment leaves in metrics and traces.

use http::StatusCode;
use order::model::Order;
use serde_json::json;
use shared::testing::{Counts, log};
use uuid::Uuid;

use crate::reconciler::run;
use crate::testing::{App, Fault};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// An order that was placed by a request of [`TRACE`].
async fn traced_order(app: &App) -> Order {
    let trace = Some(format!("00-{TRACE}-00f067aa0ba902b7-01").parse().unwrap());
    let order = Order { id: Uuid::from_u128(7), trace, ..app.order().await };
    app.place(&order).await;
    order
}

#[tokio::test]
async fn a_charge_is_counted_when_it_is_recorded_and_not_when_it_is_told_again() {
    let app = App::new().await;
    let counts = Counts::default();
    let _guard = counts.start();
    let order = app.order().await;
    let pay = |card: &str| json!({"order_id": order.id, "payment_method": card});
    for _ in 0..3 {
        let _told =
            app.pay_under(Some("a"), &pay("pm_card_declined")).await.expect(StatusCode::PAYMENT_REQUIRED);
    }
    assert_eq!((counts.of("Charges declined"), counts.of("Revenue EUR")), (1, 0));
    for _ in 0..3 {
        let _told = app.pay_under(Some("b"), &pay("pm_card_visa")).await.expect(StatusCode::CREATED);
    }
    let _paid_already = app.pay_with(&order, "pm_card_visa").await.expect(StatusCode::CONFLICT);
    assert_eq!((counts.of("Charges declined"), counts.of("Charges succeeded")), (1, 1));
    assert_eq!(counts.of("Revenue EUR"), 5097);
    assert_eq!(counts.of("Requests"), 7);
}

#[tokio::test]
async fn a_payment_carries_its_orders_trace_to_whoever_finishes_it() {
    let app = App::new().await;
    log::start();
    let order = traced_order(&app).await;
    app.die(&order, "pm_card_visa", Fault::HoldBefore).await;
    app.outlive_leases();
    run(&app.state).await.unwrap();
    let finished = |line: &&serde_json::Value| line["message"] == "payment finished";
    let line = log::lines().iter().find(finished).cloned().unwrap();
    assert_eq!(line["span"]["trace_id"], TRACE, "{line}");

    let paid = app.read(&order).await.payment_id.unwrap();
    let payment = app.state.payments.payment(order.user_id, paid).await.unwrap().unwrap();
    assert_eq!(payment.trace, order.trace);
    let _receipt = app.get(&format!("/payments/{paid}")).await.expect(StatusCode::OK);
    let asked = log::lines().pop().unwrap();
    assert_eq!(asked["span"]["order_trace_id"], TRACE, "{asked}");
    let body = json!({"reason": "broken", "amount": {"amount": 1, "currency": "EUR"}});
    let _refund = app.refund(paid, None, &body).await.expect(StatusCode::CREATED);
    let answered = log::lines().pop().unwrap();
    assert_eq!(
        (&answered["message"], &answered["span"]["order_trace_id"]),
        (&json!("answered"), &json!(TRACE))
    );
}

#[tokio::test]
async fn the_log_holds_no_token_and_no_card() {
    let app = App::new().await;
    log::start();
    let order = app.order().await;
    let pay = |card: &str| json!({"order_id": order.id, "payment_method": card});
    for (card, status) in [
        ("4111111111111111", StatusCode::UNPROCESSABLE_ENTITY),
        ("pm_card_declined", StatusCode::PAYMENT_REQUIRED),
        ("4242424242424242", StatusCode::CREATED),
    ] {
        let key = format!("the-clients-own-key-{card}");
        let _answer = app.pay_under(Some(&key), &pay(card)).await.expect(status);
        for secret in [card, &app.token(), "the-clients-own-key"] {
            assert!(!log::everything().contains(secret), "{secret}");
        }
    }
    assert!(log::lines().iter().filter(|line| line["message"] == "answered").count() == 3);
}
