//! One file per path.

pub(crate) mod cart;
pub(crate) mod item;
pub(crate) mod merge;
mod owner;
pub(crate) mod product;
pub(crate) mod products;

#[cfg(test)]
mod testing;
