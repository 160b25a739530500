//! Stripe's HTTP API, as much of it as is used here: form-encoded requests, JSON answers.

use std::fmt;
use std::time::Duration;

use http::StatusCode;
use http::header::{AUTHORIZATION, HeaderValue};
use reqwest::{Client, RequestBuilder};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::secret::StripeSecret;
use crate::model::DeclineReason;
use crate::provider::ProviderError;

/// The version that the types here are written for. <https://docs.stripe.com/api/versioning>
const VERSION: &str = "2025-09-30.clover";

/// A client, and who it is.
#[derive(Debug, Clone)]
pub(super) struct Api {
    client: Client,
    base: String,
    authorization: Option<HeaderValue>,
}

/// One page. <https://docs.stripe.com/api/pagination>
#[derive(Debug, Deserialize)]
pub(super) struct List<T> {
    pub(super) data: Vec<T>,
    #[serde(default)]
    pub(super) has_more: bool,
}

/// <https://docs.stripe.com/api/errors>
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Failure {
    #[serde(rename = "type")]
    kind: Option<String>,
    code: Option<String>,
    decline_code: Option<String>,
    message: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct Failed {
    #[serde(default)]
    error: Failure,
}

/// Why there is no answer that helps.
#[derive(Debug, thiserror::Error)]
pub(super) enum ApiError {
    /// The card says no.
    #[error("declined: {0}")]
    Declined(Failure),
    /// Stripe does not accept the request.
    #[error("Stripe answers {0}: {1}")]
    Refused(StatusCode, Failure),
    /// Later: Stripe is busy with the same request, or with too many, or broken.
    #[error("Stripe answers {0}: {1}")]
    Later(StatusCode, Failure),
    /// No answer, or one that cannot be read.
    #[error("no answer from Stripe")]
    NoAnswer(#[source] reqwest::Error),
}

impl Api {
    /// Stripe at `base`, such as `https://api.stripe.com`.
    pub(super) fn new(base: &str) -> Result<Self, reqwest::Error> {
        let client = Client::builder()
            .no_proxy()
            .connect_timeout(Duration::from_secs(2))
            // The caller's own deadline is shorter than this for the second call of a charge.
            .timeout(Duration::from_secs(6))
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self { client, base: base.trim_end_matches('/').to_owned(), authorization: None })
    }

    /// The same, with a key.
    pub(super) fn authorized(&self, secret: &StripeSecret) -> Self {
        Self { authorization: secret.authorization(), ..self.clone() }
    }

    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<T, ApiError> {
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
        self.send(self.client.get(format!("{}{path}?{query}", self.base))).await
    }

    pub(super) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        idempotency_key: Option<Uuid>,
        form: &[(&str, String)],
    ) -> Result<T, ApiError> {
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let post = self.client.post(format!("{}{path}", self.base));
        let post = post.header("content-type", "application/x-www-form-urlencoded").body(form);
        self.send(match idempotency_key {
            Some(key) => post.header("idempotency-key", key.to_string()),
            None => post,
        })
        .await
    }

    async fn send<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, ApiError> {
        let request = request.header("stripe-version", VERSION);
        let request = match &self.authorization {
            Some(authorization) => request.header(AUTHORIZATION, authorization.clone()),
            None => request,
        };
        let answer = request.send().await.map_err(no_answer)?;
        let status = answer.status();
        if status.is_success() {
            return answer.json().await.map_err(no_answer);
        }
        let Failed { error } = answer.json().await.unwrap_or_default();
        Err(match status {
            StatusCode::PAYMENT_REQUIRED => ApiError::Declined(error),
            StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS => ApiError::Later(status, error),
            _ if status.is_client_error() => ApiError::Refused(status, error),
            _ => ApiError::Later(status, error),
        })
    }
}

/// Without the URL, which names a payment method.
fn no_answer(error: reqwest::Error) -> ApiError {
    ApiError::NoAnswer(error.without_url())
}

impl ApiError {
    /// Stripe will never do what was asked: there is something about it that it does not take. Nothing was done, and asking
    /// again does nothing.
    pub(super) fn is_final(&self) -> bool {
        let Self::Refused(status, failure) = self else { return false };
        [StatusCode::BAD_REQUEST, StatusCode::NOT_FOUND].contains(status)
            && failure.kind.as_deref() == Some("invalid_request_error")
    }
}

impl Failure {
    /// The object that the request named does not exist.
    pub(super) fn is_missing(&self) -> bool {
        self.is("resource_missing") || (self.code.is_none() && self.says("No such") || self.says("Not Found"))
    }

    /// Why a card was declined. <https://docs.stripe.com/declines/codes>
    pub(super) fn reason(&self) -> DeclineReason {
        let code = self.decline_code.as_ref().or(self.code.as_ref()).map(String::as_str);
        match code {
            Some("insufficient_funds") => DeclineReason::InsufficientFunds,
            Some("expired_card") => DeclineReason::ExpiredCard,
            Some("authentication_required" | "payment_intent_authentication_failure") => {
                DeclineReason::AuthenticationRequired
            }
            _ => DeclineReason::CardDeclined,
        }
    }

    fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }

    fn says(&self, words: &str) -> bool {
        self.message.as_ref().is_some_and(|message| message.contains(words))
    }
}

/// For the operator; Stripe's messages name objects and parameters, never a card.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [&self.kind, &self.code, &self.decline_code, &self.message];
        let parts: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
        f.write_str(&parts.join(", "))
    }
}

impl From<ApiError> for ProviderError {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::Declined(failure) => Self::Declined(failure.reason()),
            ApiError::Refused(..) => Self::Refused(error.into()),
            ApiError::Later(..) | ApiError::NoAnswer(_) => Self::Unknown(error.into()),
        }
    }
}
