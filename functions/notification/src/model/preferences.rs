//! What a user wants to be told, and when not.

use serde::{Deserialize, Serialize};
use shared::json::object;

use super::{Channel, QuietHours};

/// What users choose about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    /// That an order was placed.
    OrderPlaced,
    /// That it was paid.
    OrderPaid,
    /// That a carrier took it.
    OrderShipped,
    /// That the carrier brought it.
    OrderDelivered,
    /// That it was given up.
    OrderCancelled,
    /// That it was not paid in time.
    OrderExpired,
    /// That what was paid, or a part of it, was paid back.
    OrderRefunded,
}

impl Topic {
    /// Every topic.
    pub const ALL: [Self; 7] = [
        Self::OrderPlaced,
        Self::OrderPaid,
        Self::OrderShipped,
        Self::OrderDelivered,
        Self::OrderCancelled,
        Self::OrderExpired,
        Self::OrderRefunded,
    ];

    /// The topic as JSON has it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OrderPlaced => "order_placed",
            Self::OrderPaid => "order_paid",
            Self::OrderShipped => "order_shipped",
            Self::OrderDelivered => "order_delivered",
            Self::OrderCancelled => "order_cancelled",
            Self::OrderExpired => "order_expired",
            Self::OrderRefunded => "order_refunded",
        }
    }

    /// The topic of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|topic| topic.as_str() == name)
    }
}

/// What a user wants to be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
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
    /// When nothing is to be sent; what happens then is told afterwards. Without it, everything is sent at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet_hours: Option<QuietHours>,
}

/// By which channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(inline))]
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
            quiet_hours: None,
        }
    }
}

impl Preferences {
    /// The channels of a topic.
    pub fn channels(&mut self, topic: Topic) -> &mut Channels {
        match topic {
            Topic::OrderPlaced => &mut self.order_placed,
            Topic::OrderPaid => &mut self.order_paid,
            Topic::OrderShipped => &mut self.order_shipped,
            Topic::OrderDelivered => &mut self.order_delivered,
            Topic::OrderCancelled => &mut self.order_cancelled,
            Topic::OrderExpired => &mut self.order_expired,
            Topic::OrderRefunded => &mut self.order_refunded,
        }
    }

    /// Whether the user wants to be told about `topic` by `channel`.
    pub fn want(&self, topic: Topic, channel: Channel) -> bool {
        let channels = match topic {
            Topic::OrderPlaced => self.order_placed,
            Topic::OrderPaid => self.order_paid,
            Topic::OrderShipped => self.order_shipped,
            Topic::OrderDelivered => self.order_delivered,
            Topic::OrderCancelled => self.order_cancelled,
            Topic::OrderExpired => self.order_expired,
            Topic::OrderRefunded => self.order_refunded,
        };
        match channel {
            Channel::Email => channels.email,
            Channel::Sms => channels.sms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_topic_is_the_member_of_its_name() {
        for topic in Topic::ALL {
            let mut preferences = Preferences::default();
            *preferences.channels(topic) = Channels { email: false, sms: false };
            let json = serde_json::to_value(&preferences).unwrap();
            assert_eq!(json[topic.as_str()], serde_json::json!({ "email": false, "sms": false }));
            assert!(!preferences.want(topic, Channel::Email) && !preferences.want(topic, Channel::Sms));
            assert_eq!(Topic::parse(topic.as_str()), Some(topic));
            let others = Topic::ALL.into_iter().filter(|other| *other != topic);
            assert!(others.into_iter().all(|other| preferences.want(other, Channel::Email)));
        }
        assert_eq!(Topic::parse("quiet_hours"), None);
    }
}
