//! User: who a customer is. Owns the profile (name, e-mail, phone) and the addresses.

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
use shared::idempotency::Idempotency;
use shared::routes::{Access, Routes, Service};

use routes::{address, addresses, profile};
use store::UserStore;

/// What the handlers work with.
#[derive(Debug, Clone)]
pub struct State {
    /// This service's table.
    pub users: UserStore,
    /// What was asked for under a key.
    pub idempotency: Idempotency,
    /// Time.
    pub clock: Clock,
    /// Ids.
    pub ids: Generator,
}

impl State {
    /// The state of a running function: the table that `USER_TABLE` names.
    pub fn new(env: &Env, aws: &Aws) -> Result<Self, ConfigError> {
        let table = Table::new(aws.dynamodb(), env.required("USER_TABLE")?);
        Ok(Self::over(UserStore::new(table), Clock::system(), Generator::system()))
    }

    /// The state over a store, with a clock and ids of the caller's choice.
    pub fn over(users: UserStore, clock: Clock, ids: Generator) -> Self {
        let idempotency = Idempotency::new(users.table(), clock.clone(), ids.clone());
        Self { users, idempotency, clock, ids }
    }
}

/// The front door.
pub fn routes() -> Routes<State> {
    Routes::new("user")
        .get("/profile", Access::Caller, profile::get)
        .patch("/profile", Access::Caller, profile::patch)
        .get("/profile/addresses", Access::Caller, addresses::list)
        .post("/profile/addresses", Access::Caller, addresses::post)
        .get("/profile/addresses/{id}", Access::Caller, address::get)
        .put("/profile/addresses/{id}", Access::Caller, address::put)
        .delete("/profile/addresses/{id}", Access::Caller, address::delete)
}

/// The function's router.
pub fn router(state: State, service: Service) -> Router {
    routes().into_router(state, service)
}
