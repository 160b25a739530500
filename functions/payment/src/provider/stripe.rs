//! Stripe: `PaymentIntents`, created and confirmed in one call, off session (the customer is not in front of a page of
//! Stripe's). <https://docs.stripe.com/api/payment_intents/create>
//!
//! The same charge is never asked for twice: each call carries our payment's id as `Idempotency-Key`, which Stripe keeps for
//! at least a day, and whoever goes on with a payment that was begun before first looks whether it was charged, by the
//! payment's id in the intent's metadata. That also holds after that day, and where a peer of the protocol knows no keys.

mod api;
mod secret;
pub mod webhook;

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use shared::aws::Aws;
use shared::clock::Clock;
use shared::config::Env;
use shared::money::{Currency, Money};
use shared::run::Failure;

pub use secret::{SecretError, StripeSecret};

use super::{Answer, Charge, ChargeRequest, PaymentProvider, ProviderError, RefundRequest};
use crate::model::{DeclineReason, MethodToken, PaymentMethod, RefundFailure, RefundOutcome};
use api::{Api, ApiError, List};
use secret::Secrets;

/// How many pages of a list are looked through for one charge.
const PAGES: usize = 100;

/// How far Stripe's clock may be from ours.
const SKEW: SignedDuration = SignedDuration::from_mins(5);

/// Their minor units are not those of ISO 4217 at Stripe, or not all amounts are taken: an amount could mean another one.
/// <https://docs.stripe.com/currencies#special-cases>
const OTHERWISE_COUNTED: [&str; 8] = ["ISK", "UGX", "MGA", "BHD", "JOD", "KWD", "OMR", "TND"];

/// Stripe as the provider.
#[derive(Debug, Clone)]
pub struct Stripe {
    api: Api,
    secrets: Arc<Secrets>,
}

/// <https://docs.stripe.com/api/payment_intents/object>
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct PaymentIntent {
    pub(crate) id: String,
    pub(crate) status: String,
    amount: u64,
    currency: String,
    /// When it was made, in seconds since the epoch.
    #[serde(default)]
    created: i64,
    #[serde(default)]
    pub(crate) metadata: Metadata,
    #[serde(default)]
    last_payment_error: Option<api::Failure>,
}

/// <https://docs.stripe.com/api/refunds/object>
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct RefundObject {
    pub(crate) id: String,
    pub(crate) status: String,
    amount: u64,
    currency: String,
    #[serde(default)]
    pub(crate) metadata: Metadata,
}

/// What we wrote there, if it was us.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) payment_id: Option<String>,
    pub(crate) refund_id: Option<String>,
}

/// <https://docs.stripe.com/api/payment_methods/object>
#[derive(Debug, Deserialize)]
struct MethodObject {
    id: String,
    card: Option<Card>,
}

#[derive(Debug, Deserialize)]
struct Card {
    brand: String,
    last4: String,
}

#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("the payment intent {0} is {1}")]
    Undecided(String, String),
    #[error("the refund {0} is {1}")]
    UndecidedRefund(String, String),
    #[error("the payment intent {0} is about another amount")]
    OtherAmount(String),
    #[error("too many payment intents to look through for one")]
    TooMany,
}

impl Stripe {
    /// Stripe at `STRIPE_API_URL`, with the keys in the secret that `STRIPE_SECRET` names.
    pub async fn load(env: &Env, aws: &Aws, clock: &Clock) -> Result<Self, Failure> {
        let secrets = Secrets::load(aws.secrets_manager(), env.required("STRIPE_SECRET")?, clock).await?;
        Ok(Self::over(env.required("STRIPE_API_URL")?, secrets)?)
    }

    /// Stripe at `base` with these keys, for good; for tests against a peer of the protocol.
    pub fn fixed(base: &str, secret: StripeSecret, clock: &Clock) -> Result<Self, Failure> {
        Ok(Self::over(base, Secrets::fixed(secret, clock))?)
    }

    fn over(base: &str, secrets: Secrets) -> Result<Self, reqwest::Error> {
        Ok(Self { api: Api::new(base)?, secrets: Arc::new(secrets) })
    }

    /// What signs its webhooks.
    pub async fn webhook_secrets(&self) -> Arc<StripeSecret> {
        self.secrets.get().await
    }

    async fn authorized(&self) -> Api {
        self.api.authorized(self.secrets.get().await.as_ref())
    }

    async fn find_method(&self, token: &MethodToken) -> Result<Option<PaymentMethod>, ProviderError> {
        if !is_method_id(token.as_str()) {
            return Ok(None);
        }
        let path = format!("/v1/payment_methods/{}", token.as_str());
        match self.authorized().await.get::<MethodObject>(&path, &[]).await {
            Ok(method) => {
                // Stripe's test tokens name a new object at each look: what is charged is the one that was shown.
                let Ok(token) = MethodToken::try_from(method.id) else { return Ok(None) };
                Ok(method.card.map(|card| PaymentMethod { token, brand: card.brand, last4: card.last4 }))
            }
            Err(ApiError::Refused(_, failure)) if failure.is_missing() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn make_charge(&self, request: &ChargeRequest) -> Result<Charge, ProviderError> {
        let api = self.authorized().await;
        if request.is_repeated
            && let Some(found) = find_intent(&api, request).await?
        {
            // As it is now: what is found may be a while old.
            let intent = api.get(&format!("/v1/payment_intents/{}", found.id), &[]).await?;
            return settled(&api, request.amount, intent).await;
        }
        let form = [
            ("amount", request.amount.amount.to_string()),
            ("currency", request.amount.currency.as_str().to_ascii_lowercase()),
            ("payment_method", request.method.as_str().to_owned()),
            ("payment_method_types[0]", "card".to_owned()),
            ("confirm", "true".to_owned()),
            ("off_session", "true".to_owned()),
            ("metadata[payment_id]", request.idempotency_key.to_string()),
            ("metadata[order_id]", request.order_id.to_string()),
            ("metadata[user_id]", request.user_id.to_string()),
        ];
        let made: Result<PaymentIntent, _> =
            api.post("/v1/payment_intents", Some(request.idempotency_key), &form).await;
        match made {
            Ok(intent) => settled(&api, request.amount, intent).await,
            Err(ApiError::Declined(failure)) => Err(ProviderError::Declined(failure.reason())),
            // Kept in flight it would hold the order, and its stock, for ever.
            Err(error) if error.is_final() => {
                tracing::error!(payment_id = %request.idempotency_key, %error, "Stripe never makes this charge");
                Err(ProviderError::Declined(DeclineReason::NotAccepted))
            }
            Err(error) => Err(error.into()),
        }
    }

    async fn make_refund(&self, request: &RefundRequest) -> Result<RefundOutcome, ProviderError> {
        let api = self.authorized().await;
        if request.is_repeated
            && let Some(refund) = find_refund(&api, request).await?
        {
            return refunded(&refund);
        }
        let form = [
            ("payment_intent", request.charge_id.clone()),
            ("amount", request.amount.amount.to_string()),
            ("metadata[refund_id]", request.idempotency_key.to_string()),
            ("metadata[payment_id]", request.payment_id.to_string()),
        ];
        let made: Result<RefundObject, _> =
            api.post("/v1/refunds", Some(request.idempotency_key), &form).await;
        match made {
            Ok(refund) => refunded(&refund),
            // Disputed, or paid back in Stripe's dashboard: kept in flight it would hold up every other refund of the charge.
            Err(error) if error.is_final() => {
                tracing::error!(refund_id = %request.idempotency_key, %error, "Stripe never makes this refund");
                Ok(RefundOutcome::Failed(RefundFailure::Rejected))
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl PaymentProvider for Stripe {
    fn takes(&self, currency: Currency) -> bool {
        !OTHERWISE_COUNTED.contains(&currency.as_str())
    }

    /// A method that is not attached to a customer of Stripe's can be used once.
    fn keeps_methods(&self) -> bool {
        false
    }

    fn method<'a>(&'a self, token: &'a MethodToken) -> Answer<'a, Option<PaymentMethod>> {
        Box::pin(self.find_method(token))
    }

    fn charge<'a>(&'a self, request: &'a ChargeRequest) -> Answer<'a, Charge> {
        Box::pin(self.make_charge(request))
    }

    fn refund<'a>(&'a self, request: &'a RefundRequest) -> Answer<'a, RefundOutcome> {
        Box::pin(self.make_refund(request))
    }
}

/// Whether it may be the id of a payment method. What has the digits of a card number in it is neither sent on nor stored.
fn is_method_id(token: &str) -> bool {
    let Some(rest) = token.strip_prefix("pm_") else { return false };
    let digits = |run: &[u8]| run.iter().all(u8::is_ascii_digit);
    rest.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
        && !rest.as_bytes().windows(12).any(digits)
}

/// The intent of one of our payments.
async fn find_intent(api: &Api, request: &ChargeRequest) -> Result<Option<PaymentIntent>, ProviderError> {
    let payment_id = request.idempotency_key.to_string();
    let is_it = |intent: &PaymentIntent| intent.metadata.payment_id.as_ref() == Some(&payment_id);
    let query = [("query", format!("metadata['payment_id']:'{payment_id}'"))];
    match api.get::<List<PaymentIntent>>("/v1/payment_intents/search", &query).await {
        Ok(found) => return Ok(found.data.into_iter().find(is_it)),
        // Search is not offered everywhere; the list is.
        Err(ApiError::Refused(_, failure)) => tracing::info!(%failure, "no search for payment intents"),
        Err(error) => return Err(error.into()),
    }
    let begun = request.created_at.saturating_sub(SKEW).map_or(i64::MIN, Timestamp::as_second);
    let mut query = vec![("limit", "100".to_owned())];
    for _ in 0..PAGES {
        let page: List<PaymentIntent> = api.get("/v1/payment_intents", &query).await?;
        let (first, last) = (page.data.first().cloned(), page.data.last().cloned());
        if let Some(intent) = page.data.into_iter().find(is_it) {
            return Ok(Some(intent));
        }
        let (Some(first), Some(last), true) = (first, last, page.has_more) else { return Ok(None) };
        // Stripe has the newest first; a peer may not.
        if last.created < begun && first.created > last.created {
            return Ok(None);
        }
        query.truncate(1);
        query.push(("starting_after", last.id));
    }
    Err(ProviderError::Unknown(Trouble::TooMany.into()))
}

async fn find_refund(api: &Api, request: &RefundRequest) -> Result<Option<RefundObject>, ProviderError> {
    let id = request.idempotency_key.to_string();
    let mut query = vec![("payment_intent", request.charge_id.clone()), ("limit", "100".to_owned())];
    for _ in 0..PAGES {
        let page: List<RefundObject> = api.get("/v1/refunds", &query).await?;
        let last = page.data.last().map(|refund| refund.id.clone());
        if let Some(refund) =
            page.data.into_iter().find(|refund| refund.metadata.refund_id.as_ref() == Some(&id))
        {
            return Ok(Some(refund));
        }
        let Some(last) = last.filter(|_| page.has_more) else { return Ok(None) };
        query.truncate(2);
        query.push(("starting_after", last));
    }
    Err(ProviderError::Unknown(Trouble::TooMany.into()))
}

/// What an intent came to. One that could still be charged is cancelled before it counts as declined: there is no customer in
/// front of it, and the order may be paid in another way from then on.
async fn settled(api: &Api, amount: Money, intent: PaymentIntent) -> Result<Charge, ProviderError> {
    if !intent.is_about(amount) {
        return Err(ProviderError::Refused(Trouble::OtherAmount(intent.id).into()));
    }
    let intent = match intent.status.as_str() {
        "requires_action" | "requires_confirmation" | "requires_payment_method" => {
            let path = format!("/v1/payment_intents/{}/cancel", intent.id);
            let cancelled: PaymentIntent = api.post(&path, None, &[]).await.map_err(|error| {
                // It may have been charged meanwhile.
                ProviderError::Unknown(error.into())
            })?;
            PaymentIntent { last_payment_error: intent.last_payment_error, ..cancelled }
        }
        _ => intent,
    };
    match intent.outcome() {
        Some(Ok(charge)) => Ok(charge),
        Some(Err(reason)) => Err(ProviderError::Declined(reason)),
        None => Err(ProviderError::Unknown(Trouble::Undecided(intent.id, intent.status).into())),
    }
}

fn refunded(refund: &RefundObject) -> Result<RefundOutcome, ProviderError> {
    refund.outcome().ok_or_else(|| {
        ProviderError::Unknown(Trouble::UndecidedRefund(refund.id.clone(), refund.status.clone()).into())
    })
}

impl PaymentIntent {
    /// Whether it is final, and how.
    pub(crate) fn outcome(&self) -> Option<Result<Charge, DeclineReason>> {
        match self.status.as_str() {
            "succeeded" => Some(Ok(Charge { id: self.id.clone() })),
            "requires_payment_method" | "canceled" => {
                // Without an error it is one that waited for its customer.
                let failure = self.last_payment_error.as_ref();
                Some(Err(failure.map_or(DeclineReason::AuthenticationRequired, api::Failure::reason)))
            }
            _ => None,
        }
    }

    pub(crate) fn is_about(&self, amount: Money) -> bool {
        is(amount, self.amount, &self.currency)
    }
}

impl RefundObject {
    /// Whether it is final, and how.
    pub(crate) fn outcome(&self) -> Option<RefundOutcome> {
        match self.status.as_str() {
            "succeeded" => Some(RefundOutcome::Refunded(self.id.clone())),
            "failed" => Some(RefundOutcome::Failed(RefundFailure::Rejected)),
            "canceled" => Some(RefundOutcome::Failed(RefundFailure::Cancelled)),
            _ => None,
        }
    }

    pub(crate) fn is_about(&self, amount: Money) -> bool {
        is(amount, self.amount, &self.currency)
    }
}

fn is(money: Money, amount: u64, currency: &str) -> bool {
    money.amount == amount && money.currency.as_str().eq_ignore_ascii_case(currency)
}

#[cfg(test)]
mod tests;
