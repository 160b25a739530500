//! Orders: what was bought, and the states that an order passes through.
//!
//! ```text
//! PENDING_PAYMENT --pay--> PAID --pack--> PACKED --ship--> SHIPPED --deliver--> DELIVERED
//!        |
//!        +--cancel--> CANCELLED
//! ```

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use cart::model::{Cart, Product, ProductId};
use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use shared::money::Money;
use shared::text::Text;
use user::model::Label;
use uuid::Uuid;

/// A customer's order. Prices, names and the address are as they were when it was placed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The order's id, a UUIDv7: orders sort by the time they were placed.
    pub id: Uuid,
    /// Whose order it is.
    pub user_id: Uuid,
    /// Where the order stands.
    pub status: Status,
    /// What was bought, by product id.
    pub lines: Vec<Line>,
    /// What it costs in all.
    pub total: Money,
    /// Where it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipping_address: Option<Label>,
    /// While the order awaits payment: the payment that is under way, and as long as it is, nothing else may change the
    /// order. After that: the payment that paid it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_id: Option<Uuid>,
    /// How it travels, once shipped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipment: Option<Shipment>,
    /// When it was placed.
    pub created_at: Timestamp,
    /// Every state that it was ever in, the first one first; no state comes twice.
    pub history: Vec<HistoryEntry>,
}

/// Some pieces of one product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The product's id.
    pub product_id: ProductId,
    /// What it was called.
    pub name: Text<200>,
    /// How many pieces.
    pub quantity: u32,
    /// What one piece cost.
    pub price: Money,
    /// What the line cost.
    pub total: Money,
}

/// A state that the order entered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// The state.
    pub status: Status,
    /// When the order entered it.
    pub at: Timestamp,
    /// Who moved it there.
    pub by: Actor,
}

/// Who moves orders; a kind of person or machine, never a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Actor {
    /// Its owner.
    Customer,
    /// The shop.
    Admin,
    /// A payment.
    Payment,
}

/// How an order travels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shipment {
    /// Who carries it.
    pub carrier: Text<100>,
    /// The carrier's number for it.
    pub tracking_number: Text<100>,
    /// When it should arrive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated_delivery: Option<Estimate>,
}

/// A day or a moment, RFC 3339 `full-date` or `date-time`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Estimate {
    /// Some time on this day, at the place of delivery.
    Day(Date),
    /// At this time.
    Time(Timestamp),
}

/// Where an order stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
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
    /// Given up before it was paid; its stock is returned.
    Cancelled,
}

/// A move from one state to another. These are all there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transition {
    /// A payment went through.
    Pay,
    /// The customer gave it up.
    Cancel,
    /// The shop put it in a parcel.
    Pack,
    /// The shop gave it to a carrier.
    Ship,
    /// The carrier brought it.
    Deliver,
}

/// What the shop does with a paid order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fulfilment {
    /// Puts it in a parcel.
    Pack,
    /// Gives it to a carrier.
    Ship(Shipment),
    /// The carrier has brought it.
    Deliver,
}

/// Why an order cannot move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Illegal {
    /// No such move leads out of the order's state.
    #[error("an order that is {from} cannot become {to}")]
    State {
        /// The order's state.
        from: Status,
        /// The state that was asked for.
        to: Status,
    },
    /// A payment is under way, whose outcome decides.
    #[error("an order cannot become {to} while a payment for it is under way")]
    PaymentInProgress {
        /// The state that was asked for.
        to: Status,
    },
}

/// Why a cart cannot become an order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unplaceable {
    /// There is nothing in it.
    #[error("the cart is empty")]
    Empty,
    /// There are not enough pieces of these products.
    #[error("there is not enough stock")]
    InsufficientStock(Vec<Shortage>),
    /// Its products are sold in different currencies.
    #[error("the products in the cart are sold in different currencies")]
    MixedCurrencies,
    /// The sum is more than can be counted.
    #[error("the total is too large")]
    Overflow,
}

/// A line of a cart that cannot be bought.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Shortage {
    /// The product.
    pub product_id: ProductId,
    /// How many pieces the cart holds.
    pub requested: u32,
    /// How many there are; 0 too where the product is gone.
    pub available: u32,
}

impl Transition {
    /// The only state that the move leads out of.
    pub fn from(self) -> Status {
        match self {
            Self::Pay | Self::Cancel => Status::PendingPayment,
            Self::Pack => Status::Paid,
            Self::Ship => Status::Packed,
            Self::Deliver => Status::Shipped,
        }
    }

    /// The state that the move leads to.
    pub fn to(self) -> Status {
        match self {
            Self::Pay => Status::Paid,
            Self::Cancel => Status::Cancelled,
            Self::Pack => Status::Packed,
            Self::Ship => Status::Shipped,
            Self::Deliver => Status::Delivered,
        }
    }

    /// Who makes the move.
    pub fn by(self) -> Actor {
        match self {
            Self::Pay => Actor::Payment,
            Self::Cancel => Actor::Customer,
            Self::Pack | Self::Ship | Self::Deliver => Actor::Admin,
        }
    }

    /// What the move adds to the history.
    pub fn entry(self, at: Timestamp) -> HistoryEntry {
        HistoryEntry { status: self.to(), at, by: self.by() }
    }
}

impl Fulfilment {
    /// The move.
    pub fn transition(&self) -> Transition {
        match self {
            Self::Pack => Transition::Pack,
            Self::Ship(_) => Transition::Ship,
            Self::Deliver => Transition::Deliver,
        }
    }
}

impl Order {
    /// The order of all that is in `cart`, at the prices of `products`.
    pub fn place(
        id: Uuid,
        user_id: Uuid,
        cart: &Cart,
        products: &HashMap<ProductId, Product>,
        shipping_address: Option<Label>,
        at: Timestamp,
    ) -> Result<Self, Unplaceable> {
        let mut lines = Vec::with_capacity(cart.lines.len());
        let mut shortages = Vec::new();
        for (product_id, line) in &cart.lines {
            let quantity = line.quantity;
            match products.get(product_id).filter(|product| product.can_sell(quantity)) {
                Some(product) => lines.push(Line {
                    product_id: product_id.clone(),
                    name: product.name.clone(),
                    quantity,
                    price: product.price,
                    total: product.price.times(quantity).ok_or(Unplaceable::Overflow)?,
                }),
                None => shortages.push(Shortage {
                    product_id: product_id.clone(),
                    requested: quantity,
                    available: products.get(product_id).map_or(0, |product| product.stock),
                }),
            }
        }
        if !shortages.is_empty() {
            return Err(Unplaceable::InsufficientStock(shortages));
        }
        let (first, rest) = lines.split_first().ok_or(Unplaceable::Empty)?;
        if rest.iter().any(|line| line.total.currency != first.total.currency) {
            return Err(Unplaceable::MixedCurrencies);
        }
        let total = rest
            .iter()
            .try_fold(first.total, |sum, line| sum.plus(line.total))
            .ok_or(Unplaceable::Overflow)?;
        let status = Status::PendingPayment;
        Ok(Self {
            id,
            user_id,
            status,
            lines,
            total,
            shipping_address,
            payment_id: None,
            shipment: None,
            created_at: at,
            history: vec![HistoryEntry { status, at, by: Actor::Customer }],
        })
    }

    /// Whether a payment for the order is under way.
    pub fn payment_in_progress(&self) -> bool {
        self.status == Status::PendingPayment && self.payment_id.is_some()
    }

    /// The order after the move.
    pub fn moved(mut self, transition: Transition, at: Timestamp) -> Result<Self, Illegal> {
        let to = transition.to();
        if self.status != transition.from() {
            return Err(Illegal::State { from: self.status, to });
        }
        // Only the payment itself may move an order that is being paid.
        if self.payment_in_progress() && transition != Transition::Pay {
            return Err(Illegal::PaymentInProgress { to });
        }
        self.status = to;
        self.history.push(transition.entry(at));
        Ok(self)
    }

    /// The order after a step of the shop's.
    pub fn fulfilled(self, step: &Fulfilment, at: Timestamp) -> Result<Self, Illegal> {
        let mut order = self.moved(step.transition(), at)?;
        if let Fulfilment::Ship(shipment) = step {
            order.shipment = Some(shipment.clone());
        }
        Ok(order)
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
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TryFrom<String> for Estimate {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        // A `full-date` has ten characters; jiff alone would also take a date-time for a day, and drop the time.
        let parsed = if text.len() == 10 {
            Date::from_str(&text).map(Self::Day)
        } else {
            Timestamp::from_str(&text).map(Self::Time)
        };
        parsed.map_err(|_| "expected an RFC 3339 date or time, such as 2026-01-31 or 2026-01-31T12:00:00Z")
    }
}

impl From<Estimate> for String {
    fn from(estimate: Estimate) -> Self {
        match estimate {
            Estimate::Day(date) => date.to_string(),
            Estimate::Time(time) => time.to_string(),
        }
    }
}

#[cfg(test)]
mod tests;
