//! Lists in pages: an opaque cursor and a limit.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

/// The query string of every list.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct PageQuery {
    /// How many items at most: 1 to 100, 20 unless given.
    #[serde(default)]
    pub limit: Limit,
    /// Where to go on: `next_cursor` of the page before.
    pub cursor: Option<Cursor>,
}

/// How many items a page holds at most.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "u32")]
#[cfg_attr(
    feature = "openapi",
    derive(schemars::JsonSchema),
    schemars(extend("minimum" = 1, "maximum" = 100, "default" = 20))
)]
pub struct Limit(u32);

impl Limit {
    /// One item.
    pub const ONE: Self = Self(1);

    /// The number of items, 1 to 100.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl Default for Limit {
    fn default() -> Self {
        Self(20)
    }
}

impl TryFrom<u32> for Limit {
    type Error = &'static str;

    fn try_from(limit: u32) -> Result<Self, Self::Error> {
        if (1..=100).contains(&limit) { Ok(Self(limit)) } else { Err("limit must be from 1 to 100") }
    }
}

/// The key of the last item of a page, opaque to clients. It leads to no other user's data: the partition comes
/// from the token, or is the same for everybody, and never from the cursor.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
#[cfg_attr(
    feature = "openapi",
    derive(schemars::JsonSchema),
    schemars(inline, extend("minLength" = 1, "maxLength" = 512, "pattern" = "^[A-Za-z0-9_-]+$"))
)]
pub struct Cursor(String);

impl Cursor {
    /// A cursor after the item with this sort key.
    pub fn after(sort_key: impl Into<String>) -> Self {
        Self(sort_key.into())
    }

    /// The sort key of the last item seen.
    pub fn sort_key(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Cursor {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bad = "cursor is not one that this list gave out";
        if text.len() > 512 {
            return Err(bad);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| bad)?;
        let key = String::from_utf8(bytes).map_err(|_| bad)?;
        if key.is_empty() { Err(bad) } else { Ok(Self(key)) }
    }
}

impl Serialize for Cursor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&URL_SAFE_NO_PAD.encode(&self.0))
    }
}

/// One page of a list.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "Page_of_{T}"))]
pub struct Page<T> {
    /// The items, in the list's order.
    pub items: Vec<T>,
    /// Where the next page begins; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<Cursor>,
}

impl<T> Page<T> {
    /// The same page of what `f` makes of each item.
    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(f).collect(), next_cursor: self.next_cursor }
    }
}
