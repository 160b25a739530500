//! User: who a customer is. Owns the profile (name, e-mail, phone) and the addresses.

pub mod model;
mod routes;
pub mod store;

use axum::Router;
use shared::aws::Aws;
use shared::clock::Clock;
use shared::config::{ConfigError, Env};
use shared::db::Table;
use shared::id::Generator;
use shared::routes::{Access, Routes, Service};

use routes::{address, addresses, profile};
use store::UserStore;

/// What the handlers work with.
#[derive(Debug, Clone)]
pub struct State {
    /// This service's table.
    pub users: UserStore,
    /// Time.
    pub clock: Clock,
    /// Ids.
    pub ids: Generator,
}

impl State {
    /// The state of a running function: the table that `USER_TABLE` names.
    pub fn new(env: &Env, aws: &Aws) -> Result<Self, ConfigError> {
        let table = Table::new(aws.dynamodb(), env.required("USER_TABLE")?);
        Ok(Self { users: UserStore::new(table), clock: Clock::system(), ids: Generator::system() })
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
