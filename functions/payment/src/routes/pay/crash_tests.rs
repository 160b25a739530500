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
