//! A cart at today's prices, and what changed since things were put into it.

use std::collections::HashMap;

use serde::Serialize;
use shared::money::Money;
use shared::text::Text;

use super::{Cart, CartLine, Product, ProductId};

/// A sum of money that no number holds. The limits on prices, quantities and lines do not let it come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the total of the cart overflows")]
pub struct Overflow;

/// A cart as its owner sees it, with the catalogue's prices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct PricedCart {
    /// The lines, by product id.
    pub lines: Vec<PricedLine>,
    /// The sum of the lines that can be bought; null where there is none.
    pub total: Option<Money>,
}

/// One line of a [`PricedCart`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct PricedLine {
    /// The product's id.
    pub product_id: ProductId,
    /// What it is called; null where the product is gone.
    pub name: Option<Text<200>>,
    /// How many pieces.
    pub quantity: u32,
    /// What one piece cost when the line was put into the cart.
    pub added_price: Money,
    /// What one piece costs now; null where it is not sold any more.
    pub unit_price: Option<Money>,
    /// What the line costs now.
    pub line_total: Option<Money>,
    /// Whether it can be bought.
    pub availability: Availability,
    /// What is not as it was when the line was put into the cart.
    pub changes: Vec<Change>,
}

/// Whether a line can be bought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(inline))]
pub enum Availability {
    /// Yes.
    Available,
    /// Not as many pieces; still counted in the total.
    InsufficientStock,
    /// The product is not sold any more; not counted.
    Unavailable,
    /// The product is now sold in another currency than the lines before it; not counted.
    OtherCurrency,
}

/// What is not as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(inline))]
pub enum Change {
    /// The price of one piece.
    Price,
    /// Whether so many can be bought.
    Availability,
}

impl Cart {
    /// The cart with the prices of `products`.
    pub fn priced(&self, products: &HashMap<ProductId, Product>) -> Result<PricedCart, Overflow> {
        let mut total: Option<Money> = None;
        let mut lines = Vec::with_capacity(self.lines.len());
        for (id, line) in &self.lines {
            let known = products.get(id);
            let sold = known.filter(|product| product.retired_at.is_none());
            let line_total =
                sold.map(|product| product.price.times(line.quantity).ok_or(Overflow)).transpose()?;
            let availability = availability(line, sold, total);
            if let (Some(line), Availability::Available | Availability::InsufficientStock) =
                (line_total, availability)
            {
                total = Some(match total {
                    Some(total) => total.plus(line).ok_or(Overflow)?,
                    None => line,
                });
            }
            lines.push(PricedLine {
                product_id: id.clone(),
                name: known.map(|product| product.name.clone()),
                quantity: line.quantity,
                added_price: line.price,
                unit_price: sold.map(|product| product.price),
                line_total,
                availability,
                changes: changes(line, sold, availability),
            });
        }
        Ok(PricedCart { lines, total })
    }
}

/// Whether the line of a product that is sold (or not any more) can be bought, after lines of this total.
fn availability(line: &CartLine, sold: Option<&Product>, total: Option<Money>) -> Availability {
    match (sold, total) {
        (None, _) => Availability::Unavailable,
        (Some(product), Some(total)) if total.currency != product.price.currency => {
            Availability::OtherCurrency
        }
        (Some(product), _) if !product.can_sell(line.quantity) => Availability::InsufficientStock,
        (Some(_), _) => Availability::Available,
    }
}

fn changes(line: &CartLine, sold: Option<&Product>, availability: Availability) -> Vec<Change> {
    let price = sold.is_some_and(|product| product.price != line.price);
    let available = (availability == Availability::Available) != line.available;
    let changes = [(price, Change::Price), (available, Change::Availability)];
    changes.into_iter().filter(|(changed, _)| *changed).map(|(_, change)| change).collect()
}
