//! What users are told, how, and what became of it.

use jiff::Timestamp;
use order::events::Kind;
use serde::{Deserialize, Serialize};
use shared::json::object;
use uuid::Uuid;

/// What a user can be told about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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
    /// The channel as JSON and DynamoDB have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Sms => "sms",
        }
    }
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// It is being sent, or its sender died, and whether it was sent is not known.
    Sending,
    /// The provider took it.
    Sent,
    /// The provider could not take it; it will be tried again.
    Failed,
    /// The provider will not take it.
    Rejected,
}

impl Status {
    /// The status as JSON and DynamoDB have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sending => "SENDING",
            Self::Sent => "SENT",
            Self::Failed => "FAILED",
            Self::Rejected => "REJECTED",
        }
    }
}

/// One message to a user, without what would tell where it went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// What it is about.
    pub event: EventKind,
    /// How it was sent.
    pub channel: Channel,
    /// The order that it is about.
    pub order_id: Uuid,
    /// What it says, in a line.
    pub subject: String,
    /// What became of it.
    pub status: Status,
    /// When the event happened.
    pub at: Timestamp,
}

/// What a user wants to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preferences {
    /// That the order was placed.
    #[serde(deserialize_with = "object")]
    pub order_placed: Channels,
    /// That it was paid.
    #[serde(deserialize_with = "object")]
    pub order_paid: Channels,
    /// That a carrier took it.
    #[serde(deserialize_with = "object")]
    pub order_shipped: Channels,
    /// That the carrier brought it.
    #[serde(deserialize_with = "object")]
    pub order_delivered: Channels,
    /// That it was given up.
    #[serde(deserialize_with = "object")]
    pub order_cancelled: Channels,
    /// That it was not paid in time. This one and the next are younger than the others: who leaves them out has e-mail.
    #[serde(default = "Channels::email", deserialize_with = "object")]
    pub order_expired: Channels,
    /// That what was paid, or a part of it, was paid back.
    #[serde(default = "Channels::email", deserialize_with = "object")]
    pub order_refunded: Channels,
}

/// By which channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Channels {
    /// By e-mail.
    pub email: bool,
    /// By SMS, where the profile has a telephone number.
    pub sms: bool,
}

impl Channels {
    fn email() -> Self {
        Self { email: true, sms: false }
    }
}

impl Default for Preferences {
    /// Everything by e-mail; by SMS only when there is a parcel to expect or to fetch.
    fn default() -> Self {
        let email = Channels::email();
        let both = Channels { email: true, sms: true };
        Self {
            order_placed: email,
            order_paid: email,
            order_shipped: both,
            order_delivered: both,
            order_cancelled: email,
            order_expired: email,
            order_refunded: email,
        }
    }
}

impl Preferences {
    /// Whether the user wants to be told about `event` by `channel`.
    pub fn want(&self, event: EventKind, channel: Channel) -> bool {
        let channels = match event {
            EventKind::OrderPlaced => self.order_placed,
            EventKind::OrderPaid => self.order_paid,
            EventKind::OrderShipped => self.order_shipped,
            EventKind::OrderDelivered => self.order_delivered,
            EventKind::OrderCancelled => self.order_cancelled,
            EventKind::OrderExpired => self.order_expired,
            EventKind::OrderPartiallyRefunded | EventKind::OrderRefunded => self.order_refunded,
        };
        match channel {
            Channel::Email => channels.email,
            Channel::Sms => channels.sms,
        }
    }
}
