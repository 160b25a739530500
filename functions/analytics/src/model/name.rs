//! What events are called.

use order::events::Kind;
use serde::{Deserialize, Serialize};

use crate::figures::Stage;

/// What the names of facts about orders begin with; only the order table's stream brings those.
const ORDER_PREFIX: &str = "order_";

/// Facts about payments, which only the payment table's stream brings.
const PAYMENT_SUCCEEDED: &str = "payment_succeeded";
const PAYMENT_DECLINED: &str = "payment_declined";

const PAGE_VIEW: &str = "page_view";
const PRODUCT_VIEW: &str = "product_view";
const ADD_TO_CART: &str = "add_to_cart";

/// The names that mean something here; clients may use others too.
const VOCABULARY: [&str; 5] = [PAGE_VIEW, PRODUCT_VIEW, ADD_TO_CART, "search", "checkout_started"];

/// The name of a kind of event: a lower-case letter, then up to 63 of `a-z 0-9 _`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(inline, extend("pattern" = "^[a-z][a-z0-9_]{0,63}$")))]
pub struct EventName(String);

impl EventName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether only the server itself may say that this happened.
    pub fn is_reserved(&self) -> bool {
        self.0.starts_with(ORDER_PREFIX) || [PAYMENT_SUCCEEDED, PAYMENT_DECLINED].contains(&self.as_str())
    }

    /// What is counted for names of clients beyond those that are counted one by one.
    pub fn other() -> Self {
        Self("other".to_owned())
    }

    /// Whether it is counted by its own name in any case: those of the documented vocabulary, and the server's own.
    pub fn is_known(&self) -> bool {
        self.is_reserved() || VOCABULARY.contains(&self.as_str())
    }

    /// Whether a client says with it that something happened to the product that the event names.
    pub fn is_about_product(&self) -> bool {
        [PRODUCT_VIEW, ADD_TO_CART].contains(&self.as_str())
    }

    /// How far it brings somebody, where it does.
    pub fn stage(&self) -> Option<Stage> {
        match self.as_str() {
            PAGE_VIEW | PRODUCT_VIEW => Some(Stage::View),
            ADD_TO_CART => Some(Stage::Cart),
            _ => match self.order_kind()? {
                Kind::Placed => Some(Stage::Order),
                Kind::Paid => Some(Stage::Paid),
                _ => None,
            },
        }
    }

    /// The name of the event that this happened to an order.
    pub fn of_order(kind: Kind) -> Self {
        let name = match kind {
            Kind::Placed => "placed",
            Kind::Paid => "paid",
            Kind::Packed => "packed",
            Kind::Shipped => "shipped",
            Kind::Delivered => "delivered",
            Kind::Cancelled => "cancelled",
            Kind::Expired => "expired",
            Kind::PartiallyRefunded => "partially_refunded",
            Kind::Refunded => "refunded",
        };
        Self(format!("{ORDER_PREFIX}{name}"))
    }

    /// The name of the event that a payment ended so.
    pub fn of_payment(kind: payment::events::Kind) -> Self {
        let name = match kind {
            payment::events::Kind::Succeeded => PAYMENT_SUCCEEDED,
            payment::events::Kind::Declined(_) => PAYMENT_DECLINED,
        };
        Self(name.to_owned())
    }

    /// What happened to an order, where that is what the name says.
    pub fn order_kind(&self) -> Option<Kind> {
        let kinds = [
            Kind::Placed,
            Kind::Paid,
            Kind::Packed,
            Kind::Shipped,
            Kind::Delivered,
            Kind::Cancelled,
            Kind::Expired,
            Kind::PartiallyRefunded,
            Kind::Refunded,
        ];
        kinds.into_iter().find(|kind| Self::of_order(*kind) == *self)
    }
}

impl TryFrom<String> for EventName {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let good = (1..=64).contains(&name.len())
            && name.starts_with(|first: char| first.is_ascii_lowercase())
            && name.bytes().all(allowed);
        if good {
            Ok(Self(name))
        } else {
            Err("expected a name such as page_view: a lower-case letter, then up to 63 of a-z 0-9 _")
        }
    }
}

impl From<EventName> for String {
    fn from(name: EventName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["a", "page_view", "x2", &"a".repeat(64)] {
            EventName::try_from(good.to_owned()).unwrap();
        }
        for bad in ["", "A", "_a", "2a", "page-view", "a b", "ä", "a#b", &"a".repeat(65)] {
            EventName::try_from(bad.to_owned()).unwrap_err();
        }
    }
}
