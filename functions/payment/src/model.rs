//! Payments and what is allowed to happen to them. Pure: no I/O, no AWS types.
//!
//! A payment is `PROCESSING` from the moment its intent is recorded, then exactly once `SUCCEEDED` or `DECLINED`.
//! Whoever works on a processing payment holds its lease; once that ran out, anyone may take over and go on with the
//! **same** payment (its id is the provider's idempotency key), so that a crash never leads to a second charge.
//!
//! A refund is a [`Refund`] of its own, which goes the same way.

mod refund;

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use shared::money::Money;
use shared::trace::Trace;
use uuid::Uuid;

pub use refund::{Refund, RefundFailure, RefundOutcome, RefundProgress};

/// How long one owner may work on a payment: longer than the function `payment` may run (10 s; a test compares it with
/// `template.yaml`), so that a request whose lease ran out is dead. A slow reconciler may not be: nothing breaks then.
pub const LEASE: SignedDuration = SignedDuration::from_secs(15);

/// One attempt to pay one order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// UUIDv7; the provider's idempotency key too.
    pub id: Uuid,
    /// Who pays.
    pub user_id: Uuid,
    /// What is paid.
    pub order_id: Uuid,
    /// The order's total when the intent was recorded.
    pub amount: Money,
    /// With what.
    pub method: PaymentMethod,
    /// Whether the method becomes the user's default when the payment succeeds.
    pub save_method: bool,
    /// When the intent was recorded.
    pub created_at: Timestamp,
    /// What was paid back, in minor units.
    #[serde(default)]
    pub refunded: u64,
    /// The same, with the refunds that are under way: never more than the amount.
    #[serde(default)]
    pub refund_reserved: u64,
    /// The order's trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<Trace>,
    /// How far it is.
    #[serde(flatten)]
    pub progress: Progress,
}

/// How far a payment is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Progress {
    /// The intent is recorded; whether the provider charged is not known yet.
    Processing {
        /// When its present owner began.
        #[serde(with = "sortable")]
        in_flight_since: Timestamp,
    },
    /// Charged, once.
    Succeeded {
        /// When that was recorded.
        paid_at: Timestamp,
        /// The provider's name for the charge.
        charge_id: String,
    },
    /// Not charged, and never will be.
    Declined {
        /// When that was recorded.
        declined_at: Timestamp,
        /// Why.
        decline_reason: DeclineReason,
    },
}

/// What the provider finally said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Charged, by this name.
    Charged(String),
    /// Not charged.
    Declined(DeclineReason),
}

/// Why a provider declines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(inline))]
pub enum DeclineReason {
    /// The bank says no and not why.
    CardDeclined,
    /// There is not enough money.
    InsufficientFunds,
    /// The card is too old.
    ExpiredCard,
    /// The bank wants to see its customer first.
    AuthenticationRequired,
    /// The provider does not take this method, or this amount of it.
    NotAccepted,
}

/// A means of payment as the provider knows it. Never a card number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentMethod {
    /// The provider's token.
    pub token: MethodToken,
    /// The card's brand, `visa`.
    pub brand: String,
    /// The last four digits, for people to recognise the card.
    pub last4: String,
}

/// What names a means of payment to the provider: 1 to 64 visible ASCII characters. It may be anything that a client
/// typed, so it is never printed; only a [`PaymentMethod`] of the provider is ever stored.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(inline, extend("pattern" = "^[!-~]{1,64}$")))]
pub struct MethodToken(String);

impl Payment {
    /// When its present owner began; none once the payment is final.
    pub fn in_flight_since(&self) -> Option<Timestamp> {
        match self.progress {
            Progress::Processing { in_flight_since } => Some(in_flight_since),
            _ => None,
        }
    }

    /// How many whole seconds from `now` on the lease still runs, rounded up; 0 when it does not.
    pub fn lease_left(&self, now: Timestamp) -> u64 {
        lease_left(self.in_flight_since(), now)
    }

    /// Whether the provider may have been asked before: someone has taken the payment over.
    pub fn is_repeated(&self) -> bool {
        is_repeated(self.in_flight_since(), self.created_at)
    }

    /// What can still be refunded.
    pub fn refundable(&self) -> Money {
        let amount = match self.progress {
            Progress::Succeeded { .. } => self.amount.amount.saturating_sub(self.refund_reserved),
            _ => 0,
        };
        Money { amount, ..self.amount }
    }

    /// The payment after `outcome` was recorded at `at`.
    #[must_use]
    pub fn finished(self, outcome: Outcome, at: Timestamp) -> Self {
        let progress = match outcome {
            Outcome::Charged(charge_id) => Progress::Succeeded { paid_at: at, charge_id },
            Outcome::Declined(decline_reason) => Progress::Declined { declined_at: at, decline_reason },
        };
        Self { progress, ..self }
    }
}

/// How many whole seconds from `now` on the lease of an owner that began at `since` still runs, rounded up.
fn lease_left(since: Option<Timestamp>, now: Timestamp) -> u64 {
    // Past the end of time there is no lease.
    let until = since.and_then(|since| since.checked_add(LEASE).ok());
    let left = until.map_or(SignedDuration::ZERO, |until| until.duration_since(now));
    u64::try_from(left.as_millis().max(0)).unwrap_or_default().div_ceil(1000)
}

/// Only the first owner began when the intent was recorded: a lease must run out before the next one begins.
fn is_repeated(since: Option<Timestamp>, created_at: Timestamp) -> bool {
    since.is_some_and(|since| since.duration_since(created_at) >= LEASE)
}

impl DeclineReason {
    /// The reason as JSON has it.
    pub fn code(self) -> &'static str {
        match self {
            Self::CardDeclined => "card_declined",
            Self::InsufficientFunds => "insufficient_funds",
            Self::ExpiredCard => "expired_card",
            Self::AuthenticationRequired => "authentication_required",
            Self::NotAccepted => "not_accepted",
        }
    }

    /// What to tell the payer.
    pub fn advice(self) -> &'static str {
        match self {
            Self::CardDeclined => "The card was declined; nothing was charged. Pay with another one",
            Self::InsufficientFunds => {
                "The card has insufficient funds; nothing was charged. Pay with another one"
            }
            Self::ExpiredCard => "The card has expired; nothing was charged. Pay with another one",
            Self::AuthenticationRequired => {
                "The bank asks for a confirmation that cannot be given here; nothing was charged. Pay with another card"
            }
            Self::NotAccepted => {
                "The payment method is not accepted for this; nothing was charged. Pay with another one"
            }
        }
    }
}

impl MethodToken {
    /// The token itself.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for MethodToken {
    type Error = &'static str;

    fn try_from(token: String) -> Result<Self, Self::Error> {
        if (1..=64).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(token))
        } else {
            Err("expected the token of a payment method, such as pm_card_visa")
        }
    }
}

impl From<MethodToken> for String {
    fn from(token: MethodToken) -> Self {
        token.0
    }
}

impl fmt::Debug for MethodToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MethodToken(..)")
    }
}

/// Times of one width, so that they sort as text: RFC 3339 with milliseconds.
pub(crate) mod sortable {
    use jiff::Timestamp;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(crate) fn text(at: Timestamp) -> String {
        format!("{at:.3}")
    }

    pub(super) fn serialize<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&text(*at))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        Timestamp::deserialize(deserializer)
    }
}

#[cfg(test)]
mod tests;
