//! Analytics: what users and orders do. Owns the raw events, which expire, and the counters made of them, which stay.

pub mod bucket;
pub mod cohort;
mod counting;
pub mod figures;
mod format;
pub mod model;
#[cfg(feature = "openapi")]
pub mod openapi;
pub mod period;
mod report;
mod routes;
pub mod sketch;
pub mod store;
mod table;
pub mod worker;

#[cfg(test)]
mod testing;

use axum::Router;
use shared::aws::Aws;
use shared::clock::Clock;
use shared::config::{ConfigError, Env};
use shared::db::Table;
use shared::http::MAX_BODY_LIMIT;
use shared::id::Generator;
use shared::routes::{Access, Routes, Service};

use routes::{cohorts, dashboard, events, funnel, summary, timeseries, top_products, users};
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
    // A batch of the most events, each with all that it may have, would be larger; few have that.
    let routes =
        Routes::new("analytics").post("/events", Access::Optional, events::post).body_limit(MAX_BODY_LIMIT);
    routes
        .get("/analytics/summary", Access::Admin, summary::get)
        .get("/analytics/timeseries", Access::Admin, timeseries::get)
        .get("/analytics/funnel", Access::Admin, funnel::get)
        .get("/analytics/top-products", Access::Admin, top_products::get)
        .get("/analytics/cohorts", Access::Admin, cohorts::get)
        .delete("/analytics/users/{id}", Access::Admin, users::delete)
        .get("/analytics/dashboard", Access::Public, dashboard::get)
        .get("/analytics/dashboard/{file}", Access::Public, dashboard::get_file)
}

/// The function's router.
pub fn router(state: State, service: Service) -> Router {
    routes().behind_the_default_route().into_router(state, service)
}
