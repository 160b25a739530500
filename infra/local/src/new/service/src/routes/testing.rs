//! The service over an embedded database, with one user.

use axum::Router;
use http::Method;
use jiff::Timestamp;
use serde_json::json;
use shared::clock::Clock;
use shared::routes::Service;
use shared::testing::{Answer, Call, Database, call, issuer};
use uuid::Uuid;

use crate::State;
use crate::store::SampleStore;

pub(crate) struct App {
    pub(crate) router: Router,
    pub(crate) database: Database,
    /// A token of the user.
    pub(crate) token: String,
    /// A token of someone else.
    pub(crate) stranger: String,
}

impl App {
    pub(crate) async fn new() -> Self {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let clock = Clock::fixed(now);
        let database = Database::new(&["SampleTable"]).await;
        let entries = SampleStore::new(database.table("SampleTable"));
        let service = Service::new(issuer().verifier(&clock), vec![entries.table()]);
        let token = |user| issuer().token(Uuid::from_u128(user), now);
        Self {
            router: crate::router(State { entries, clock }, service),
            database,
            token: token(1),
            stranger: token(2),
        }
    }

    /// The id of the entry that tests call so.
    pub(crate) fn id(number: u128) -> Uuid {
        Uuid::from_u128(number)
    }

    /// Where that entry is.
    pub(crate) fn path(number: u128) -> String {
        format!("/sample/{}", Self::id(number))
    }

    /// A call of the user.
    pub(crate) fn call(&self, method: Method, path: &str) -> Call {
        call(method, path).token(&self.token)
    }

    pub(crate) async fn send(&self, call: Call) -> Answer {
        call.send(&self.router).await
    }

    /// What the service answers to the user's `GET` of that entry.
    pub(crate) async fn get(&self, number: u128) -> Answer {
        self.send(self.call(Method::GET, &Self::path(number))).await
    }

    /// What the service answers when the user writes that entry.
    pub(crate) async fn put(&self, number: u128, text: &str) -> Answer {
        self.send(self.call(Method::PUT, &Self::path(number)).json(&json!({ "text": text }))).await
    }
}

/// The answer's entity tag.
pub(crate) fn etag(answer: &Answer) -> &str {
    answer.headers["etag"].to_str().unwrap()
}
