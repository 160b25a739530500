//! Cart: what can be bought, and what a customer is about to buy. Owns the products, their stock, and the carts.

pub mod model;
mod routes;
pub mod store;

use axum::Router;
use shared::aws::Aws;
use shared::config::{ConfigError, Env};
use shared::db::Table;
use shared::routes::{Access, Routes, Service};

use routes::{cart, item, product, products};
use store::CartStore;

/// What the handlers work with.
#[derive(Debug, Clone)]
pub struct State {
    /// This service's table.
    pub carts: CartStore,
}

impl State {
    /// The state of a running function: the table that `CART_TABLE` names.
    pub fn new(env: &Env, aws: &Aws) -> Result<Self, ConfigError> {
        let table = Table::new(aws.dynamodb(), env.required("CART_TABLE")?);
        Ok(Self { carts: CartStore::new(table) })
    }
}

/// The front door.
pub fn routes() -> Routes<State> {
    Routes::new("cart")
        .get("/products", Access::Public, products::list)
        .get("/products/{id}", Access::Public, product::get)
        .put("/products/{id}", Access::Admin, product::put)
        .get("/cart", Access::Caller, cart::get)
        .delete("/cart", Access::Caller, cart::delete)
        .put("/cart/items/{product_id}", Access::Caller, item::put)
        .delete("/cart/items/{product_id}", Access::Caller, item::delete)
}

/// The function's router.
pub fn router(state: State, service: Service) -> Router {
    routes().into_router(state, service)
}
