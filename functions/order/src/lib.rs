//! Order: what a customer bought, from checkout to delivery.

pub mod events;
pub mod model;
mod routes;
pub mod store;

use axum::Router;
use cart::store::CartStore;
use shared::aws::Aws;
use shared::clock::Clock;
use shared::config::{ConfigError, Env};
use shared::db::Table;
use shared::id::Generator;
use shared::routes::{Access, Routes, Service};
use user::store::UserStore;

use routes::{cancel, fulfil, order, orders, place, tracking};
use store::OrderStore;

/// What the handlers work with.
#[derive(Debug, Clone)]
pub struct State {
    /// This service's table.
    pub orders: OrderStore,
    /// Carts and stock: a checkout takes both, a cancellation returns the stock.
    pub carts: CartStore,
    /// Shipping addresses.
    pub users: UserStore,
    /// Time.
    pub clock: Clock,
    /// Ids.
    pub ids: Generator,
}

impl State {
    /// The state of a running function: the tables that `ORDER_TABLE`, `CART_TABLE` and `USER_TABLE` name.
    pub fn new(env: &Env, aws: &Aws) -> Result<Self, ConfigError> {
        let client = aws.dynamodb();
        let table = |variable| Ok(Table::new(client.clone(), env.required(variable)?));
        Ok(Self {
            orders: OrderStore::new(table("ORDER_TABLE")?),
            carts: CartStore::new(table("CART_TABLE")?),
            users: UserStore::new(table("USER_TABLE")?),
            clock: Clock::system(),
            ids: Generator::system(),
        })
    }
}

/// The front door.
pub fn routes() -> Routes<State> {
    Routes::new("order")
        .get("/orders", Access::Caller, orders::list)
        .post("/orders", Access::Caller, place::post)
        .get("/orders/{id}", Access::Caller, order::get)
        .get("/orders/{id}/tracking", Access::Caller, tracking::get)
        .post("/orders/{id}/cancel", Access::Caller, cancel::post)
        .post("/orders/{id}/pack", Access::Admin, fulfil::pack)
        .post("/orders/{id}/ship", Access::Admin, fulfil::ship)
        .post("/orders/{id}/deliver", Access::Admin, fulfil::deliver)
}

/// The function's router.
pub fn router(state: State, service: Service) -> Router {
    routes().into_router(state, service)
}
