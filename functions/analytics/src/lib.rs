//! Analytics: what users and orders do. Owns the raw events, which expire, and the counters made of them, which stay.

pub mod bucket;
pub mod figures;
pub mod model;
mod routes;
pub mod sketch;
pub mod store;
pub mod worker;

#[cfg(test)]
mod testing;

use axum::Router;
use shared::aws::Aws;
use shared::clock::Clock;
use shared::config::{ConfigError, Env};
use shared::db::Table;
use shared::id::Generator;
use shared::routes::{Access, Routes, Service};

use routes::{dashboard, events, summary};
use store::AnalyticsStore;

/// What the handlers work with.
#[derive(Debug, Clone)]
pub struct State {
    /// This service's table.
    pub analytics: AnalyticsStore,
    /// Time.
    pub clock: Clock,
    /// Ids.
    pub ids: Generator,
}

impl State {
    /// The state of a running function: the table that `ANALYTICS_TABLE` names.
    pub fn new(env: &Env, aws: &Aws) -> Result<Self, ConfigError> {
        let table = Table::new(aws.dynamodb(), env.required("ANALYTICS_TABLE")?);
        Ok(Self { analytics: AnalyticsStore::new(table), clock: Clock::system(), ids: Generator::system() })
    }
}

/// The front door.
pub fn routes() -> Routes<State> {
    let routes = Routes::new("analytics").post("/events", Access::Optional, events::post);
    let routes = routes.get("/analytics/summary", Access::Admin, summary::get);
    routes.get("/analytics/dashboard", Access::Public, dashboard::get).get(
        "/analytics/dashboard/{file}",
        Access::Public,
        dashboard::get_file,
    )
}

/// The function's router.
pub fn router(state: State, service: Service) -> Router {
    routes().into_router(state, service)
}
