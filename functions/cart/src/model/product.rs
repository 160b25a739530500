//! What can be bought.

use std::fmt;

use http::Uri;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shared::money::{Currency, Money};
use shared::text::Text;

use super::{MAX_PRICE, MAX_STOCK};

/// Something to buy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
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
    /// Which shelf of the catalogue it stands on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<Category>,
    /// What it looks like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_url: Option<ImageUrl>,
    /// How many pieces can be sold.
    pub stock: u32,
    /// Counts the changes, those of the stock by checkouts included: who changes what they saw at a version undoes none.
    #[serde(default)]
    pub version: u64,
    /// When it was taken out of the catalogue. It is kept, because returned stock must find it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired_at: Option<Timestamp>,
}

/// A product as the list shows it: the list is read from an index that lags, so it does not promise stock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
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
    /// Which shelf of the catalogue it stands on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category: Option<Category>,
    /// What it looks like.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_url: Option<ImageUrl>,
    /// Whether there were pieces left a moment ago.
    pub available: bool,
}

/// What an admin changes of a product; all else stays as it is, the stock above all. `Some(None)` removes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProductPatch {
    /// Another name.
    pub name: Option<Text<200>>,
    /// Another description, or none.
    pub description: Option<Option<Text<2000>>>,
    /// Another amount, in minor units.
    pub amount: Option<Amount>,
    /// Another currency.
    pub currency: Option<Currency>,
    /// Another category, or none.
    pub category: Option<Option<Category>>,
    /// Another image, or none.
    pub image_url: Option<Option<ImageUrl>>,
    /// How many pieces there are.
    pub stock: Option<Stock>,
}

/// Names a product, in paths too: 1 to 64 of `a-z 0-9 -`, beginning with a letter or digit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(inline, extend("pattern" = "^[a-z0-9][a-z0-9-]{0,63}$")))]
pub struct ProductId(String);

/// A shelf of the catalogue: 1 to 50 of `a-z 0-9 -`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(inline, extend("pattern" = "^[a-z0-9-]{1,50}$")))]
pub struct Category(String);

/// An absolute `https` URL of at most 2000 characters: a page of the shop may show it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(inline, extend("format" = "uri", "pattern" = "^https://[A-Za-z0-9]", "maxLength" = 2000)))]
pub struct ImageUrl(String);

/// An amount of a price: 1 to [`MAX_PRICE`] minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u64")]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(inline, extend("minimum" = 1, "maximum" = MAX_PRICE)))]
pub struct Amount(u64);

/// The price that an admin may give a product: 1 to [`MAX_PRICE`] minor units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Money")]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(transform = bounded))]
pub struct Price(Money);

/// The stock that an admin may give a product: 0 to [`MAX_STOCK`] pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "u32")]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(inline, extend("minimum" = 0, "maximum" = MAX_STOCK)))]
pub struct Stock(u32);

impl Product {
    /// Whether this many pieces can be bought.
    pub fn can_sell(&self, quantity: u32) -> bool {
        self.retired_at.is_none() && self.stock >= quantity
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
        if is_slug(&id, 64) && !id.starts_with('-') {
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

impl Category {
    /// The category.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Category {
    type Error = &'static str;

    fn try_from(category: String) -> Result<Self, Self::Error> {
        if is_slug(&category, 50) {
            Ok(Self(category))
        } else {
            Err("expected a category: 1 to 50 of a-z, 0-9 and hyphens")
        }
    }
}

impl From<Category> for String {
    fn from(category: Category) -> Self {
        category.0
    }
}

fn is_slug(text: &str, longest: usize) -> bool {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=longest).contains(&text.len()) && text.bytes().all(letter)
}

impl ImageUrl {
    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ImageUrl {
    type Error = &'static str;

    fn try_from(url: String) -> Result<Self, Self::Error> {
        // Only the characters of RFC 3986: `Uri` is more generous, and what follows its `#` it forgets.
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/?[]@!$&'()*+,;=%".contains(&byte);
        let good = url.len() <= 2000
            && url.bytes().all(legal)
            && url.parse::<Uri>().is_ok_and(|uri| {
                uri.scheme_str() == Some("https")
                    && uri.host().is_some_and(|host| !host.is_empty())
                    // No user, no password.
                    && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
            });
        if good { Ok(Self(url)) } else { Err("expected an https URL of at most 2000 characters") }
    }
}

impl From<ImageUrl> for String {
    fn from(url: ImageUrl) -> Self {
        url.0
    }
}

impl Price {
    /// The price.
    pub fn get(self) -> Money {
        self.0
    }
}

#[cfg(feature = "openapi")]
fn bounded(price: &mut schemars::Schema) {
    if let Some(amount) = price.pointer_mut("/properties/amount") {
        amount["minimum"] = 1.into();
        amount["maximum"] = MAX_PRICE.into();
    }
}

impl TryFrom<Money> for Price {
    type Error = String;

    fn try_from(price: Money) -> Result<Self, Self::Error> {
        Amount::try_from(price.amount).map(|_| Self(price))
    }
}

impl Amount {
    /// The number of minor units.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl TryFrom<u64> for Amount {
    type Error = String;

    fn try_from(amount: u64) -> Result<Self, Self::Error> {
        if (1..=MAX_PRICE).contains(&amount) {
            Ok(Self(amount))
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
