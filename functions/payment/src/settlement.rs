//! The steps of a payment, the same for `POST /pay` and for the reconciler.

use order::model::Order;
use shared::db::{DbError, TransactionError};
use shared::problem::Chain;

use crate::State;
use crate::model::{Outcome, Payment, PaymentMethod, Progress};
use crate::provider::{ChargeRequest, ProviderError};

/// Why a payment could not be finished now. It stays in flight, for the next to take over.
#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    /// The provider did not say whether it charged.
    #[error("the outcome of the payment is not known")]
    Unknown,
    /// The provider does not accept the request, which says nothing about an earlier one under the same key: someone must
    /// look.
    #[error("the provider refuses the charge")]
    Refused,
    /// Payment and order contradict each other: a bug.
    #[error("the order does not carry the mark of its payment")]
    MarkMissing,
    /// The outcome could not be recorded.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Records the intent to pay all of `order`, and takes the payment's first lease. None where the order is no longer
/// as it was read: read it again.
pub async fn begin(
    state: &State,
    order: &Order,
    method: PaymentMethod,
    save_method: bool,
) -> Result<Option<Payment>, DbError> {
    let now = state.clock.now();
    let payment = Payment {
        id: state.ids.uuid(now),
        user_id: order.user_id,
        order_id: order.id,
        amount: order.total,
        method,
        save_method,
        created_at: now,
        progress: Progress::Processing { in_flight_since: now },
    };
    let mut transaction = state.payments.transaction();
    transaction.add(state.payments.begin_write(&payment)?);
    transaction.add(state.orders.begin_payment_write(order, payment.id)?);
    match transaction.run().await {
        Ok(()) => Ok(Some(payment)),
        Err(TransactionError::Cancelled(_)) => Ok(None),
        Err(TransactionError::Db(error)) => Err(error),
    }
}

/// Charges and records the outcome; the payment as it finally is. Whoever calls this holds the lease, but nothing
/// breaks if two do: the provider gives both the same outcome, and one of them records it.
pub async fn settle(state: &State, order: &Order, payment: Payment) -> Result<Payment, SettleError> {
    let outcome = charge(state, &payment).await?;
    finish(state, order, payment, outcome).await
}

async fn charge(state: &State, payment: &Payment) -> Result<Outcome, SettleError> {
    let request = ChargeRequest {
        idempotency_key: payment.id,
        amount: payment.amount,
        method: payment.method.token.clone(),
        user_id: payment.user_id,
    };
    match tokio::time::timeout(state.provider_deadline, state.provider.charge(&request)).await {
        Ok(Ok(charge)) => Ok(Outcome::Charged(charge.id)),
        Ok(Err(ProviderError::Declined(reason))) => Ok(Outcome::Declined(reason)),
        Ok(Err(error @ ProviderError::Refused(_))) => {
            tracing::error!(payment_id = %payment.id, error = %Chain(&error), "the provider refuses a charge");
            Err(SettleError::Refused)
        }
        Ok(Err(error @ ProviderError::Unknown(_))) => {
            tracing::warn!(payment_id = %payment.id, error = %Chain(&error), "the outcome of a charge is unknown");
            Err(SettleError::Unknown)
        }
        Err(elapsed) => {
            tracing::warn!(payment_id = %payment.id, error = %elapsed, "the outcome of a charge is unknown");
            Err(SettleError::Unknown)
        }
    }
}

async fn finish(
    state: &State,
    order: &Order,
    payment: Payment,
    outcome: Outcome,
) -> Result<Payment, SettleError> {
    let now = state.clock.now();
    let (user_id, payment_id) = (payment.user_id, payment.id);
    let finished = payment.finished(outcome, now);
    let mut transaction = state.payments.transaction();
    let recorded = transaction.add(state.payments.finish_write(&finished)?);
    if matches!(finished.progress, Progress::Succeeded { .. }) {
        for write in state.orders.mark_paid_writes(order, payment_id, now)? {
            transaction.add(write);
        }
        if finished.save_method {
            transaction.add(state.payments.default_method_write(user_id, &finished.method)?);
        }
    } else {
        transaction.add(state.orders.release_payment_write(order, payment_id)?);
    }
    match transaction.run().await {
        Ok(()) => {
            tracing::info!(%payment_id, order_id = %order.id, "payment finished");
            Ok(finished)
        }
        // A late owner or a taker-over was first; what it recorded is the truth.
        Err(TransactionError::Cancelled(cancelled)) if cancelled.failed(recorded) => {
            let recorded = state.payments.payment(user_id, payment_id).await?;
            recorded.ok_or(SettleError::MarkMissing)
        }
        Err(TransactionError::Cancelled(_)) => Err(SettleError::MarkMissing),
        Err(TransactionError::Db(error)) => Err(error.into()),
    }
}
