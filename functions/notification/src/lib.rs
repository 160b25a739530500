//! Notification: tells users what happens to their orders. Owns what each user wants to be told, by which channel, and
//! the record of what was sent; never an address.

pub mod messages;
pub mod model;
mod routes;
pub mod sender;
pub mod store;
pub mod worker;

#[cfg(test)]
mod testing;

use axum::Router;
use shared::aws::Aws;
use shared::clock::Clock;
use shared::config::{ConfigError, Env};
use shared::db::Table;
use shared::routes::{Access, Routes, Service};

use routes::{notifications, preferences};
use store::NotificationStore;

/// What the handlers work with.
#[derive(Debug, Clone)]
pub struct State {
    /// This service's table.
    pub notifications: NotificationStore,
    /// Time.
    pub clock: Clock,
}

impl State {
    /// The state of a running function: the table that `NOTIFICATION_TABLE` names.
    pub fn new(env: &Env, aws: &Aws) -> Result<Self, ConfigError> {
        let table = Table::new(aws.dynamodb(), env.required("NOTIFICATION_TABLE")?);
        Ok(Self { notifications: NotificationStore::new(table), clock: Clock::system() })
    }
}

/// The front door.
pub fn routes() -> Routes<State> {
    Routes::new("notification")
        .get("/notifications", Access::Caller, notifications::list)
        .get("/notifications/preferences", Access::Caller, preferences::get)
        .put("/notifications/preferences", Access::Caller, preferences::put)
}

/// The function's router.
pub fn router(state: State, service: Service) -> Router {
    routes().into_router(state, service)
}
