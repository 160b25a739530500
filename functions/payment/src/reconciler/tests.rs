use http::StatusCode;
use order::model::Status;

use super::*;
use crate::provider::ChargeRequest;
use crate::testing::{App, Fault};

async fn counts(app: &App) -> Counts {
    run(&app.state).await.unwrap()
}

#[tokio::test]
async fn what_a_dead_function_left_is_finished_with_one_charge() {
    for fault in [Fault::HoldBefore, Fault::HoldAfter] {
        let app = App::new().await;
        let order = app.order().await;
        app.die(&order, "pm_card_visa", fault).await;
        assert_eq!(counts(&app).await, Counts::default(), "its lease still runs");
        assert_eq!(app.read(&order).await.status, Status::PendingPayment);

        app.outlive_leases();
        let succeeded = Counts { succeeded: 1, ..Counts::default() };
        assert_eq!(counts(&app).await, succeeded, "{fault:?}");
        app.assert_paid_once(&order).await;
        assert_eq!(counts(&app).await, Counts::default(), "nothing is left to do");
    }
}

#[tokio::test]
async fn a_decline_frees_the_order() {
    let app = App::new().await;
    let order = app.order().await;
    app.die(&order, "pm_card_declined", Fault::HoldAfter).await;
    app.outlive_leases();
    let declined = Counts { declined: 1, ..Counts::default() };
    assert_eq!(counts(&app).await, declined);
    let _receipt = app.pay_with(&order, "pm_card_visa").await.expect(StatusCode::CREATED);
    app.assert_paid_once(&order).await;
}

#[tokio::test]
async fn one_that_fails_stops_no_other_and_is_tried_again() {
    let app = App::new().await;
    let mut orders = Vec::new();
    for _ in 0..3 {
        let order = app.order().await;
        app.die(&order, "pm_card_visa", Fault::HoldBefore).await;
        orders.push(order);
    }
    app.outlive_leases();
    app.provider.next(Fault::PanicBefore);
    let error = run(&app.state).await.unwrap_err();
    let incomplete: &Incomplete = error.downcast_ref().unwrap();
    assert_eq!(incomplete.counts, Counts { succeeded: 2, failed: 1, ..Counts::default() });

    app.outlive_leases();
    assert_eq!(counts(&app).await, Counts { succeeded: 1, ..Counts::default() });
    for order in &orders {
        assert_eq!(app.read(order).await.status, Status::Paid);
    }
    assert_eq!(app.charges().await.len(), 3);
}

#[tokio::test]
async fn an_outcome_that_stays_unknown_is_asked_for_again() {
    let app = App::new().await;
    let order = app.order().await;
    app.die(&order, "pm_card_timeout", Fault::HoldBefore).await;
    app.outlive_leases();
    assert_eq!(counts(&app).await, Counts { unknown: 1, ..Counts::default() });
    app.outlive_leases();
    assert_eq!(counts(&app).await, Counts { succeeded: 1, ..Counts::default() });
    app.assert_paid_once(&order).await;
}

#[tokio::test]
async fn what_the_provider_refuses_sets_off_the_alarm() {
    let app = App::new().await;
    let order = app.order().await;
    app.die(&order, "pm_card_visa", Fault::HoldBefore).await;
    let payment = app.payments().await.remove(0);
    let other = ChargeRequest {
        idempotency_key: payment.id,
        amount: payment.amount.times(2).unwrap(),
        method: payment.method.token,
        user_id: payment.user_id,
        order_id: payment.order_id,
        created_at: payment.created_at,
        is_repeated: false,
    };
    app.state.provider.charge(&other).await.unwrap();
    app.outlive_leases();
    let answer = app.pay_with(&order, "pm_card_visa").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    app.outlive_leases();
    let error = run(&app.state).await.unwrap_err();
    let incomplete: &Incomplete = error.downcast_ref().unwrap();
    assert_eq!(incomplete.counts, Counts { failed: 1, ..Counts::default() });
}

#[tokio::test]
async fn two_runs_at_once_and_a_request_finish_a_payment_once() {
    let app = App::new().await;
    let order = app.order().await;
    app.die(&order, "pm_card_visa", Fault::HoldAfter).await;
    app.outlive_leases();
    let (one, two, answer) =
        tokio::join!(run(&app.state), run(&app.state), app.pay_with(&order, "pm_card_visa"));
    let by_request = u32::from(answer.status == StatusCode::CREATED);
    assert_eq!(one.unwrap().succeeded + two.unwrap().succeeded + by_request, 1);
    app.assert_paid_once(&order).await;
}
