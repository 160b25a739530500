//! Products, carts, whose they are, and what a cart costs.

mod cart;
mod owner;
mod priced;
mod product;

pub use cart::{Cart, CartLine, Quantity, Refused};
pub use priced::{Availability, Change, Overflow, PricedCart, PricedLine};
pub use product::{
    Amount, CatalogueEntry, Category, ImageUrl, Price, Product, ProductId, ProductPatch, Stock,
};

pub(crate) use owner::{AnonymousCart, CartToken, Owner, TokenHash};

/// How many different products a cart may hold. Checkout is one transaction of at most 100 writes, one per product and
/// a few more.
pub const MAX_LINES: usize = 50;

/// How many of one product a cart may hold.
pub const MAX_QUANTITY: u32 = 99;

/// The highest price of one piece, in minor units: the total of the fullest cart stays far from overflow.
pub const MAX_PRICE: u64 = 100_000_000;

/// The most pieces of one product that an admin may put in stock.
pub const MAX_STOCK: u32 = 1_000_000;

#[cfg(test)]
mod tests;
