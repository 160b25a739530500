//! The steps of a payment, the same for `POST /pay`, for the provider's webhook and for the reconciler.

use aws_sdk_dynamodb::types::TransactWriteItem;
use order::model::Order;
use shared::db::{DbError, Transaction, TransactionError};
use shared::idempotency::Completion;
use shared::metrics;
use shared::problem::Chain;

use crate::State;
use crate::model::{Outcome, Payment, PaymentMethod, Progress};
use crate::provider::{ChargeRequest, ProviderError};

/// Why a payment or a refund could not be finished now. It stays in flight, for the next to take over.
#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    /// The provider did not say whether it moved the money.
    #[error("the outcome is not known")]
    Unknown,
    /// The provider does not accept the request, which says nothing about an earlier one under the same key: someone must
    /// look.
    #[error("the provider refuses the request")]
    Refused,
    /// Payment and order contradict each other: a bug.
    #[error("the order does not carry the mark of its payment")]
    MarkMissing,
    /// Another request goes on under the same idempotency key.
    #[error("another request has taken the idempotency key over")]
    Superseded,
    /// The outcome could not be recorded.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// What else is written in the transaction that records an outcome: the answer to the request that asked for it.
pub type Alongside<'a, T> = &'a (dyn Fn(&mut Transaction, &T) -> Result<Completion, DbError> + Send + Sync);

/// Nothing else: nobody waits for an answer.
pub fn nothing<T>(_: &mut Transaction, _: &T) -> Result<Completion, DbError> {
    Ok(Completion::default())
}

/// Something final, and who recorded it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled<T> {
    /// As it finally is.
    pub value: T,
    /// Whether that was recorded by this call, with what was to be written alongside.
    pub by_us: bool,
}

/// Records the intent to pay all of `order`, and takes the payment's first lease; `note` is written in the same
/// transaction. None where the order is no longer as it was read: read it again.
pub async fn begin(
    state: &State,
    order: &Order,
    method: PaymentMethod,
    save_method: bool,
    note: Alongside<'_, Payment>,
) -> Result<Option<Payment>, SettleError> {
    let now = state.clock.now();
    let payment = Payment {
        id: state.ids.uuid(now),
        user_id: order.user_id,
        order_id: order.id,
        amount: order.total,
        method,
        save_method,
        created_at: now,
        refunded: 0,
        refund_reserved: 0,
        trace: order.trace,
        progress: Progress::Processing { in_flight_since: now },
    };
    let mut transaction = state.payments.transaction();
    for write in state.payments.begin_writes(&payment)? {
        transaction.add(write);
    }
    transaction.add(state.orders.begin_payment_write(order, payment.id)?);
    let noted = note(&mut transaction, &payment)?;
    match transaction.run().await {
        Ok(()) => Ok(Some(payment)),
        Err(TransactionError::Cancelled(reasons)) if noted.superseded(&reasons) => {
            Err(SettleError::Superseded)
        }
        Err(TransactionError::Cancelled(_)) => Ok(None),
        Err(TransactionError::Db(error)) => Err(error.into()),
    }
}

/// Takes the payment over from whoever began it; `note` is written in the same transaction. None where it went on in the
/// meantime.
pub async fn take_over(
    state: &State,
    payment: Payment,
    note: Alongside<'_, Payment>,
) -> Result<Option<Payment>, SettleError> {
    let now = state.clock.now();
    let Some(write) = state.payments.take_over_write(&payment, now)? else { return Ok(None) };
    let taken = Payment { progress: Progress::Processing { in_flight_since: now }, ..payment };
    take_lease(state, write, taken, note).await
}

/// Writes a lease. A transaction also without a note, for its `ClientRequestToken`: an update whose answer got lost would
/// fail on its own success.
pub(crate) async fn take_lease<T>(
    state: &State,
    write: TransactWriteItem,
    taken: T,
    note: Alongside<'_, T>,
) -> Result<Option<T>, SettleError> {
    let mut transaction = state.payments.transaction();
    transaction.add(write);
    let noted = note(&mut transaction, &taken)?;
    match transaction.run().await {
        Ok(()) => Ok(Some(taken)),
        Err(TransactionError::Cancelled(reasons)) if noted.superseded(&reasons) => {
            Err(SettleError::Superseded)
        }
        Err(TransactionError::Cancelled(_)) => Ok(None),
        Err(TransactionError::Db(error)) => Err(error.into()),
    }
}

/// Charges and records the outcome; the payment as it finally is. Whoever calls this holds the lease, but nothing
/// breaks if two do: the provider gives both the same outcome, and one of them records it.
pub async fn settle(
    state: &State,
    order: &Order,
    payment: Payment,
    alongside: Alongside<'_, Payment>,
) -> Result<Settled<Payment>, SettleError> {
    let outcome = charge(state, &payment).await?;
    finish(state, order, payment, outcome, alongside).await
}

async fn charge(state: &State, payment: &Payment) -> Result<Outcome, SettleError> {
    let request = ChargeRequest {
        idempotency_key: payment.id,
        amount: payment.amount,
        method: payment.method.token.clone(),
        user_id: payment.user_id,
        order_id: payment.order_id,
        created_at: payment.created_at,
        is_repeated: payment.is_repeated(),
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

/// Records the outcome that the provider gave, whichever way it came.
pub async fn finish(
    state: &State,
    order: &Order,
    payment: Payment,
    outcome: Outcome,
    alongside: Alongside<'_, Payment>,
) -> Result<Settled<Payment>, SettleError> {
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
    let answered = alongside(&mut transaction, &finished)?;
    match transaction.run().await {
        Ok(()) => {
            tracing::info!(%payment_id, order_id = %order.id, "payment finished");
            if matches!(finished.progress, Progress::Succeeded { .. }) {
                metrics::charge("succeeded");
                metrics::revenue(finished.amount);
            } else {
                metrics::charge("declined");
            }
            Ok(Settled { value: finished, by_us: true })
        }
        // A late owner or a taker-over was first; what it recorded is the truth.
        Err(TransactionError::Cancelled(reasons)) if reasons.failed(recorded) => {
            let recorded = state.payments.payment(user_id, payment_id).await?;
            let value = recorded.ok_or(SettleError::MarkMissing)?;
            Ok(Settled { value, by_us: false })
        }
        Err(TransactionError::Cancelled(reasons)) if answered.superseded(&reasons) => {
            Err(SettleError::Superseded)
        }
        Err(TransactionError::Cancelled(_)) => Err(SettleError::MarkMissing),
        Err(TransactionError::Db(error)) => Err(error.into()),
    }
}
