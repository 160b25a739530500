//! Cart: what can be bought and what a customer is about to buy. Owns the products, their stock, and the carts.

pub mod model;
pub mod store;
