//! Finishes the payments that nobody works on any more.

use serde::Serialize;
use shared::run::Failure;
use tokio::task::JoinSet;
use tracing::Instrument as _;

use crate::State;
use crate::model::{Payment, Progress};
use crate::settlement::{SettleError, settle};

/// How many payments one run takes on, all at once: together they take as long as the slowest provider's answer,
/// which is well within the function's timeout. What is left is the next run's.
const BATCH: i32 = 25;

/// What a run came to, in payments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    /// Charged.
    pub succeeded: u32,
    /// Not charged.
    pub declined: u32,
    /// Still unknown; a later run asks again.
    pub unknown: u32,
    /// Somebody else went on with it first.
    pub taken: u32,
    /// Something is wrong; it was logged.
    pub failed: u32,
}

/// One payment could not be reconciled.
#[derive(Debug, thiserror::Error)]
#[error("{failed} payments could not be reconciled, see the log: {counts:?}", failed = counts.failed)]
pub struct Incomplete {
    /// What the run came to.
    pub counts: Counts,
}

/// Takes over the payments whose lease ran out and goes on with each as `POST /pay` does. One that fails, or panics,
/// stops no other; the run then ends as [`Incomplete`], so that the alarm on the function's errors sees it.
pub async fn run(state: &State) -> Result<Counts, Failure> {
    let mut tasks = JoinSet::new();
    for payment in state.payments.abandoned(state.clock.now(), BATCH).await? {
        let state = state.clone();
        tasks.spawn(async move { reconcile(&state, payment).await }.in_current_span());
    }
    let mut counts = Counts::default();
    while let Some(outcome) = tasks.join_next().await {
        let count = match outcome {
            Ok(Ok(Some(Progress::Succeeded { .. }))) => &mut counts.succeeded,
            Ok(Ok(Some(Progress::Declined { .. }))) => &mut counts.declined,
            Ok(Ok(Some(Progress::Processing { .. })) | Err(SettleError::Unknown)) => &mut counts.unknown,
            Ok(Ok(None)) => &mut counts.taken,
            Ok(Err(error)) => {
                tracing::error!(error = %shared::problem::Chain(&error), "a payment cannot be reconciled");
                &mut counts.failed
            }
            // The panic hook has logged the place.
            Err(_panicked) => &mut counts.failed,
        };
        *count += 1;
    }
    tracing::info!(?counts, "reconciled");
    if counts.failed == 0 { Ok(counts) } else { Err(Incomplete { counts }.into()) }
}

/// How far the payment is now; none where somebody else goes on with it.
async fn reconcile(state: &State, payment: Payment) -> Result<Option<Progress>, SettleError> {
    let Some(payment) = state.payments.take_over(payment, state.clock.now()).await? else {
        return Ok(None);
    };
    let order = state.orders.order(payment.user_id, payment.order_id).await?;
    let order = order.ok_or(SettleError::MarkMissing)?;
    Ok(Some(settle(state, &order, payment).await?.progress))
}

#[cfg(test)]
mod tests {
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
}
