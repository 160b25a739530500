//! One thing that happened.

use std::fmt;

use cart::model::ProductId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shared::money::Money;
use shared::text::Text;
use shared::trace::Trace;
use uuid::Uuid;

use super::{Device, EventName};

/// How long a raw event is kept, in hours: 90 days.
const KEPT_HOURS: i64 = 90 * 24;

/// What a client calls somebody without a token.
pub type AnonymousId = Text<64>;

/// One thing that happened, as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// What tells it from every other; a second event with the same id is the first one again.
    pub id: String,
    /// What happened.
    pub name: EventName,
    /// When: a client may say so, within bounds.
    pub at: Timestamp,
    /// When it came here.
    pub received_at: Timestamp,
    /// Who did it, as the token says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<Uuid>,
    /// Who did it, as the client says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anonymous_id: Option<AnonymousId>,
    /// What it was done with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<Device>,
    /// The order that it happened to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<Uuid>,
    /// What was earned by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revenue: Option<Money>,
    /// What was paid back by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund: Option<Money>,
    /// What was sold by it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<Sold>,
    /// The product that it happened to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product_id: Option<ProductId>,
    /// What else the client said, as JSON text: `DynamoDB`'s numbers are narrower than JSON's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub properties: Option<String>,
    /// The trace of the order that it happened to. What clients report has none: a line of the log for each click would
    /// cost more than it tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<Trace>,
}

/// Pieces of one product that were paid for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sold {
    /// The product.
    pub product_id: ProductId,
    /// How many pieces.
    pub quantity: u32,
    /// What was paid for them.
    pub total: Money,
}

/// Whom something is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A user.
    User(Uuid),
    /// Somebody without a token.
    Anonymous(AnonymousId),
}

impl Event {
    /// Whom the raw event is about: the user, where there is one.
    pub fn subject(&self) -> Option<Subject> {
        let anonymous = || self.anonymous_id.clone().map(Subject::Anonymous);
        self.user_id.map(Subject::User).or_else(anonymous)
    }

    /// Who counts as visitor: a client's own id, where there is one, stays the same when its user logs in or out.
    pub fn visitor(&self) -> Option<Subject> {
        let user = || self.user_id.map(Subject::User);
        self.anonymous_id.clone().map(Subject::Anonymous).or_else(user)
    }

    /// When the raw event may be deleted, in seconds since 1970.
    pub fn expires_at(&self) -> i64 {
        self.received_at.as_second() + KEPT_HOURS * 3600
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(id) => write!(formatter, "USER#{id}"),
            Self::Anonymous(id) => write!(formatter, "ANON#{}", id.as_str()),
        }
    }
}
