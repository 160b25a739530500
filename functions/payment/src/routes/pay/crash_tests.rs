//! A function that dies between any two steps leaves a state from which the next request finishes the job.

use http::StatusCode;
use order::model::Status;
use serde_json::json;

use crate::testing::{App, Fault};

#[tokio::test]
async fn killed_before_or_after_the_charge_the_next_request_finishes_the_payment() {
    for fault in [Fault::HoldBefore, Fault::HoldAfter] {
        let app = App::new().await;
        let order = app.order().await;
        app.die(&order, "pm_card_visa", fault).await;
        let marked = app.read(&order).await;
        assert_eq!(marked.status, Status::PendingPayment);
        assert!(!app.cancel(&order).await, "{fault:?}: the order is being paid");
        let early = app.pay_with(&order, "pm_card_visa").await;
        assert_eq!(early.status, StatusCode::CONFLICT, "{fault:?}");

        app.outlive_leases();
        let receipt = app.pay_with(&order, "pm_card_mastercard").await.expect(StatusCode::CREATED);
        assert_eq!(receipt.json["payment_id"], json!(marked.payment_id));
        assert_eq!(receipt.json["payment_method"]["brand"], "visa");
        app.assert_paid_once(&order).await;
        assert_eq!(app.payments().await.len(), 1, "{fault:?}");
    }
}

#[tokio::test]
async fn a_panic_answers_500_and_loses_nothing() {
    for fault in [Fault::PanicBefore, Fault::PanicAfter] {
        let app = App::new().await;
        let order = app.order().await;
        app.provider.next(fault);
        let panicked = app.pay_with(&order, "pm_card_visa").await;
        assert_eq!(panicked.status, StatusCode::INTERNAL_SERVER_ERROR, "{fault:?}");
        app.outlive_leases();
        let _receipt = app.pay_with(&order, "pm_card_visa").await.expect(StatusCode::CREATED);
        app.assert_paid_once(&order).await;
    }
}

/// The client of the table asks again where an answer got lost; what was written must not be in its own way.
#[tokio::test]
async fn a_lost_answer_of_the_table_is_not_noticed() {
    // The intent, the provider's book, the outcome.
    for (operation, call) in [("TransactWriteItems", 0), ("PutItem", 0), ("TransactWriteItems", 1)] {
        let app = App::new().await;
        let order = app.order().await;
        app.database.lose_answers(operation, call..call + 1);
        let _receipt = app.pay_with(&order, "pm_card_visa").await.expect(StatusCode::CREATED);
        app.assert_paid_once(&order).await;
    }
    let app = App::new().await;
    let order = app.order().await;
    app.die(&order, "pm_card_visa", Fault::HoldAfter).await;
    app.outlive_leases();
    app.database.lose_answers("TransactWriteItems", 0..1);
    let _taken_over = app.pay_with(&order, "pm_card_visa").await.expect(StatusCode::CREATED);
    app.assert_paid_once(&order).await;
}

#[tokio::test]
async fn when_the_table_is_silent_for_good_the_next_request_finds_out() {
    // Silent about the intent: it is there, and its payment is finished when the lease has run out.
    let app = App::new().await;
    let order = app.order().await;
    app.database.lose_answers("TransactWriteItems", 0..3);
    let _unknown = app.pay_with(&order, "pm_card_visa").await.expect(StatusCode::SERVICE_UNAVAILABLE);
    assert!(app.charges().await.is_empty());
    app.outlive_leases();
    let _receipt = app.pay_with(&order, "pm_card_visa").await.expect(StatusCode::CREATED);
    app.assert_paid_once(&order).await;

    // Silent about the outcome: the order is paid.
    let app = App::new().await;
    let order = app.order().await;
    app.database.lose_answers("TransactWriteItems", 1..4);
    let _unknown = app.pay_with(&order, "pm_card_visa").await.expect(StatusCode::SERVICE_UNAVAILABLE);
    let again = app.pay_with(&order, "pm_card_visa").await.expect(StatusCode::CONFLICT);
    assert_eq!(again.json["order_status"], "PAID");
    app.assert_paid_once(&order).await;
}

#[tokio::test]
async fn a_decline_whose_function_died_is_told_to_the_next_request() {
    let app = App::new().await;
    let order = app.order().await;
    app.die(&order, "pm_card_declined", Fault::HoldAfter).await;
    app.outlive_leases();
    let _told = app.pay_with(&order, "pm_card_visa").await.expect(StatusCode::PAYMENT_REQUIRED);
    let _receipt = app.pay_with(&order, "pm_card_visa").await.expect(StatusCode::CREATED);
    app.assert_paid_once(&order).await;
}

#[tokio::test]
async fn an_owner_that_comes_back_late_tells_what_the_taker_over_recorded() {
    for fault in [Fault::HoldBefore, Fault::HoldAfter] {
        let app = App::new().await;
        let order = app.order().await;
        app.provider.next(fault);
        let (late, receipt) = tokio::join!(app.pay_with(&order, "pm_card_visa"), async {
            app.provider.struck.notified().await;
            app.outlive_leases();
            let receipt = app.pay_with(&order, "pm_card_visa").await;
            app.state.clock.advance(jiff::SignedDuration::from_secs(1));
            app.provider.go_on.notify_one();
            receipt
        });
        assert_eq!(receipt.expect(StatusCode::CREATED).json, late.expect(StatusCode::CREATED).json);
        app.assert_paid_once(&order).await;
    }
}

#[tokio::test]
async fn a_late_owner_of_a_declined_payment_does_not_touch_the_next_payment() {
    let app = App::new().await;
    let order = app.order().await;
    app.provider.next(Fault::HoldBefore);
    let (late, ()) = tokio::join!(app.pay_with(&order, "pm_card_declined"), async {
        app.provider.struck.notified().await;
        app.outlive_leases();
        let _told = app.pay_with(&order, "pm_card_visa").await.expect(StatusCode::PAYMENT_REQUIRED);
        // The second payment has the order's mark when the late owner of the first records its decline.
        app.die(&order, "pm_card_visa", Fault::HoldAfter).await;
        app.provider.go_on.notify_one();
    });
    let late = late.expect(StatusCode::PAYMENT_REQUIRED);
    let marked = app.read(&order).await;
    assert!(marked.payment_id.is_some(), "the second payment's mark stands");
    assert_ne!(json!(marked.payment_id), late.json["payment_id"]);
    app.outlive_leases();
    let _receipt = app.pay_with(&order, "pm_card_visa").await.expect(StatusCode::CREATED);
    app.assert_paid_once(&order).await;
}
