//! Order: what a customer bought, from checkout to delivery.

mod ending;
pub mod events;
pub mod expiry;
pub mod model;
#[cfg(feature = "openapi")]
pub mod openapi;
mod routes;
pub mod store;

use axum::Router;
use cart::store::CartStore;
use jiff::SignedDuration;
use shared::aws::Aws;
use shared::clock::Clock;
use shared::config::{ConfigError, Env};
use shared::db::Table;
use shared::id::Generator;
use shared::idempotency::Idempotency;
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
    /// What was answered to which `Idempotency-Key`.
    pub idempotency: Idempotency,
    /// How long an order waits to be paid.
    pub payment_window: SignedDuration,
    /// Time.
    pub clock: Clock,
    /// Ids.
    pub ids: Generator,
}

impl State {
    /// The state of a running function: the tables that `ORDER_TABLE`, `CART_TABLE` and `USER_TABLE` name, and the time
    /// that `PAYMENT_WINDOW_MINUTES` gives.
    pub fn new(env: &Env, aws: &Aws) -> Result<Self, ConfigError> {
        let client = aws.dynamodb();
        let table = |variable| Ok(Table::new(client.clone(), env.required(variable)?));
        let (clock, ids) = (Clock::system(), Generator::system());
        let orders = table("ORDER_TABLE")?;
        Ok(Self {
            idempotency: Idempotency::new(orders.clone(), clock.clone(), ids.clone()),
            orders: OrderStore::new(orders),
            carts: CartStore::new(table("CART_TABLE")?),
            users: UserStore::new(table("USER_TABLE")?),
            payment_window: payment_window(env)?,
            clock,
            ids,
        })
    }
}

/// At most a week: stock that nobody pays for is stock that nobody can buy.
fn payment_window(env: &Env) -> Result<SignedDuration, ConfigError> {
    let name = "PAYMENT_WINDOW_MINUTES";
    let minutes = env.required(name)?.parse().ok().filter(|minutes| (1..=10_080).contains(minutes));
    minutes.map(SignedDuration::from_mins).ok_or_else(|| ConfigError::Invalid {
        name: name.to_owned(),
        reason: "expected 1 to 10080 minutes".to_owned(),
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_payment_window_is_a_minute_to_a_week() {
        let window = |minutes: &str| payment_window(&Env::of([("PAYMENT_WINDOW_MINUTES", minutes)]));
        assert_eq!(window("30").unwrap(), SignedDuration::from_mins(30));
        assert_eq!(window("10080").unwrap(), SignedDuration::from_hours(7 * 24));
        for bad in ["", "0", "-1", "1.5", "10081", "soon"] {
            window(bad).unwrap_err();
        }
    }
}
