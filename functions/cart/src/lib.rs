//! Cart: what can be bought, and what a customer is about to buy. Owns the products, their stock, and the carts.

pub mod model;
#[cfg(feature = "openapi")]
pub mod openapi;
mod routes;
pub mod store;

use axum::Router;
use shared::aws::Aws;
use shared::clock::Clock;
use shared::config::{ConfigError, Env};
use shared::db::Table;
use shared::id::Generator;
use shared::routes::{Access, Routes, Service};

use routes::{cart, item, merge, product, products};
use store::CartStore;

/// What the handlers work with.
#[derive(Debug, Clone)]
pub struct State {
    /// This service's table.
    pub carts: CartStore,
    /// Time.
    pub clock: Clock,
    /// Tokens of anonymous carts.
    pub ids: Generator,
}

impl State {
    /// The state of a running function: the table that `CART_TABLE` names.
    pub fn new(env: &Env, aws: &Aws) -> Result<Self, ConfigError> {
        let table = Table::new(aws.dynamodb(), env.required("CART_TABLE")?);
        Ok(Self { carts: CartStore::new(table), clock: Clock::system(), ids: Generator::system() })
    }
}

/// The front door.
pub fn routes() -> Routes<State> {
    Routes::new("cart")
        .get("/products", Access::Public, products::list)
        .get("/products/{id}", Access::Public, product::get)
        .put("/products/{id}", Access::Admin, product::put)
        .patch("/products/{id}", Access::Admin, product::patch)
        .delete("/products/{id}", Access::Admin, product::delete)
        // A cart is opened by an access token or by its own: the extractor `Owner` wants one of the two.
        .post("/cart", Access::Public, cart::post)
        .get("/cart", Access::Optional, cart::get)
        .delete("/cart", Access::Optional, cart::delete)
        .put("/cart/items/{product_id}", Access::Optional, item::put)
        .delete("/cart/items/{product_id}", Access::Optional, item::delete)
        .post("/cart/merge", Access::Caller, merge::post)
}

/// The function's router.
pub fn router(state: State, service: Service) -> Router {
    routes().into_router(state, service)
}
