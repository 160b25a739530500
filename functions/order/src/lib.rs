//! Order: what a customer bought, from checkout to delivery.

pub mod events;
pub mod model;
pub mod store;
