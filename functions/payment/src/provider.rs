//! Who moves the money.

mod sandbox;
pub mod stripe;

use std::error::Error;
use std::fmt;
use std::pin::Pin;

use jiff::Timestamp;
use shared::money::{Currency, Money};
use uuid::Uuid;

pub use sandbox::TestProvider;
pub use stripe::Stripe;

use crate::model::{DeclineReason, MethodToken, PaymentMethod, RefundOutcome};

/// What a provider is asked to charge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChargeRequest {
    /// The same key is the same charge, however often and however parallel it is asked for.
    pub idempotency_key: Uuid,
    /// How much.
    pub amount: Money,
    /// From what, as [`PaymentProvider::method`] named it.
    pub method: MethodToken,
    /// Who pays, for the provider's own records.
    pub user_id: Uuid,
    /// What is paid, for the same.
    pub order_id: Uuid,
    /// When the payment began.
    pub created_at: Timestamp,
    /// Whether the provider may have been asked before.
    pub is_repeated: bool,
}

/// What a provider is asked to pay back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefundRequest {
    /// The same key is the same refund, however often and however parallel it is asked for.
    pub idempotency_key: Uuid,
    /// Of which charge, as [`Charge::id`] named it.
    pub charge_id: String,
    /// How much.
    pub amount: Money,
    /// The payment, for the provider's own records.
    pub payment_id: Uuid,
    /// Whether the provider may have been asked before.
    pub is_repeated: bool,
}

/// A charge that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// The provider's name for it.
    pub id: String,
}

/// Why there is no charge, or why nobody knows.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// Nothing was charged, and asking again with the same key never will.
    #[error("the payment method was declined")]
    Declined(DeclineReason),
    /// The answer is lost: charged or not. Asking again with the same key tells.
    #[error("the provider's answer is not known")]
    Unknown(#[source] Box<dyn Error + Send + Sync>),
    /// The provider does not accept our request (our credentials, a key used for another charge): someone must look.
    #[error("the provider refused the request")]
    Refused(#[source] Box<dyn Error + Send + Sync>),
}

/// A provider's answer, later.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, ProviderError>> + Send + 'a>>;

/// A payment provider.
pub trait PaymentProvider: fmt::Debug + Send + Sync {
    /// Whether it charges in this currency, by the minor units of ISO 4217.
    fn takes(&self, _: Currency) -> bool {
        true
    }

    /// Whether a method that was charged once can be charged again.
    fn keeps_methods(&self) -> bool {
        true
    }

    /// What a token that a client sent names; none where the provider does not know it.
    fn method<'a>(&'a self, token: &'a MethodToken) -> Answer<'a, Option<PaymentMethod>>;

    /// Charges once per idempotency key; a repeated key gets the first one's outcome, a decline included.
    fn charge<'a>(&'a self, request: &'a ChargeRequest) -> Answer<'a, Charge>;

    /// Pays back once per idempotency key; a repeated key gets the first one's outcome, a failure included. One that the
    /// provider has not decided yet is [`ProviderError::Unknown`].
    fn refund<'a>(&'a self, request: &'a RefundRequest) -> Answer<'a, RefundOutcome>;
}
