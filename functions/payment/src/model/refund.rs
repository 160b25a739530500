//! Money that goes back.

use jiff::Timestamp;
use order::model::{Actor, Reason};
use serde::{Deserialize, Serialize};
use shared::money::Money;
use shared::trace::Trace;
use uuid::Uuid;

use super::{Payment, Progress, is_repeated, lease_left, sortable};

/// One attempt to pay back some of a payment, or all of it. While it is under way its amount counts as refunded, so that
/// all refunds together never exceed the charge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// UUIDv7; the provider's idempotency key too.
    pub id: Uuid,
    /// What is paid back.
    pub payment_id: Uuid,
    /// Who gets it.
    pub user_id: Uuid,
    /// The order that the payment paid.
    pub order_id: Uuid,
    /// How much.
    pub amount: Money,
    /// The provider's name for the charge.
    pub charge_id: String,
    /// Who wants it.
    pub by: Actor,
    /// Who exactly, where that is a user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_id: Option<Uuid>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// When the intent was recorded.
    pub created_at: Timestamp,
    /// The order's trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<Trace>,
    /// How far it is.
    #[serde(flatten)]
    pub progress: RefundProgress,
}

/// How far a refund is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RefundProgress {
    /// The intent is recorded; what the provider makes of it is not known yet.
    Processing {
        /// When its present owner began.
        #[serde(with = "sortable")]
        in_flight_since: Timestamp,
    },
    /// The money is on its way back.
    Succeeded {
        /// When that was recorded.
        refunded_at: Timestamp,
        /// The provider's name for the refund.
        provider_refund_id: String,
    },
    /// Nothing was paid back, and under this id never will be.
    Failed {
        /// When that was recorded.
        failed_at: Timestamp,
        /// Why.
        failure: RefundFailure,
    },
}

/// What the provider finally said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefundOutcome {
    /// The money goes back; the refund has this name.
    Refunded(String),
    /// It does not.
    Failed(RefundFailure),
}

/// Why a provider does not pay back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundFailure {
    /// The bank does not take it: the card is lost, or its account closed.
    Rejected,
    /// The provider has it as cancelled.
    Cancelled,
}

impl Refund {
    /// When its present owner began; none once the refund is final.
    pub fn in_flight_since(&self) -> Option<Timestamp> {
        match self.progress {
            RefundProgress::Processing { in_flight_since } => Some(in_flight_since),
            _ => None,
        }
    }

    /// How many whole seconds from `now` on the lease still runs, rounded up; 0 when it does not.
    pub fn lease_left(&self, now: Timestamp) -> u64 {
        lease_left(self.in_flight_since(), now)
    }

    /// Whether the provider may have been asked before: someone has taken the refund over.
    pub fn is_repeated(&self) -> bool {
        is_repeated(self.in_flight_since(), self.created_at)
    }

    /// The refund after `outcome` was recorded at `at`.
    #[must_use]
    pub fn finished(self, outcome: RefundOutcome, at: Timestamp) -> Self {
        let progress = match outcome {
            RefundOutcome::Refunded(provider_refund_id) => {
                RefundProgress::Succeeded { refunded_at: at, provider_refund_id }
            }
            RefundOutcome::Failed(failure) => RefundProgress::Failed { failed_at: at, failure },
        };
        Self { progress, ..self }
    }
}

impl RefundFailure {
    /// The reason as JSON has it.
    pub fn code(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
        }
    }
}

impl Payment {
    /// The provider's name for the charge, where there is one.
    pub fn charge_id(&self) -> Option<&str> {
        match &self.progress {
            Progress::Succeeded { charge_id, .. } => Some(charge_id),
            _ => None,
        }
    }
}
