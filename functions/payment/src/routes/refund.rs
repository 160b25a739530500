//! `POST /payments/{id}/refund`.

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use jiff::Timestamp;
use order::model::{Actor, Reason};
use serde::{Deserialize, Serialize};
use shared::db::Transaction;
use shared::http::{Json, Path};
use shared::idempotency::{Attempt, Completion, Keyed, Reply};
use shared::json::object;
use shared::money::Money;
use shared::problem::Problem;
use shared::token::Caller;
use uuid::Uuid;

use crate::State as App;
use crate::model::{Payment, Progress, Refund, RefundProgress};
use crate::refunds::{self, Wanted};
use crate::settlement::SettleError;

/// How often the payment is read again because another refund changed it between the read and the write.
const ATTEMPTS: u32 = 3;

/// How much goes back, and why.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub(crate) struct Body {
    /// All that is left, unless given.
    amount: Option<Amount>,
    reason: Reason,
}

/// At least one minor unit.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "AnObject")]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(transform = bounded))]
struct Amount(Money);

#[derive(Deserialize)]
#[serde(transparent)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
struct AnObject(#[serde(deserialize_with = "object")] Money);

impl TryFrom<AnObject> for Amount {
    type Error = &'static str;

    fn try_from(AnObject(money): AnObject) -> Result<Self, Self::Error> {
        if money.amount == 0 { Err("expected an amount of at least 1 minor unit") } else { Ok(Self(money)) }
    }
}

#[cfg(feature = "openapi")]
fn bounded(amount: &mut schemars::Schema) {
    if let Some(amount) = amount.pointer_mut("/properties/amount") {
        amount["minimum"] = 1.into();
    }
}

/// A refund as the shop sees it.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "Refund"))]
pub(crate) struct View {
    refund_id: Uuid,
    payment_id: Uuid,
    order_id: Uuid,
    #[cfg_attr(feature = "openapi", schemars(extend("enum" = ["PROCESSING", "SUCCEEDED", "FAILED"])))]
    status: &'static str,
    amount: Money,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<Reason>,
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    refunded_at: Option<Timestamp>,
}

/// Pays back some of a payment, or all that is left of it. 503 while the provider has not said what came of it: the refund
/// is under way then, its amount reserved, and the same request under the same key tells how it ended.
pub(crate) async fn post(
    State(app): State<App>,
    caller: Caller,
    Path(payment_id): Path<Uuid>,
    Keyed(key, Json(body)): Keyed<Json<Body>>,
) -> Result<Response, Problem> {
    let work = async |attempt: &Attempt| refund(&app, &caller, payment_id, body, attempt).await;
    app.idempotency.run(caller.user_id, key, work).await
}

async fn refund(
    app: &App,
    caller: &Caller,
    payment_id: Uuid,
    body: Body,
    attempt: &Attempt,
) -> Result<Reply, Problem> {
    let owner = app.payments.owner(payment_id).await?.ok_or_else(no_payment)?;
    if let Some(refund_id) = attempt.noted() {
        return resume(app, (owner, payment_id), refund_id, attempt).await;
    }
    for _ in 0..ATTEMPTS {
        let payment = app.payments.payment(owner, payment_id).await?.ok_or_else(no_payment)?;
        let amount = check(&payment, body.amount)?;
        let wanted = Wanted {
            amount,
            by: Actor::Admin,
            by_id: Some(caller.user_id),
            reason: Some(body.reason.clone()),
        };
        let note = |transaction: &mut Transaction, refund: &Refund| {
            attempt.note(transaction, &refund.id.to_string())
        };
        let begun = refunds::begin(app, &payment, wanted, &note).await;
        if let Some(refund) = begun.map_err(|error| failed(error, None, attempt))? {
            return finish(app, refund, attempt).await;
        }
    }
    Err(Problem::unavailable(1))
}

/// How much goes back, if that can be.
fn check(payment: &Payment, wanted: Option<Amount>) -> Result<Money, Problem> {
    if !matches!(payment.progress, Progress::Succeeded { .. }) {
        let detail = "Only a payment that succeeded can be refunded";
        return Err(Problem::conflict("payment-not-refundable", "There is nothing to refund", detail));
    }
    let left = payment.refundable();
    let amount = wanted.map_or(left, |Amount(amount)| amount);
    if amount.currency != left.currency {
        let detail = format!("The payment was made in {}", left.currency);
        return Err(Problem::unprocessable(detail).with("field", "amount.currency"));
    }
    if amount.amount == 0 || amount.amount > left.amount {
        let refundable = serde_json::to_value(left).map_err(|error| Problem::internal(&error))?;
        let detail = format!("{} {} can still be refunded", left.amount, left.currency);
        let problem = Problem::conflict("refund-exceeds-charge", "A refund cannot exceed the charge", detail);
        return Err(problem.with("refundable", refundable));
    }
    Ok(amount)
}

/// Goes on with the refund that a request under the same key began.
async fn resume(
    app: &App,
    (owner, payment_id): (Uuid, Uuid),
    refund_id: &str,
    attempt: &Attempt,
) -> Result<Reply, Problem> {
    let refund_id = refund_id.parse().map_err(|error: uuid::Error| Problem::internal(&error))?;
    for _ in 0..ATTEMPTS {
        let refund = app.payments.refund(owner, payment_id, refund_id).await?;
        let refund = refund.ok_or_else(|| Problem::internal(&SettleError::MarkMissing))?;
        let now = app.clock.now();
        if refund.in_flight_since().is_none() {
            return reply(&refund);
        }
        if refund.lease_left(now) > 0 {
            return Err(under_way(app, &refund));
        }
        let taken = refunds::take_over(app, refund).await.map_err(|error| failed(error, None, attempt))?;
        if let Some(refund) = taken {
            return finish(app, refund, attempt).await;
        }
    }
    Err(Problem::unavailable(1))
}

async fn finish(app: &App, refund: Refund, attempt: &Attempt) -> Result<Reply, Problem> {
    let in_flight = refund.clone();
    let answer = |transaction: &mut Transaction, refund: &Refund| match reply(refund) {
        Ok(reply) => attempt.complete(transaction, &reply),
        // It is built again for the caller, and fails there.
        Err(_) => Ok(Completion::default()),
    };
    match refunds::settle(app, refund, &answer).await {
        Ok(settled) => {
            if !settled.by_us {
                attempt.was_not_written();
            }
            reply(&settled.value)
        }
        Err(error) => Err(failed(error, Some((app, &in_flight)), attempt)),
    }
}

fn failed(error: SettleError, in_flight: Option<(&App, &Refund)>, attempt: &Attempt) -> Problem {
    match (error, in_flight) {
        (SettleError::Unknown | SettleError::Refused, Some((app, refund))) => under_way(app, refund),
        (SettleError::Superseded, _) => attempt.superseded(),
        (SettleError::Db(error), _) => error.into(),
        (error, _) => Problem::internal(&error),
    }
}

fn under_way(app: &App, refund: &Refund) -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "refund-unknown",
        "The outcome of the refund is not known yet",
    )
    .detail("The refund is under way; the same request under the same Idempotency-Key tells how it ended")
    .with("payment_id", refund.payment_id.to_string())
    .with("refund_id", refund.id.to_string())
    .retry_after(refund.lease_left(app.clock.now()).max(1))
}

/// The final answer about a final refund.
fn reply(refund: &Refund) -> Result<Reply, Problem> {
    if let RefundProgress::Failed { failure, .. } = refund.progress {
        let detail = "The provider did not pay back; nothing was refunded";
        let problem = Problem::conflict("refund-failed", "The refund failed", detail)
            .with("payment_id", refund.payment_id.to_string())
            .with("refund_id", refund.id.to_string())
            .with("failure", failure.code());
        return Ok(Reply::problem(problem));
    }
    Reply::created(format!("/payments/{}", refund.payment_id), &View::from(refund.clone()))
}

fn no_payment() -> Problem {
    Problem::not_found("There is no such payment")
}

impl From<Refund> for View {
    fn from(refund: Refund) -> Self {
        let (status, refunded_at) = match refund.progress {
            RefundProgress::Processing { .. } => ("PROCESSING", None),
            RefundProgress::Succeeded { refunded_at, .. } => ("SUCCEEDED", Some(refunded_at)),
            RefundProgress::Failed { .. } => ("FAILED", None),
        };
        Self {
            refund_id: refund.id,
            payment_id: refund.payment_id,
            order_id: refund.order_id,
            status,
            amount: refund.amount,
            reason: refund.reason,
            created_at: refund.created_at,
            refunded_at,
        }
    }
}

#[cfg(test)]
mod tests;
