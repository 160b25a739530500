//! The states that an order passes through, and the moves between them.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shared::money::Money;
use shared::text::Text;
use uuid::Uuid;

/// Every legal move: from which state, by what, to which. There are no others. A cancelled order can be refunded only
/// where it was paid before.
const MOVES: [(Status, Transition, Status); 17] = {
    use Status::{Cancelled, Delivered, Expired, Packed, Paid, PendingPayment, Refunded, Shipped};
    use Transition::{Cancel, Deliver, Expire, Pack, PartialRefund, Pay, Refund, Ship};
    [
        (PendingPayment, Pay, Paid),
        (PendingPayment, Cancel, Cancelled),
        (PendingPayment, Expire, Expired),
        (Paid, Cancel, Cancelled),
        (Paid, Pack, Packed),
        (Packed, Ship, Shipped),
        (Shipped, Deliver, Delivered),
        (Paid, PartialRefund, Paid),
        (Packed, PartialRefund, Packed),
        (Shipped, PartialRefund, Shipped),
        (Delivered, PartialRefund, Delivered),
        (Cancelled, PartialRefund, Cancelled),
        (Paid, Refund, Refunded),
        (Packed, Refund, Refunded),
        (Shipped, Refund, Refunded),
        (Delivered, Refund, Refunded),
        (Cancelled, Refund, Refunded),
    ]
};

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(inline))]
pub enum Status {
    /// Placed; its stock is taken.
    PendingPayment,
    /// Paid.
    Paid,
    /// In a parcel.
    Packed,
    /// With the carrier.
    Shipped,
    /// With the customer.
    Delivered,
    /// Given up before it was packed; its stock is returned. What was paid is to be refunded.
    Cancelled,
    /// Not paid in time; its stock is returned.
    Expired,
    /// All that was paid is paid back.
    Refunded,
}

/// A move from one state to another. These are all there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transition {
    /// A payment went through.
    Pay,
    /// The customer, or the shop, gave it up.
    Cancel,
    /// Nobody paid in time.
    Expire,
    /// The shop put it in a parcel.
    Pack,
    /// The shop gave it to a carrier.
    Ship,
    /// The carrier brought it.
    Deliver,
    /// Some of what was paid was paid back: the state stays.
    PartialRefund,
    /// The last of what was paid was paid back.
    Refund,
}

/// Why an order cannot move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Illegal {
    /// No such move leads out of the order's state.
    #[error("an order that is {from} cannot be {transition}")]
    State {
        /// The order's state.
        from: Status,
        /// The move that was asked for.
        transition: Transition,
    },
    /// A payment is under way, whose outcome decides.
    #[error("an order cannot be {transition} while a payment for it is under way")]
    PaymentInProgress {
        /// The move that was asked for.
        transition: Transition,
    },
    /// Nothing, more than is left of what was paid, or another currency.
    #[error("a refund is of at least one minor unit and at most {} {}", left.amount, left.currency)]
    Amount {
        /// What can still be refunded.
        left: Money,
    },
}

/// Why someone moves an order, in their own words.
pub type Reason = Text<200>;

/// Who moves an order, when and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    /// Who.
    pub by: Actor,
    /// Who exactly, where that is a user.
    pub by_id: Option<Uuid>,
    /// When.
    pub at: Timestamp,
    /// Why, where they say so.
    pub reason: Option<Reason>,
}

/// Who moves orders; a kind of person or machine, never a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(inline))]
pub enum Actor {
    /// Its owner.
    Customer,
    /// The shop.
    Admin,
    /// A payment.
    Payment,
    /// The shop's machinery, by itself.
    System,
}

/// A state that the order entered, or a refund within it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct HistoryEntry {
    /// The state from then on.
    pub status: Status,
    /// When that was.
    pub at: Timestamp,
    /// Who moved it there.
    pub by: Actor,
    /// Who exactly; for the shop, not for customers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_id: Option<Uuid>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// What was refunded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund: Option<Money>,
    /// The refund's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund_id: Option<Uuid>,
}

impl Transition {
    /// The state that the move leads to out of `from`; none where it does not.
    pub fn from(self, from: Status) -> Option<Status> {
        MOVES.iter().find(|(state, by, _)| (*state, *by) == (from, self)).map(|(_, _, to)| *to)
    }
}

impl Act {
    /// What `by` does by itself at `at`.
    pub fn of(by: Actor, at: Timestamp) -> Self {
        Self { by, by_id: None, at, reason: None }
    }

    /// What the act adds to the history.
    pub fn entry(self, status: Status) -> HistoryEntry {
        let Self { by, by_id, at, reason } = self;
        HistoryEntry { status, at, by, by_id, reason, refund: None, refund_id: None }
    }
}

impl Status {
    /// The state as JSON and DynamoDB have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PendingPayment => "PENDING_PAYMENT",
            Self::Paid => "PAID",
            Self::Packed => "PACKED",
            Self::Shipped => "SHIPPED",
            Self::Delivered => "DELIVERED",
            Self::Cancelled => "CANCELLED",
            Self::Expired => "EXPIRED",
            Self::Refunded => "REFUNDED",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Transition {
    /// What the order is afterwards, in a sentence.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pay => "paid",
            Self::Cancel => "cancelled",
            Self::Expire => "expired",
            Self::Pack => "packed",
            Self::Ship => "shipped",
            Self::Deliver => "delivered",
            Self::PartialRefund | Self::Refund => "refunded",
        })
    }
}
