//! Notification: tells users what happens to their orders. Owns what each user wants to be told, by which channel and when, the
//! record of what was sent, and the addresses that take no mail; never an address in the clear.

pub mod deferred;
pub mod feedback;
pub mod messages;
pub mod model;
#[cfg(feature = "openapi")]
pub mod openapi;
mod routes;
pub mod sender;
pub mod store;
pub mod unsubscribe;
pub mod worker;

#[cfg(test)]
mod testing;

use axum::Router;
use shared::aws::Aws;
use shared::clock::Clock;
use shared::config::Env;
use shared::db::Table;
use shared::routes::{Access, Routes, Service};
use shared::run::Failure;
use shared::secret::ReplaceableSecret;

use routes::{notifications, preferences, read, unsubscribe as unsubscription};
use store::NotificationStore;

/// What the handlers work with.
#[derive(Debug, Clone)]
pub struct State {
    /// This service's table.
    pub notifications: NotificationStore,
    /// What signs the links by which mails are ended.
    pub link_keys: ReplaceableSecret,
    /// Time.
    pub clock: Clock,
}

impl State {
    /// The state of a running function: the table that `NOTIFICATION_TABLE` names, and the secret that `UNSUBSCRIBE_SECRET`
    /// names.
    pub async fn new(env: &Env, aws: &Aws) -> Result<Self, Failure> {
        let table = Table::new(aws.dynamodb(), env.required("NOTIFICATION_TABLE")?);
        let (clock, name) = (Clock::system(), env.required("UNSUBSCRIBE_SECRET")?);
        let link_keys = ReplaceableSecret::load(aws.secrets_manager(), name, &clock).await?;
        Ok(Self { notifications: NotificationStore::new(table), link_keys, clock })
    }
}

/// The front door.
pub fn routes() -> Routes<State> {
    Routes::new("notification")
        .get("/notifications", Access::Caller, notifications::list)
        .post("/notifications/read", Access::Caller, read::post_all)
        .post("/notifications/{id}/read", Access::Caller, read::post)
        .get("/notifications/preferences", Access::Caller, preferences::get)
        .put("/notifications/preferences", Access::Caller, preferences::put)
        .get("/notifications/unsubscribe/{token}", Access::Public, unsubscription::get)
        .post("/notifications/unsubscribe/{token}", Access::Public, unsubscription::post)
}

/// The function's router.
pub fn router(state: State, service: Service) -> Router {
    routes().into_router(state, service)
}
