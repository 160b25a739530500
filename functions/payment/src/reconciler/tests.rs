use http::StatusCode;
use order::model::{Order, Status};

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

/// What the run counted, which failed in part.
async fn incomplete(app: &App) -> Counts {
    let error = run(&app.state).await.unwrap_err();
    error.downcast_ref::<Incomplete>().unwrap().counts
}

fn refunded(refunded: u32) -> Counts {
    Counts { refunded, ..Counts::default() }
}

async fn cancelled(app: &App, card: &str) -> Order {
    let (order, _) = app.paid(card).await;
    assert!(app.cancel(&order).await);
    order
}

#[tokio::test]
async fn a_cancelled_order_is_paid_back_once() {
    let app = App::new().await;
    let order = cancelled(&app, "pm_card_visa").await;
    assert_eq!(app.read(&order).await.status, Status::Cancelled);
    assert_eq!(counts(&app).await, refunded(1));
    let entry = app.read(&order).await.history.pop().unwrap();
    assert_eq!((entry.status, entry.by, entry.by_id), (Status::Refunded, Actor::System, None));
    for _ in 0..3 {
        app.state.clock.advance(SignedDuration::from_hours(1));
        assert_eq!(counts(&app).await, Counts::default(), "nothing is left to do");
    }
    app.assert_refunded(&order, &[5097]).await;
}

#[tokio::test]
async fn an_order_that_was_never_paid_or_is_not_cancelled_is_not_paid_back() {
    let app = App::new().await;
    let unpaid = app.order().await;
    assert!(app.cancel(&unpaid).await);
    let (paid, _) = app.paid("pm_card_visa").await;
    assert_eq!(counts(&app).await, Counts::default());
    assert_eq!(app.read(&unpaid).await.status, Status::Cancelled);
    app.assert_refunded(&paid, &[]).await;
}

#[tokio::test]
async fn two_runs_at_once_pay_a_cancelled_order_back_once() {
    let app = App::new().await;
    let order = cancelled(&app, "pm_card_visa").await;
    let (one, two) = tokio::join!(run(&app.state), run(&app.state));
    assert_eq!(one.unwrap().refunded + two.unwrap().refunded, 1);
    app.assert_refunded(&order, &[5097]).await;
}

#[tokio::test]
async fn a_refund_that_fails_sets_off_the_alarm_and_is_tried_again_after_a_pause() {
    let app = App::new().await;
    let order = cancelled(&app, "pm_card_refund_fail").await;
    let failed = Counts { failed: 1, ..Counts::default() };
    for _ in 0..3 {
        assert_eq!(incomplete(&app).await, failed);
        assert_eq!(counts(&app).await, Counts::default(), "not in the next run");
        app.state.clock.advance(PAUSE.0 - SignedDuration::from_secs(1));
        assert_eq!(counts(&app).await, Counts::default(), "not before the pause is over");
        app.state.clock.advance(SignedDuration::from_hours(1));
    }
    assert_eq!(app.read(&order).await.status, Status::Cancelled);
    app.assert_refunded(&order, &[]).await;
    assert_eq!(app.state.orders.refunds_due(Timestamp::MAX, 9).await.unwrap().len(), 1, "it stays due");
}

#[tokio::test]
async fn one_refund_that_panics_stops_no_other_and_is_finished_later() {
    for fault in [Fault::PanicBefore, Fault::PanicAfter] {
        let app = App::new().await;
        let orders = [cancelled(&app, "pm_card_visa").await, cancelled(&app, "pm_card_visa").await];
        app.provider.next(fault);
        assert_eq!(incomplete(&app).await, Counts { refunded: 1, failed: 1, ..Counts::default() });
        app.outlive_leases();
        // The refund is taken over; the order is still due, and finds that.
        assert_eq!(counts(&app).await.refunded, 1, "{fault:?}");
        for order in &orders {
            assert_eq!(app.read(order).await.status, Status::Refunded);
        }
        assert_eq!(app.refunds().await, [5097, 5097]);
        assert_eq!(app.state.orders.refunds_due(Timestamp::MAX, 9).await.unwrap(), []);
    }
}

fn part() -> serde_json::Value {
    serde_json::json!({"amount": {"amount": 2000, "currency": "EUR"}, "reason": "one mug was broken"})
}

#[tokio::test]
async fn a_part_that_an_admin_was_paying_back_is_not_paid_back_again_with_the_cancelled_order() {
    for fault in [Fault::HoldBefore, Fault::HoldAfter] {
        let app = App::new().await;
        let (order, payment_id) = app.paid("pm_card_visa").await;
        app.provider.next(fault);
        let body = part();
        let (admin, ()) = tokio::join!(app.refund(payment_id, None, &body), async {
            app.provider.struck.notified().await;
            assert!(app.cancel(&order).await);
            assert_eq!(counts(&app).await, refunded(1), "{fault:?}");
            assert_eq!(app.read(&order).await.refunded, 3097);
            app.provider.go_on.notify_one();
        });
        assert_eq!(admin.status, StatusCode::CREATED, "{admin:?}");
        app.assert_refunded(&order, &[2000, 3097]).await;
        assert_eq!(counts(&app).await, Counts::default());
    }
}

#[tokio::test]
async fn a_part_whose_admins_function_died_goes_back_with_the_cancelled_order() {
    for fault in [Fault::HoldBefore, Fault::HoldAfter] {
        let app = App::new().await;
        let (order, payment_id) = app.paid("pm_card_visa").await;
        app.provider.next(fault);
        let body = part();
        tokio::select! {
            answer = app.refund(payment_id, None, &body) => panic!("the fault did not strike: {answer:?}"),
            () = app.provider.struck.notified() => {}
        }
        assert!(app.cancel(&order).await);
        app.outlive_leases();
        assert_eq!(counts(&app).await, refunded(2), "{fault:?}");
        app.assert_refunded(&order, &[2000, 3097]).await;
        assert_eq!(counts(&app).await, Counts::default());
    }
}
