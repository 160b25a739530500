//! The service over an embedded database.

use axum::Router;
use jiff::Timestamp;
use serde_json::{Map, Value};
use shared::clock::Clock;
use shared::id::Generator;
use shared::routes::Service;
use shared::testing::{Database, issuer};
use uuid::Uuid;

use crate::State;
use crate::store::AnalyticsStore;

/// When the tests begin.
pub(crate) const NOW: &str = "2026-01-01T00:00:00Z";

pub(crate) struct App {
    pub(crate) router: Router,
    pub(crate) analytics: AnalyticsStore,
    pub(crate) clock: Clock,
    /// A token of user 1.
    pub(crate) token: String,
    database: Database,
}

impl App {
    pub(crate) async fn new() -> Self {
        let now: Timestamp = NOW.parse().unwrap();
        let clock = Clock::fixed(now);
        let database = Database::new(&["AnalyticsTable"]).await;
        let analytics = AnalyticsStore::new(database.table("AnalyticsTable"));
        let service = Service { verifier: issuer().verifier(&clock), tables: vec![analytics.table()] };
        let state = State { analytics: analytics.clone(), clock: clock.clone(), ids: Generator::counting() };
        Self {
            router: crate::router(state, service),
            analytics,
            clock,
            token: issuer().token(Uuid::from_u128(1), now),
            database,
        }
    }

    /// A token of an admin that is good now.
    pub(crate) fn admin(&self) -> String {
        issuer().admin_token(Uuid::from_u128(9), self.clock.now())
    }

    /// All that the table holds.
    pub(crate) async fn items(&self) -> Vec<Value> {
        self.database.items("AnalyticsTable").await
    }

    /// The raw events.
    pub(crate) async fn events(&self) -> Vec<Value> {
        self.items().await.into_iter().filter(|item| item["sk"] == "EVENT").collect()
    }

    /// The values of all counters of all days, by sort key.
    pub(crate) async fn counters(&self) -> Value {
        let mut counters = Map::new();
        for item in self.items().await {
            if let Some(name) = item["sk"].as_str().filter(|sk| sk.starts_with("COUNTER#")) {
                let sum = counters.get(name).and_then(Value::as_u64).unwrap_or_default();
                counters.insert(name.to_owned(), (sum + item["value"].as_u64().unwrap()).into());
            }
        }
        counters.into()
    }
}
