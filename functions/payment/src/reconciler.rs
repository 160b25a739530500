//! Finishes what nobody works on any more, and pays back what orders are due.
//!
//! Three work lists, each the longest untouched first: payments and refunds whose owner's lease ran out, and orders that were
//! cancelled after they were paid.

use jiff::{SignedDuration, Timestamp};
use order::model::Actor;
use order::store::RefundDue;
use serde::Serialize;
use shared::run::Failure;
use shared::trace;
use tokio::task::JoinSet;

use crate::State;
use crate::model::{Payment, Progress, Refund, RefundProgress};
use crate::refunds::{self, Wanted};
use crate::settlement::{SettleError, nothing, settle, take_over};

/// How much one run takes on of each list, all at once: together that takes as long as the slowest provider's answer,
/// which is well within the function's timeout. What is left is the next run's.
const BATCH: i32 = 25;

/// The shortest and the longest pause before a refund that failed, or is still under way, is looked at again; in between
/// it is as long as it has been due.
const PAUSE: (SignedDuration, SignedDuration) =
    (SignedDuration::from_mins(10), SignedDuration::from_hours(24));

/// What a run came to, in payments and refunds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    /// Charged.
    pub succeeded: u32,
    /// Not charged.
    pub declined: u32,
    /// Paid back.
    pub refunded: u32,
    /// Still unknown; a later run asks again.
    pub unknown: u32,
    /// Somebody else went on with it first.
    pub taken: u32,
    /// Something is wrong; it was logged.
    pub failed: u32,
}

/// Something could not be reconciled.
#[derive(Debug, thiserror::Error)]
#[error("{failed} could not be reconciled, see the log: {counts:?}", failed = counts.failed)]
pub struct Incomplete {
    /// What the run came to.
    pub counts: Counts,
}

/// How one piece of work ended.
#[derive(Debug, Clone, Copy)]
enum Ended {
    Succeeded,
    Declined,
    Refunded,
    Unknown,
    Taken,
    Failed,
}

/// Takes over what was abandoned and goes on with it as the routes do. One that fails, or panics, stops no other; the run
/// then ends as [`Incomplete`], so that the alarm on the function's errors sees it.
pub async fn run(state: &State) -> Result<Counts, Failure> {
    let now = state.clock.now();
    let mut tasks = JoinSet::new();
    // Boxed: they are large, and would be held by whoever awaits this.
    let (payments, refunds, due) = tokio::try_join!(
        Box::pin(state.payments.abandoned(now, BATCH)),
        Box::pin(state.payments.abandoned_refunds(now, BATCH)),
        Box::pin(state.orders.refunds_due(now, BATCH)),
    )?;
    for payment in payments {
        let state = state.clone();
        tasks.spawn(trace::follow(payment.trace, async move { reconcile(&state, payment).await }));
    }
    for refund in refunds {
        let state = state.clone();
        tasks.spawn(trace::follow(refund.trace, async move { reconcile_refund(&state, refund).await }));
    }
    for due in due {
        let state = state.clone();
        tasks.spawn(trace::follow(None, async move { pay_back(&state, due).await }));
    }
    let mut counts = Counts::default();
    while let Some(outcome) = tasks.join_next().await {
        let count = match outcome {
            Ok(Ok(ended)) => counts.of(ended),
            Ok(Err(SettleError::Unknown)) => &mut counts.unknown,
            Ok(Err(error)) => {
                tracing::error!(error = %shared::problem::Chain(&error), "cannot be reconciled");
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

impl Counts {
    fn of(&mut self, ended: Ended) -> &mut u32 {
        match ended {
            Ended::Succeeded => &mut self.succeeded,
            Ended::Declined => &mut self.declined,
            Ended::Refunded => &mut self.refunded,
            Ended::Unknown => &mut self.unknown,
            Ended::Taken => &mut self.taken,
            Ended::Failed => &mut self.failed,
        }
    }
}

async fn reconcile(state: &State, payment: Payment) -> Result<Ended, SettleError> {
    let Some(payment) = take_over(state, payment, &nothing).await? else {
        return Ok(Ended::Taken);
    };
    let order = state.orders.order(payment.user_id, payment.order_id).await?;
    let order = order.ok_or(SettleError::MarkMissing)?;
    Ok(match settle(state, &order, payment, &nothing).await?.value.progress {
        Progress::Succeeded { .. } => Ended::Succeeded,
        Progress::Declined { .. } => Ended::Declined,
        Progress::Processing { .. } => Ended::Unknown,
    })
}

async fn reconcile_refund(state: &State, refund: Refund) -> Result<Ended, SettleError> {
    let Some(refund) = refunds::take_over(state, refund).await? else {
        return Ok(Ended::Taken);
    };
    settle_refund(state, refund).await
}

async fn settle_refund(state: &State, refund: Refund) -> Result<Ended, SettleError> {
    let refund_id = refund.id;
    Ok(match refunds::settle(state, refund, &nothing).await?.value.progress {
        RefundProgress::Succeeded { .. } => Ended::Refunded,
        RefundProgress::Processing { .. } => Ended::Unknown,
        RefundProgress::Failed { failure, .. } => {
            tracing::error!(%refund_id, failure = failure.code(), "a refund failed: pay it back in another way");
            Ended::Failed
        }
    })
}

/// Pays back all that is left of the payment of a cancelled order. The order is on the list until that is done: whoever dies
/// on the way leaves a refund under way, or the order as it was.
async fn pay_back(state: &State, due: RefundDue) -> Result<Ended, SettleError> {
    let now = state.clock.now();
    let payment = state.payments.payment(due.user_id, due.payment_id).await?;
    let payment = payment.ok_or(SettleError::MarkMissing)?;
    let amount = payment.refundable();
    if amount.amount == 0 {
        // Another refund is under way; should it fail, there is something left again.
        state.orders.postpone_refund(&due, pause(&payment, now)).await?;
        return Ok(Ended::Taken);
    }
    let wanted = Wanted { amount, by: Actor::System, by_id: None, reason: None };
    let Some(refund) = refunds::begin(state, &payment, wanted, &nothing).await? else {
        return Ok(Ended::Taken);
    };
    let ended = settle_refund(state, refund).await?;
    if matches!(ended, Ended::Failed) {
        state.orders.postpone_refund(&due, pause(&payment, now)).await?;
    }
    Ok(ended)
}

/// Until when: later and later, counted from the payment.
fn pause(payment: &Payment, now: Timestamp) -> Timestamp {
    let age = now.duration_since(payment.created_at);
    now.saturating_add(age.clamp(PAUSE.0, PAUSE.1)).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
