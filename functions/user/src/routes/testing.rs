//! The service over an embedded database, with the user `mahindra`.

use axum::Router;
use jiff::Timestamp;
use shared::clock::Clock;
use shared::id::Generator;
use shared::routes::Service;
use shared::testing::{Database, issuer};
use uuid::Uuid;

use crate::State;
use crate::model::Profile;
use crate::store::UserStore;

pub(crate) struct App {
    pub(crate) router: Router,
    /// A token of `mahindra`.
    pub(crate) token: String,
    now: Timestamp,
}

impl App {
    pub(crate) async fn new() -> Self {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let clock = Clock::fixed(now);
        let database = Database::new(&["UserTable"]).await;
        let users = UserStore::new(database.table("UserTable"));
        let profile = Profile {
            user_id: Uuid::from_u128(1),
            username: "mahindra".to_owned().try_into().unwrap(),
            email: "mahindra@example.com".to_owned().try_into().unwrap(),
            phone: Some("+15551234567".to_owned().try_into().unwrap()),
            name: None,
            created_at: now,
            updated_at: now,
        };
        users.put_profile(&profile).await.unwrap();
        let service = Service { verifier: issuer().verifier(&clock), tables: vec![users.table()] };
        let state = State { users, clock, ids: Generator::counting() };
        let token = issuer().token(profile.user_id, now);
        Self { router: crate::router(state, service), token, now }
    }

    /// A token of someone else.
    pub(crate) fn stranger(&self) -> String {
        issuer().token(Uuid::from_u128(2), self.now)
    }
}
