//! Sample: entries, of each user their own.

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
use shared::routes::{Access, Routes, Service};

use routes::{entry, list};
use store::SampleStore;

/// What the handlers work with.
#[derive(Debug, Clone)]
pub struct State {
    /// This service's table.
    pub entries: SampleStore,
    /// Time.
    pub clock: Clock,
}

impl State {
    /// The state of a running function: the table that `SAMPLE_TABLE` names.
    pub fn new(env: &Env, aws: &Aws) -> Result<Self, ConfigError> {
        let table = Table::new(aws.dynamodb(), env.required("SAMPLE_TABLE")?);
        Ok(Self { entries: SampleStore::new(table), clock: Clock::system() })
    }
}

/// The front door.
pub fn routes() -> Routes<State> {
    Routes::new("sample")
        .get("/sample", Access::Caller, list::get)
        .get("/sample/{id}", Access::Caller, entry::get)
        .put("/sample/{id}", Access::Caller, entry::put)
        .delete("/sample/{id}", Access::Caller, entry::delete)
}

/// The function's router.
pub fn router(state: State, service: Service) -> Router {
    routes().into_router(state, service)
}
