//! The steps of a refund, the same for `POST /payments/{id}/refund`, for the provider's webhook and for the reconciler:
//! intent, which reserves the amount of the payment; the provider; and the outcome, in one transaction with payment and
//! order. Each is safe to repeat, and who dies in between leaves a lease that runs out.

use order::model::{Actor, Reason, Refunded};
use shared::db::{DbError, TransactionError};
use shared::money::Money;
use shared::problem::Chain;
use uuid::Uuid;

use crate::State;
use crate::model::{Payment, Refund, RefundOutcome, RefundProgress};
use crate::provider::{ProviderError, RefundRequest};
use crate::settlement::{Alongside, SettleError, Settled, nothing, take_lease};

/// How often an order is read again because it changed between the read and the write.
const ATTEMPTS: u32 = 5;

/// Who wants money to go back, and why.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// How much.
    pub amount: Money,
    /// Who wants it.
    pub by: Actor,
    /// Who exactly, where that is a user.
    pub by_id: Option<Uuid>,
    /// Why.
    pub reason: Option<Reason>,
}

/// Records the intent to pay back some of `payment`, and takes the refund's first lease; `note` is written in the same
/// transaction. None where less than that is left.
pub async fn begin(
    state: &State,
    payment: &Payment,
    wanted: Wanted,
    note: Alongside<'_, Refund>,
) -> Result<Option<Refund>, SettleError> {
    let Some(charge_id) = payment.charge_id() else { return Ok(None) };
    let now = state.clock.now();
    let refund = Refund {
        id: state.ids.uuid(now),
        payment_id: payment.id,
        user_id: payment.user_id,
        order_id: payment.order_id,
        amount: wanted.amount,
        charge_id: charge_id.to_owned(),
        by: wanted.by,
        by_id: wanted.by_id,
        reason: wanted.reason,
        created_at: now,
        trace: payment.trace,
        progress: RefundProgress::Processing { in_flight_since: now },
    };
    let mut transaction = state.payments.transaction();
    for write in state.payments.begin_refund_writes(payment, &refund)? {
        transaction.add(write);
    }
    let noted = note(&mut transaction, &refund)?;
    match transaction.run().await {
        Ok(()) => Ok(Some(refund)),
        Err(TransactionError::Cancelled(reasons)) if noted.superseded(&reasons) => {
            Err(SettleError::Superseded)
        }
        Err(TransactionError::Cancelled(_)) => Ok(None),
        Err(TransactionError::Db(error)) => Err(error.into()),
    }
}

/// Takes the refund over from whoever began it; none where it went on in the meantime.
pub async fn take_over(state: &State, refund: Refund) -> Result<Option<Refund>, SettleError> {
    let now = state.clock.now();
    let Some(write) = state.payments.take_over_refund_write(&refund, now)? else { return Ok(None) };
    let taken = Refund { progress: RefundProgress::Processing { in_flight_since: now }, ..refund };
    take_lease(state, write, taken, &nothing).await
}

/// Pays back and records the outcome; the refund as it finally is. As with payments, nothing breaks if two do.
pub async fn settle(
    state: &State,
    refund: Refund,
    alongside: Alongside<'_, Refund>,
) -> Result<Settled<Refund>, SettleError> {
    let outcome = pay_back(state, &refund).await?;
    finish(state, refund, outcome, alongside).await
}

async fn pay_back(state: &State, refund: &Refund) -> Result<RefundOutcome, SettleError> {
    let request = RefundRequest {
        idempotency_key: refund.id,
        charge_id: refund.charge_id.clone(),
        amount: refund.amount,
        payment_id: refund.payment_id,
        is_repeated: refund.is_repeated(),
    };
    match tokio::time::timeout(state.provider_deadline, state.provider.refund(&request)).await {
        Ok(Ok(outcome)) => Ok(outcome),
        Ok(Err(error @ ProviderError::Unknown(_))) => {
            tracing::warn!(refund_id = %refund.id, error = %Chain(&error), "the outcome of a refund is unknown");
            Err(SettleError::Unknown)
        }
        Ok(Err(error)) => {
            tracing::error!(refund_id = %refund.id, error = %Chain(&error), "the provider refuses a refund");
            Err(SettleError::Refused)
        }
        Err(elapsed) => {
            tracing::warn!(refund_id = %refund.id, error = %elapsed, "the outcome of a refund is unknown");
            Err(SettleError::Unknown)
        }
    }
}

/// Records the outcome that the provider gave, whichever way it came.
pub async fn finish(
    state: &State,
    refund: Refund,
    outcome: RefundOutcome,
    alongside: Alongside<'_, Refund>,
) -> Result<Settled<Refund>, SettleError> {
    let (user_id, payment_id, refund_id) = (refund.user_id, refund.payment_id, refund.id);
    for _ in 0..ATTEMPTS {
        let now = state.clock.now();
        let finished = refund.clone().finished(outcome.clone(), now);
        let mut transaction = state.payments.transaction();
        let [record, payment] = state.payments.finish_refund_writes(&finished)?;
        let recorded = transaction.add(record);
        transaction.add(payment);
        if matches!(finished.progress, RefundProgress::Succeeded { .. }) {
            let order = state.orders.order(user_id, finished.order_id).await?;
            let order = order.ok_or(SettleError::MarkMissing)?;
            let Refund { amount, by, by_id, reason, .. } = finished.clone();
            let refunded = Refunded { refund_id, amount, by, by_id, reason };
            // Where the order was read after another one has recorded this refund, it does not fit it any more.
            let writes = match state.orders.refund_writes(&order, &refunded, now) {
                Ok(writes) => writes,
                Err(DbError::Refused(error)) => match recorded_one(state, &refund).await? {
                    Some(settled) => return Ok(settled),
                    None => return Err(DbError::Refused(error).into()),
                },
                Err(error) => return Err(error.into()),
            };
            for write in writes {
                transaction.add(write);
            }
        }
        let answered = alongside(&mut transaction, &finished)?;
        match transaction.run().await {
            Ok(()) => {
                tracing::info!(%refund_id, %payment_id, "refund finished");
                return Ok(Settled { value: finished, by_us: true });
            }
            Err(TransactionError::Cancelled(reasons)) if reasons.failed(recorded) => {
                return recorded_one(state, &refund).await?.ok_or(SettleError::MarkMissing);
            }
            Err(TransactionError::Cancelled(reasons)) if answered.superseded(&reasons) => {
                return Err(SettleError::Superseded);
            }
            // The order has moved on: the refund belongs to it as it is now.
            Err(TransactionError::Cancelled(_)) => {}
            Err(TransactionError::Db(error)) => return Err(error.into()),
        }
    }
    Err(DbError::Conflict.into())
}

/// The refund, where somebody else has recorded its outcome.
async fn recorded_one(state: &State, refund: &Refund) -> Result<Option<Settled<Refund>>, DbError> {
    let recorded = state.payments.refund(refund.user_id, refund.payment_id, refund.id).await?;
    let recorded = recorded.filter(|refund| refund.in_flight_since().is_none());
    Ok(recorded.map(|value| Settled { value, by_us: false }))
}
