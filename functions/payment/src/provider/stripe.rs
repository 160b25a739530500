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

use serde::Deserialize;
use shared::aws::Aws;
use shared::clock::Clock;
use shared::config::Env;
use shared::money::Money;
use shared::run::Failure;
use uuid::Uuid;

pub use secret::{SecretError, StripeSecret};

use super::{Answer, Charge, ChargeRequest, PaymentProvider, ProviderError, RefundRequest};
use crate::model::{DeclineReason, MethodToken, PaymentMethod, RefundFailure, RefundOutcome};
use api::{Api, ApiError, List};
use secret::Secrets;

/// How many pages of a list are looked through for one charge.
const PAGES: usize = 100;

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
        // A card number is neither sent on nor stored.
        if !token.as_str().starts_with("pm_")
            || !token.as_str()[3..].bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
        {
            return Ok(None);
        }
        let path = format!("/v1/payment_methods/{}", token.as_str());
        match self.authorized().await.get::<MethodObject>(&path, &[]).await {
            Ok(method) => {
                // Stripe's test tokens name a new object at each look: what is charged is the one that was shown.
                let Ok(token) = MethodToken::try_from(method.id) else { return Ok(None) };
                let card = method.card.unwrap_or(Card { brand: "other".to_owned(), last4: String::new() });
                Ok(Some(PaymentMethod { token, brand: card.brand, last4: card.last4 }))
            }
            Err(ApiError::Refused(failure)) if failure.is_missing() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    async fn make_charge(&self, request: &ChargeRequest) -> Result<Charge, ProviderError> {
        let api = self.authorized().await;
        if request.is_repeated
            && let Some(intent) = find_intent(&api, request.idempotency_key).await?
        {
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
            // Somebody paid it back in Stripe's dashboard.
            Err(ApiError::Refused(failure)) if failure.is_refunded_already() => {
                tracing::error!(charge_id = request.charge_id, "was refunded at Stripe, and not by us");
                Ok(RefundOutcome::Failed(RefundFailure::Rejected))
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl PaymentProvider for Stripe {
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

/// The intent of one of our payments.
async fn find_intent(api: &Api, payment_id: Uuid) -> Result<Option<PaymentIntent>, ProviderError> {
    let is_it = |intent: &PaymentIntent| intent.metadata.payment_id == Some(payment_id.to_string());
    let query = [("query", format!("metadata['payment_id']:'{payment_id}'"))];
    match api.get::<List<PaymentIntent>>("/v1/payment_intents/search", &query).await {
        Ok(found) => return Ok(found.data.into_iter().find(is_it)),
        // Search is not offered everywhere; the list is.
        Err(ApiError::Refused(failure)) => tracing::info!(%failure, "no search for payment intents"),
        Err(error) => return Err(error.into()),
    }
    let mut query = vec![("limit", "100".to_owned())];
    for _ in 0..PAGES {
        let page: List<PaymentIntent> = api.get("/v1/payment_intents", &query).await?;
        let last = page.data.last().map(|intent| intent.id.clone());
        if let Some(intent) = page.data.into_iter().find(is_it) {
            return Ok(Some(intent));
        }
        let Some(last) = last.filter(|_| page.has_more) else { return Ok(None) };
        query.truncate(1);
        query.push(("starting_after", last));
    }
    Err(ProviderError::Unknown(Trouble::TooMany.into()))
}

async fn find_refund(api: &Api, request: &RefundRequest) -> Result<Option<RefundObject>, ProviderError> {
    let query = [("payment_intent", request.charge_id.clone()), ("limit", "100".to_owned())];
    let found: List<RefundObject> = api.get("/v1/refunds", &query).await?;
    let id = request.idempotency_key.to_string();
    Ok(found.data.into_iter().find(|refund| refund.metadata.refund_id.as_ref() == Some(&id)))
}

/// What an intent came to. One that waits for its customer is cancelled: there is none in front of it.
async fn settled(api: &Api, amount: Money, intent: PaymentIntent) -> Result<Charge, ProviderError> {
    if !intent.is_about(amount) {
        return Err(ProviderError::Refused(Trouble::OtherAmount(intent.id).into()));
    }
    match intent.status.as_str() {
        "requires_action" | "requires_confirmation" => {
            let path = format!("/v1/payment_intents/{}/cancel", intent.id);
            api.post::<PaymentIntent>(&path, None, &[]).await?;
            Err(ProviderError::Declined(DeclineReason::AuthenticationRequired))
        }
        _ => match intent.outcome() {
            Some(Ok(charge)) => Ok(charge),
            Some(Err(reason)) => Err(ProviderError::Declined(reason)),
            None => Err(ProviderError::Unknown(Trouble::Undecided(intent.id, intent.status).into())),
        },
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
                let failure = self.last_payment_error.as_ref();
                Some(Err(failure.map_or(DeclineReason::CardDeclined, api::Failure::reason)))
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
