//! Products, carts, and what a cart costs.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use serde::{Deserialize, Serialize};
use shared::money::Money;
use shared::text::Text;

/// How many different products a cart may hold. Checkout is one transaction of at most 100 writes, one per product and
/// a few more.
pub const MAX_LINES: usize = 50;

/// How many of one product a cart may hold.
pub const MAX_QUANTITY: u32 = 99;

/// The highest price of one piece, in minor units: the total of the fullest cart stays far from overflow.
pub const MAX_PRICE: u64 = 100_000_000;

/// The most pieces of one product that an admin may put in stock.
pub const MAX_STOCK: u32 = 1_000_000;

/// Something to buy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// The product's id.
    pub id: ProductId,
    /// What it is called.
    pub name: Text<200>,
    /// What it is like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Text<2000>>,
    /// What one piece costs.
    pub price: Money,
    /// How many pieces can be sold.
    pub stock: u32,
}

/// A product as the list shows it: the list is read from an index that lags, so it does not promise stock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CatalogueEntry {
    /// The product's id.
    pub id: ProductId,
    /// What it is called.
    pub name: Text<200>,
    /// What it is like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Text<2000>>,
    /// What one piece costs.
    pub price: Money,
}

/// Names a product, in paths too: 1 to 64 of `a-z 0-9 -`, beginning with a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProductId(String);

/// How many pieces of a product a client asks for: 1 to [`MAX_QUANTITY`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u32")]
pub struct Quantity(u32);

/// The price that an admin may give a product: 1 to [`MAX_PRICE`] minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Money")]
pub struct Price(Money);

/// The stock that an admin may give a product: 0 to [`MAX_STOCK`] pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u32")]
pub struct Stock(u32);

/// What a user is about to buy; never what it costs, which only the catalogue says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cart {
    /// Counts the changes. A cart is emptied, never deleted, so that a version never comes back.
    pub version: u64,
    /// How many of which product.
    pub lines: BTreeMap<ProductId, u32>,
}

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

/// A sum of money that no number holds. The limits on prices, quantities and lines do not let it come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the total of the cart overflows")]
pub struct Overflow;

/// A cart as its owner sees it, with the catalogue's prices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PricedCart {
    /// The lines, by product id.
    pub lines: Vec<PricedLine>,
    /// The sum of the lines that can be bought; null where there is none.
    pub total: Option<Money>,
}

/// One line of a [`PricedCart`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PricedLine {
    /// The product's id.
    pub product_id: ProductId,
    /// What it is called; null where the product is gone.
    pub name: Option<Text<200>>,
    /// How many pieces.
    pub quantity: u32,
    /// What one piece costs now.
    pub unit_price: Option<Money>,
    /// What the line costs now.
    pub line_total: Option<Money>,
    /// Whether it can be bought.
    pub availability: Availability,
}

/// Whether a line can be bought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Availability {
    /// Yes.
    Available,
    /// Not as many pieces; still counted in the total.
    InsufficientStock,
    /// The product is gone; not counted.
    Unavailable,
    /// The product is now sold in another currency than the lines before it; not counted.
    OtherCurrency,
}

impl Cart {
    /// Sets how many pieces of `product` are in the cart; `products` are those that the cart holds already.
    pub fn set(
        &mut self,
        product: &Product,
        quantity: Quantity,
        products: &HashMap<ProductId, Product>,
    ) -> Result<(), Refused> {
        let mut others = self.lines.keys().filter(|id| **id != product.id);
        if others.clone().count() >= MAX_LINES {
            return Err(Refused::Full);
        }
        let currency = others.find_map(|id| products.get(id)).map(|other| other.price.currency);
        if currency.is_some_and(|currency| currency != product.price.currency) {
            return Err(Refused::OtherCurrency);
        }
        self.lines.insert(product.id.clone(), quantity.get());
        Ok(())
    }

    /// The cart with the prices of `products`.
    pub fn priced(&self, products: &HashMap<ProductId, Product>) -> Result<PricedCart, Overflow> {
        let mut total: Option<Money> = None;
        let mut lines = Vec::with_capacity(self.lines.len());
        for (id, &quantity) in &self.lines {
            let product = products.get(id);
            let line_total =
                product.map(|product| product.price.times(quantity).ok_or(Overflow)).transpose()?;
            let availability = match (product, total) {
                (None, _) => Availability::Unavailable,
                (Some(product), Some(total)) if total.currency != product.price.currency => {
                    Availability::OtherCurrency
                }
                (Some(product), _) if product.stock < quantity => Availability::InsufficientStock,
                (Some(_), _) => Availability::Available,
            };
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
                name: product.map(|product| product.name.clone()),
                quantity,
                unit_price: product.map(|product| product.price),
                line_total,
                availability,
            });
        }
        Ok(PricedCart { lines, total })
    }
}

impl ProductId {
    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProductId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for ProductId {
    type Error = &'static str;

    fn try_from(id: String) -> Result<Self, Self::Error> {
        let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let good = (1..=64).contains(&id.len())
            && id.bytes().all(|byte| letter(byte) || byte == b'-')
            && !id.starts_with('-');
        if good {
            Ok(Self(id))
        } else {
            Err("expected a product id: 1 to 64 of a-z, 0-9 and hyphens, beginning with a letter or digit")
        }
    }
}

impl From<ProductId> for String {
    fn from(id: ProductId) -> Self {
        id.0
    }
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

impl Price {
    /// The price.
    pub fn get(self) -> Money {
        self.0
    }
}

impl TryFrom<Money> for Price {
    type Error = String;

    fn try_from(price: Money) -> Result<Self, Self::Error> {
        if (1..=MAX_PRICE).contains(&price.amount) {
            Ok(Self(price))
        } else {
            Err(format!("expected an amount from 1 to {MAX_PRICE} minor units"))
        }
    }
}

impl Stock {
    /// The number of pieces.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl TryFrom<u32> for Stock {
    type Error = String;

    fn try_from(stock: u32) -> Result<Self, Self::Error> {
        if stock <= MAX_STOCK {
            Ok(Self(stock))
        } else {
            Err(format!("expected a stock from 0 to {MAX_STOCK}"))
        }
    }
}

#[cfg(test)]
mod tests;
