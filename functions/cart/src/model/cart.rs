//! What somebody is about to buy.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};
use shared::money::{Currency, Money};

use super::{MAX_LINES, MAX_QUANTITY, Product, ProductId};

/// What somebody is about to buy; never what it costs, which only the catalogue says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cart {
    /// Counts the changes. A cart is emptied, never deleted, so that a version never comes back. It names what is in the
    /// cart, as its `ETag` does: a price that changes in the catalogue makes no other version.
    pub version: u64,
    /// How many of which product.
    pub lines: BTreeMap<ProductId, CartLine>,
}

/// One product in a cart, with what its owner saw when it was put there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CartLine {
    /// How many pieces.
    pub quantity: u32,
    /// What one piece cost then.
    pub price: Money,
    /// Whether so many could be bought then.
    pub available: bool,
}

/// How many pieces of a product a client asks for: 1 to [`MAX_QUANTITY`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u32")]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(inline, extend("minimum" = 1, "maximum" = MAX_QUANTITY)))]
pub struct Quantity(u32);

/// Why a product does not go into a cart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The cart holds [`MAX_LINES`] other products.
    #[error("a cart holds at most {MAX_LINES} different products")]
    Full,
    /// The cart's other products are sold in another currency.
    #[error("the other products in the cart are sold in another currency")]
    OtherCurrency,
}

impl CartLine {
    /// So many pieces of a product, as it is now.
    pub fn new(product: &Product, quantity: u32) -> Self {
        Self { quantity, price: product.price, available: product.can_sell(quantity) }
    }
}

impl Cart {
    /// Sets how many pieces of `product` are in the cart; `products` are those that the cart holds already.
    pub fn set(
        &mut self,
        product: &Product,
        quantity: Quantity,
        products: &HashMap<ProductId, Product>,
    ) -> Result<(), Refused> {
        let others = self.lines.keys().filter(|id| **id != product.id);
        if others.clone().count() >= MAX_LINES {
            return Err(Refused::Full);
        }
        if currency(others, products).is_some_and(|currency| currency != product.price.currency) {
            return Err(Refused::OtherCurrency);
        }
        self.lines.insert(product.id.clone(), CartLine::new(product, quantity.get()));
        Ok(())
    }

    /// Adds the lines of `other`, all or none of them: quantities are added up, to [`MAX_QUANTITY`] at most; of a product
    /// in both, what the owner of this cart saw stays. `products` are those of both, and are not looked at where there
    /// are too many.
    pub fn merge(&mut self, other: &Self, products: &HashMap<ProductId, Product>) -> Result<(), Refused> {
        self.fits(other)?;
        if let Some(own) = currency(self.lines.keys(), products) {
            let mut theirs = sold(other.lines.keys(), products);
            if theirs.any(|product| product.price.currency != own) {
                return Err(Refused::OtherCurrency);
            }
        }
        for (id, line) in &other.lines {
            let quantity = line.quantity.min(MAX_QUANTITY);
            let merged = self.lines.entry(id.clone());
            merged
                .and_modify(|own| own.quantity = own.quantity.saturating_add(quantity).min(MAX_QUANTITY))
                .or_insert(CartLine { quantity, ..*line });
        }
        Ok(())
    }

    /// Whether the cart has room for the lines of `other`.
    pub fn fits(&self, other: &Self) -> Result<(), Refused> {
        let new = other.lines.keys().filter(|id| !self.lines.contains_key(*id)).count();
        if self.lines.len() + new > MAX_LINES { Err(Refused::Full) } else { Ok(()) }
    }
}

/// Those of the products that are sold. What is not sold any more has no say in a cart's currency.
fn sold<'a>(
    ids: impl Iterator<Item = &'a ProductId>,
    products: &'a HashMap<ProductId, Product>,
) -> impl Iterator<Item = &'a Product> {
    ids.filter_map(|id| products.get(id)).filter(|product| product.retired_at.is_none())
}

/// What the first of the products is sold in.
fn currency<'a>(
    ids: impl Iterator<Item = &'a ProductId>,
    products: &'a HashMap<ProductId, Product>,
) -> Option<Currency> {
    sold(ids, products).next().map(|product| product.price.currency)
}

impl Quantity {
    /// The number of pieces.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for Quantity {
    type Error = String;

    fn try_from(quantity: u32) -> Result<Self, Self::Error> {
        if (1..=MAX_QUANTITY).contains(&quantity) {
            Ok(Self(quantity))
        } else {
            Err(format!("expected a quantity from 1 to {MAX_QUANTITY}"))
        }
    }
}
