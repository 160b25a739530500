//! `POST /webhooks/stripe`.

use axum::body::Bytes;
use axum::extract::State;
use http::{HeaderMap, StatusCode};
use shared::problem::Problem;
use uuid::Uuid;

use crate::State as App;
use crate::model::{Outcome, Payment, Progress, RefundOutcome, RefundProgress};
use crate::provider::stripe::webhook::{About, Event};
use crate::provider::stripe::{PaymentIntent, RefundObject};
use crate::settlement::{SettleError, finish, nothing};
use crate::{provider, refunds};

/// Takes what Stripe says became of a payment or a refund, just as its direct answer would have been taken: whichever comes
/// first is recorded, and the other changes nothing. What is none of ours is left alone.
pub(crate) async fn post(
    State(app): State<App>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<StatusCode, Problem> {
    let stripe = app.stripe.as_ref().ok_or_else(|| Problem::not_found("No such path"))?;
    let signature = headers.get("stripe-signature").and_then(|value| value.to_str().ok());
    let secret = stripe.webhook_secrets().await;
    let event = Event::believe(signature, &body, &secret, app.clock.now()).map_err(unbelievable)?;
    if app.payments.has_seen(&event.id).await? {
        return Ok(StatusCode::OK);
    }
    match event.about().map_err(unbelievable)? {
        About::Payment(intent) => payment(&app, &intent).await?,
        About::Refund(refund_object) => refund(&app, &refund_object).await?,
        About::Nothing => {}
    }
    // Afterwards: an event whose function died is to be sent again.
    app.payments.remember_event(&event.id, app.clock.now()).await?;
    Ok(StatusCode::OK)
}

async fn payment(app: &App, intent: &PaymentIntent) -> Result<(), Problem> {
    let Some(payment) = find(app, intent.metadata.payment_id.as_deref()).await? else { return Ok(()) };
    let Some(outcome) = intent.outcome() else { return Ok(()) };
    if !intent.is_about(payment.amount) {
        return Err(contradiction(&intent.id, "is about another amount than its payment"));
    }
    match (&payment.progress, &outcome) {
        (Progress::Processing { .. }, _) => {}
        (Progress::Succeeded { charge_id, .. }, Ok(charge)) if *charge_id == charge.id => return Ok(()),
        // An intent that was tried before it succeeded, told late.
        (Progress::Succeeded { .. } | Progress::Declined { .. }, Err(_)) => return Ok(()),
        (Progress::Succeeded { .. } | Progress::Declined { .. }, Ok(_)) => {
            return Err(contradiction(&intent.id, "charged what is recorded otherwise: look, and refund it"));
        }
    }
    let order = app.orders.order(payment.user_id, payment.order_id).await?;
    let order = order.ok_or_else(|| Problem::internal(&SettleError::MarkMissing))?;
    let outcome = match outcome {
        Ok(provider::Charge { id }) => Outcome::Charged(id),
        Err(reason) => Outcome::Declined(reason),
    };
    finish(app, &order, payment, outcome, &nothing).await.map(|_| ()).map_err(Problem::from)
}

async fn refund(app: &App, object: &RefundObject) -> Result<(), Problem> {
    let Some(payment) = find(app, object.metadata.payment_id.as_deref()).await? else { return Ok(()) };
    let id: Option<Uuid> = object.metadata.refund_id.as_deref().and_then(|id| id.parse().ok());
    let Some(id) = id else { return Ok(()) };
    let Some(refund) = app.payments.refund(payment.user_id, payment.id, id).await? else { return Ok(()) };
    let Some(outcome) = object.outcome() else { return Ok(()) };
    match (&refund.progress, &outcome) {
        (RefundProgress::Processing { .. }, _) => {}
        // A bank may give the money back days later.
        (RefundProgress::Succeeded { .. }, RefundOutcome::Failed(_)) => {
            return Err(contradiction(
                &object.id,
                "failed after it had succeeded: pay it back in another way",
            ));
        }
        _ => return Ok(()),
    }
    if !object.is_about(refund.amount) {
        return Err(contradiction(&object.id, "is about another amount than its refund"));
    }
    refunds::finish(app, refund, outcome, &nothing).await.map(|_| ()).map_err(Problem::from)
}

/// The payment that the metadata names; none where it is none of ours.
async fn find(app: &App, payment_id: Option<&str>) -> Result<Option<Payment>, Problem> {
    let Some(payment_id) = payment_id.and_then(|id| id.parse().ok()) else { return Ok(None) };
    let Some(owner) = app.payments.owner(payment_id).await? else { return Ok(None) };
    Ok(app.payments.payment(owner, payment_id).await?)
}

/// The sender learns no more than that it is not believed.
fn unbelievable(reason: provider::stripe::webhook::Unbelievable) -> Problem {
    tracing::warn!(%reason, "a webhook is not believed");
    Problem::bad_request("The event is not signed as Stripe signs")
}

/// Somebody must look; Stripe tells again, and shows that it is not heard.
fn contradiction(id: &str, what: &str) -> Problem {
    tracing::error!(id, what, "an object of Stripe's contradicts what is recorded");
    Problem::unprocessable("The event contradicts what is recorded")
}

impl From<SettleError> for Problem {
    fn from(error: SettleError) -> Self {
        match error {
            SettleError::Db(error) => error.into(),
            error => Self::internal(&error),
        }
    }
}

#[cfg(test)]
mod tests;
