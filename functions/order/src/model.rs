//! Orders: what was bought, and the states that an order passes through.
//!
//! ```text
//! PENDING_PAYMENT --pay--> PAID --pack--> PACKED --ship--> SHIPPED --deliver--> DELIVERED
//!   |         |              |               |                |                    |
//!   | expire  | cancel       | cancel        +----------------+-- refund ----------+--> REFUNDED
//!   v         v              v                                                             ^
//! EXPIRED   CANCELLED      CANCELLED, a refund is due ------------- refund ----------------+
//! ```
//!
//! A refund of a part leaves the state as it is. `model/transition.rs` has the table of all moves.

mod shipment;
mod transition;

use std::collections::HashMap;

use cart::model::{Cart, CartLine, Product, ProductId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shared::money::Money;
use shared::text::Text;
use shared::trace::Trace;
use user::model::Label;
use uuid::Uuid;

pub use shipment::{Estimate, Fulfilment, Shipment};
pub use transition::{Act, Actor, HistoryEntry, Illegal, Reason, Status, Transition};

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
    /// How much of the total was paid back, in its minor units.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refunded: u64,
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
    /// When it expires, unless it is paid, or being paid, by then.
    pub pay_until: Timestamp,
    /// The trace of the request that placed it, to which all that happens to it belongs; none in orders from before there
    /// were traces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<Trace>,
    /// Every state that it was ever in and every refund, the first one first; no state is entered twice.
    pub history: Vec<HistoryEntry>,
}

/// Some pieces of one product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "OrderLine"))]
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

/// A refund that was paid out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refunded {
    /// Its id.
    pub refund_id: Uuid,
    /// How much.
    pub amount: Money,
    /// Who asked for it.
    pub by: Actor,
    /// Who exactly, where that is a user.
    pub by_id: Option<Uuid>,
    /// Why.
    pub reason: Option<Reason>,
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
    /// What it is called, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Text<200>>,
    /// How many pieces the cart holds.
    pub requested: u32,
    /// How many there are; 0 too where the product is gone or not sold any more.
    pub available: u32,
    /// How many are missing.
    pub missing: u32,
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
        pay_until: Timestamp,
    ) -> Result<Self, Unplaceable> {
        let lines = lines(cart, products)?;
        let (first, rest) = lines.split_first().ok_or(Unplaceable::Empty)?;
        if rest.iter().any(|line| line.total.currency != first.total.currency) {
            return Err(Unplaceable::MixedCurrencies);
        }
        let total = rest
            .iter()
            .try_fold(first.total, |sum, line| sum.plus(line.total))
            .ok_or(Unplaceable::Overflow)?;
        let status = Status::PendingPayment;
        let act = Act { by_id: Some(user_id), ..Act::of(Actor::Customer, at) };
        Ok(Self {
            id,
            user_id,
            status,
            lines,
            total,
            refunded: 0,
            shipping_address,
            payment_id: None,
            shipment: None,
            created_at: at,
            pay_until,
            trace: None,
            history: vec![act.entry(status)],
        })
    }

    /// Whether a payment for the order is under way.
    pub fn payment_in_progress(&self) -> bool {
        self.status == Status::PendingPayment && self.payment_id.is_some()
    }

    /// Whether it was ever paid.
    pub fn was_paid(&self) -> bool {
        self.status != Status::PendingPayment && self.payment_id.is_some()
    }

    /// Whether what was paid has to be paid back, all that is left of it.
    pub fn refund_due(&self) -> bool {
        self.status == Status::Cancelled && self.was_paid()
    }

    /// What was paid and not paid back, or is to be paid.
    pub fn left(&self) -> Money {
        Money { amount: self.total.amount.saturating_sub(self.refunded), ..self.total }
    }

    /// The order after the move.
    pub fn moved(mut self, transition: Transition, act: Act) -> Result<Self, Illegal> {
        let from = self.status;
        let refund = matches!(transition, Transition::Refund | Transition::PartialRefund);
        let to = transition.from(from).filter(|_| self.was_paid() || !refund);
        let to = to.ok_or(Illegal::State { from, transition })?;
        // Only the payment itself may move an order that is being paid.
        if self.payment_in_progress() && transition != Transition::Pay {
            return Err(Illegal::PaymentInProgress { transition });
        }
        self.status = to;
        self.history.push(act.entry(to));
        Ok(self)
    }

    /// The order after a step of the shop's.
    pub fn fulfilled(self, step: &Fulfilment, act: Act) -> Result<Self, Illegal> {
        let mut order = self.moved(step.transition(), act)?;
        if let Fulfilment::Ship(shipment) = step {
            order.shipment = Some(shipment.clone());
        }
        Ok(order)
    }

    /// The order after a refund, of all that is left or of a part.
    pub fn refunded(self, refunded: &Refunded, at: Timestamp) -> Result<Self, Illegal> {
        let (left, amount) = (self.left(), refunded.amount);
        let transition = if amount == left { Transition::Refund } else { Transition::PartialRefund };
        let (by, by_id, reason) = (refunded.by, refunded.by_id, refunded.reason.clone());
        let mut order = self.moved(transition, Act { by, by_id, at, reason })?;
        if amount.currency != left.currency || !(1..=left.amount).contains(&amount.amount) {
            return Err(Illegal::Amount { left });
        }
        order.refunded += amount.amount;
        if let Some(entry) = order.history.last_mut() {
            entry.refund = Some(amount);
            entry.refund_id = Some(refunded.refund_id);
        }
        Ok(order)
    }
}

fn lines(cart: &Cart, products: &HashMap<ProductId, Product>) -> Result<Vec<Line>, Unplaceable> {
    let mut lines = Vec::with_capacity(cart.lines.len());
    let mut shortages = Vec::new();
    for (product_id, &CartLine { quantity: requested, .. }) in &cart.lines {
        let product = products.get(product_id);
        let sold = product.filter(|product| product.retired_at.is_none());
        let available = sold.map_or(0, |product| product.stock);
        match product.filter(|product| product.can_sell(requested)) {
            Some(product) => lines.push(Line {
                product_id: product_id.clone(),
                name: product.name.clone(),
                quantity: requested,
                price: product.price,
                total: product.price.times(requested).ok_or(Unplaceable::Overflow)?,
            }),
            None => shortages.push(Shortage {
                product_id: product_id.clone(),
                name: product.map(|product| product.name.clone()),
                requested,
                available,
                missing: requested.saturating_sub(available),
            }),
        }
    }
    if shortages.is_empty() { Ok(lines) } else { Err(Unplaceable::InsufficientStock(shortages)) }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(amount: &u64) -> bool {
    *amount == 0
}

#[cfg(test)]
mod life_tests;
#[cfg(test)]
mod tests;
