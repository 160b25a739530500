//! What users are told, how, and what became of it.

mod preferences;
mod quiet_hours;

use aws_lc_rs::digest;
use jiff::Timestamp;
use order::events::Kind;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use preferences::{Channels, Preferences, Topic};
pub use quiet_hours::QuietHours;

/// What a user is told about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(inline))]
pub enum EventKind {
    /// The order was placed.
    OrderPlaced,
    /// It was paid.
    OrderPaid,
    /// A carrier took it.
    OrderShipped,
    /// The carrier brought it.
    OrderDelivered,
    /// It was given up.
    OrderCancelled,
    /// It was not paid in time.
    OrderExpired,
    /// A part of what was paid was paid back.
    OrderPartiallyRefunded,
    /// The last of what was paid was paid back.
    OrderRefunded,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::OrderPlaced,
        Self::OrderPaid,
        Self::OrderShipped,
        Self::OrderDelivered,
        Self::OrderCancelled,
        Self::OrderExpired,
        Self::OrderPartiallyRefunded,
        Self::OrderRefunded,
    ];

    /// What a user can be told about this event of an order; packing is nobody's news.
    pub fn of(kind: Kind) -> Option<Self> {
        match kind {
            Kind::Placed => Some(Self::OrderPlaced),
            Kind::Paid => Some(Self::OrderPaid),
            Kind::Packed => None,
            Kind::Shipped => Some(Self::OrderShipped),
            Kind::Delivered => Some(Self::OrderDelivered),
            Kind::Cancelled => Some(Self::OrderCancelled),
            Kind::Expired => Some(Self::OrderExpired),
            Kind::PartiallyRefunded => Some(Self::OrderPartiallyRefunded),
            Kind::Refunded => Some(Self::OrderRefunded),
        }
    }

    /// The kind as JSON and DynamoDB have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OrderPlaced => "order_placed",
            Self::OrderPaid => "order_paid",
            Self::OrderShipped => "order_shipped",
            Self::OrderDelivered => "order_delivered",
            Self::OrderCancelled => "order_cancelled",
            Self::OrderExpired => "order_expired",
            Self::OrderPartiallyRefunded => "order_partially_refunded",
            Self::OrderRefunded => "order_refunded",
        }
    }

    /// What users choose by, who need not tell a part of a refund from the whole.
    pub fn topic(self) -> Topic {
        match self {
            Self::OrderPlaced => Topic::OrderPlaced,
            Self::OrderPaid => Topic::OrderPaid,
            Self::OrderShipped => Topic::OrderShipped,
            Self::OrderDelivered => Topic::OrderDelivered,
            Self::OrderCancelled => Topic::OrderCancelled,
            Self::OrderExpired => Topic::OrderExpired,
            Self::OrderPartiallyRefunded | Self::OrderRefunded => Topic::OrderRefunded,
        }
    }
}

/// A way to reach a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// The e-mail address of the profile.
    Email,
    /// The telephone number of the profile, where it has one.
    Sms,
}

impl Channel {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Email, Self::Sms];

    /// The channel as JSON and DynamoDB have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Sms => "sms",
        }
    }
}

/// What became of a message on one channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(inline))]
pub enum Status {
    /// It is to be sent.
    Pending,
    /// It is to be sent when the user's quiet hours are over.
    Deferred,
    /// It is being sent, or its sender died, and whether it was sent is not known.
    Sending,
    /// The provider took it.
    Sent,
    /// The provider delivered it.
    Delivered,
    /// The provider could not take it; it will be tried again.
    Failed,
    /// The provider will not take it.
    Rejected,
    /// The address does not exist, or does not take it.
    Bounced,
    /// The recipient called it spam.
    Complained,
    /// It was not sent, because mail to this address bounced for good, or was called spam, before.
    Suppressed,
    /// It was not sent, because the user did not want it any more when its time came.
    Dropped,
}

impl Status {
    /// The status as JSON and DynamoDB have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Deferred => "DEFERRED",
            Self::Sending => "SENDING",
            Self::Sent => "SENT",
            Self::Delivered => "DELIVERED",
            Self::Failed => "FAILED",
            Self::Rejected => "REJECTED",
            Self::Bounced => "BOUNCED",
            Self::Complained => "COMPLAINED",
            Self::Suppressed => "SUPPRESSED",
            Self::Dropped => "DROPPED",
        }
    }
}

/// Something that a user is told, without what would tell where it went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Notification {
    /// The same for the same event of the same user; sorts by the event's time.
    pub id: Uuid,
    /// What it is about.
    pub event: EventKind,
    /// The order that it is about.
    pub order_id: Uuid,
    /// What it says, in a line.
    pub subject: String,
    /// When the event happened.
    pub at: Timestamp,
    /// When the user marked it as read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_at: Option<Timestamp>,
}

/// The id of the notification of an event: the event's time, in milliseconds, and a hash of the event's id, in the form that
/// RFC 9562 §5.8 leaves to applications (`UUIDv8`).
pub fn notification_id(at: Timestamp, event_id: &str) -> Uuid {
    let mut bytes = [0; 16];
    let hash = digest::digest(&digest::SHA256, event_id.as_bytes());
    let milliseconds = u64::try_from(at.as_millisecond()).unwrap_or_default().to_be_bytes();
    for (byte, value) in bytes.iter_mut().zip(milliseconds.iter().skip(2).chain(hash.as_ref())) {
        *byte = *value;
    }
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_of_its_event_alone_and_sorts_by_time() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (early, late) = (at("2026-01-01T00:00:00Z"), at("2026-01-01T00:00:00.001Z"));
        assert_eq!(notification_id(early, "a"), notification_id(early, "a"));
        assert_ne!(notification_id(early, "a"), notification_id(early, "b"));
        for (one, other) in [("a", "b"), ("b", "a")] {
            assert!(notification_id(early, one) < notification_id(late, other));
        }
        assert_eq!(notification_id(early, "a").get_version_num(), 8);
    }
}
