//! `POST /pay`.

use std::time::Duration;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use order::model::{Order, Status};
use serde::Deserialize;
use shared::db::Transaction;
use shared::http::OptionalJson;
use shared::idempotency::{Attempt, Completion, Keyed, Reply};
use shared::problem::{Chain, Problem};
use shared::token::Caller;
use uuid::Uuid;

use super::receipt::Receipt;
use crate::State as App;
use crate::model::{DeclineReason, MethodToken, Payment, PaymentMethod, Progress};
use crate::provider::ProviderError;
use crate::settlement::{self, Alongside, SettleError, begin, nothing, settle};

/// How often an order is read again because somebody changed it between the read and the write.
const ATTEMPTS: u32 = 3;

/// How long a provider may take to say what a payment method is.
const METHOD_DEADLINE: Duration = Duration::from_secs(2);

/// What to pay, and with what. The amount is the order's, never the client's.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub(crate) struct Body {
    /// The caller's newest order awaiting payment, unless given.
    order_id: Option<Uuid>,
    /// The caller's default, unless given.
    payment_method: Option<MethodToken>,
    /// Whether the method becomes the caller's default when the payment succeeds.
    #[serde(default)]
    save_payment_method: bool,
}

/// Pays an order, once. Where an earlier payment of the order was left unfinished, that one is finished, with the
/// method that it was begun with.
pub(crate) async fn post(
    State(app): State<App>,
    caller: Caller,
    Keyed(key, OptionalJson(body)): Keyed<OptionalJson<Body>>,
) -> Result<Response, Problem> {
    let body = body.unwrap_or_default();
    let work = async |attempt: &Attempt| match attempt.noted() {
        // The payment that was begun under this key, whatever the newest order is by now.
        Some(payment_id) => resume(&app, &caller, payment_id, attempt).await,
        None => pay(&app, &caller, body, attempt).await,
    };
    app.idempotency.run(caller.user_id, key, work).await
}

async fn pay(app: &App, caller: &Caller, body: Body, attempt: &Attempt) -> Result<Reply, Problem> {
    let (order, method) =
        tokio::join!(find_order(app, caller, body.order_id), find_method(app, caller, body.payment_method));
    let mut order = order?;
    if !app.provider.takes(order.total.currency) {
        let detail = format!("No payment is taken in {}", order.total.currency);
        return Err(refused_method("currency-not-accepted", "The currency is not accepted", detail));
    }
    if body.save_payment_method && !app.provider.keeps_methods() {
        let problem = Problem::unprocessable("Payment methods are not kept for the next payment");
        return Err(problem.with("field", "save_payment_method"));
    }
    let note =
        |transaction: &mut Transaction, payment: &Payment| attempt.note(transaction, &payment.id.to_string());
    for _ in 0..ATTEMPTS {
        if order.status != Status::PendingPayment {
            return Err(not_payable(&order));
        }
        let payment = match order.payment_id {
            None => {
                let begun = begin(app, &order, method.clone()?, body.save_payment_method, &note).await;
                begun.map_err(|error| refused(error, attempt))?
            }
            Some(payment_id) => {
                let payment = read_payment(app, caller, payment_id).await?;
                take_over(app, payment, &note, attempt).await?
            }
        };
        if let Some(payment) = payment {
            return finish(app, &order, payment, attempt).await;
        }
        order = read_order(app, caller, order.id).await?;
    }
    Err(Problem::unavailable(1))
}

/// Goes on with the payment that a request under the same key began.
async fn resume(app: &App, caller: &Caller, payment_id: &str, attempt: &Attempt) -> Result<Reply, Problem> {
    let payment_id = payment_id.parse().map_err(|error: uuid::Error| Problem::internal(&error))?;
    for _ in 0..ATTEMPTS {
        let payment = read_payment(app, caller, payment_id).await?;
        if payment.in_flight_since().is_none() {
            return reply(&payment);
        }
        if let Some(payment) = take_over(app, payment, &nothing, attempt).await? {
            let order = read_order(app, caller, payment.order_id).await?;
            return finish(app, &order, payment, attempt).await;
        }
    }
    Err(Problem::unavailable(1))
}

async fn find_order(app: &App, caller: &Caller, order_id: Option<Uuid>) -> Result<Order, Problem> {
    match order_id {
        Some(order_id) => read_order(app, caller, order_id).await,
        None => app.orders.newest_open(caller.user_id).await?.ok_or_else(|| {
            Problem::conflict("nothing-owed", "Nothing is owed", "The caller has no order awaiting payment")
        }),
    }
}

async fn read_order(app: &App, caller: &Caller, order_id: Uuid) -> Result<Order, Problem> {
    let order = app.orders.order(caller.user_id, order_id).await?;
    order.ok_or_else(|| Problem::not_found("The caller has no such order"))
}

async fn find_method(
    app: &App,
    caller: &Caller,
    token: Option<MethodToken>,
) -> Result<PaymentMethod, Problem> {
    let Some(token) = token else {
        let default = if app.provider.keeps_methods() {
            app.payments.default_method(caller.user_id).await?
        } else {
            None
        };
        return default.ok_or_else(|| {
            let detail = "Send payment_method: the caller has no default payment method";
            refused_method("no-payment-method", "A payment method is needed", detail)
        });
    };
    let asked = tokio::time::timeout(METHOD_DEADLINE, app.provider.method(&token));
    let Ok(method) = asked.await else {
        tracing::warn!("the provider takes too long to say what a payment method is");
        return Err(Problem::unavailable(1));
    };
    match method {
        Ok(Some(method)) => Ok(method),
        // The detail does not repeat it: it may be a card number.
        Ok(None) => Err(refused_method(
            "unknown-payment-method",
            "The payment method is not known",
            "Send the token of a payment method, such as pm_card_visa",
        )),
        Err(ProviderError::Declined(reason)) => Err(declined(reason)),
        Err(error) => {
            tracing::error!(error = %Chain(&error), "the provider does not say what a payment method is");
            Err(Problem::unavailable(1))
        }
    }
}

/// Order and payment are written together, so neither ever names a payment that is not there.
async fn read_payment(app: &App, caller: &Caller, payment_id: Uuid) -> Result<Payment, Problem> {
    let payment = app.payments.payment(caller.user_id, payment_id).await?;
    payment.ok_or_else(|| Problem::internal(&SettleError::MarkMissing))
}

/// Takes the unfinished payment over from whoever began it; none where it went on in the meantime.
async fn take_over(
    app: &App,
    payment: Payment,
    note: Alongside<'_, Payment>,
    attempt: &Attempt,
) -> Result<Option<Payment>, Problem> {
    match payment.lease_left(app.clock.now()) {
        0 => settlement::take_over(app, payment, note).await.map_err(|error| refused(error, attempt)),
        seconds => Err(Problem::conflict(
            "payment-in-progress",
            "A payment for the order is under way",
            "Its outcome decides; ask again shortly",
        )
        .with("order_id", payment.order_id.to_string())
        .with("payment_id", payment.id.to_string())
        .retry_after(seconds)),
    }
}

async fn finish(app: &App, order: &Order, payment: Payment, attempt: &Attempt) -> Result<Reply, Problem> {
    let in_flight = payment.clone();
    let answer = |transaction: &mut Transaction, payment: &Payment| match reply(payment) {
        Ok(reply) => attempt.complete(transaction, &reply),
        // It is built again for the caller, and fails there.
        Err(_) => Ok(Completion::default()),
    };
    match settle(app, order, payment, &answer).await {
        Ok(settled) => {
            if !settled.by_us {
                attempt.was_not_written();
            }
            match settled.value.in_flight_since() {
                Some(_) => Err(unknown(app, &settled.value)),
                None => reply(&settled.value),
            }
        }
        Err(SettleError::Unknown | SettleError::Refused) => Err(unknown(app, &in_flight)),
        Err(error) => Err(refused(error, attempt)),
    }
}

fn refused(error: SettleError, attempt: &Attempt) -> Problem {
    match error {
        SettleError::Superseded => attempt.superseded(),
        SettleError::Db(error) => error.into(),
        error => Problem::internal(&error),
    }
}

/// The final answer about a final payment.
fn reply(payment: &Payment) -> Result<Reply, Problem> {
    if let Progress::Declined { decline_reason, .. } = payment.progress {
        return Ok(Reply::problem(
            declined(decline_reason)
                .with("order_id", payment.order_id.to_string())
                .with("payment_id", payment.id.to_string()),
        ));
    }
    Reply::created(format!("/payments/{}", payment.id), &Receipt::from(payment.clone()))
}

fn not_payable(order: &Order) -> Problem {
    let detail = format!("The order is {}", order.status);
    let problem = Problem::conflict("order-not-payable", "The order does not await payment", detail)
        .with("order_id", order.id.to_string())
        .with("order_status", order.status.as_str());
    match order.payment_id {
        Some(payment_id) => problem.with("payment_id", payment_id.to_string()),
        None => problem,
    }
}

fn refused_method(kind: &'static str, title: &'static str, detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, kind, title).detail(detail)
}

fn declined(reason: DeclineReason) -> Problem {
    Problem::new(StatusCode::PAYMENT_REQUIRED, "payment-declined", "The payment was declined")
        .detail(reason.advice())
        .with("decline_reason", reason.code())
}

fn unknown(app: &App, payment: &Payment) -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "payment-unknown",
        "The outcome of the payment is not known yet",
    )
    .detail(
        "Nothing is lost and nothing will be charged twice; ask again for this order_id, or under the same Idempotency-Key",
    )
    .with("order_id", payment.order_id.to_string())
    .with("payment_id", payment.id.to_string())
    .retry_after(payment.lease_left(app.clock.now()).max(1))
}

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod key_tests;
#[cfg(test)]
mod kill_tests;
#[cfg(test)]
mod observed_tests;
#[cfg(test)]
mod parallel_tests;
#[cfg(test)]
mod tests;
