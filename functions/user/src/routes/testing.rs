//! The service over an embedded database, with the user `mahindra`.

use axum::Router;
use jiff::Timestamp;
use shared::clock::Clock;
use shared::db::{Transaction, TransactionError};
use shared::id::Generator;
use shared::routes::Service;
use shared::testing::{Database, issuer};
use uuid::Uuid;

use crate::State;
use crate::model::Profile;
use crate::store::UserStore;

pub(crate) struct App {
    pub(crate) router: Router,
    pub(crate) users: UserStore,
    pub(crate) database: Database,
    pub(crate) clock: Clock,
    /// A token of `mahindra`, who logged in when the test began.
    pub(crate) token: String,
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
            email_verified: false,
            former_email: None,
            phone: Some("+15551234567".to_owned().try_into().unwrap()),
            name: None,
            locale: None,
            created_at: now,
            updated_at: now,
        };
        users.put_profile(&profile).await.unwrap();
        let service = Service::new(issuer().verifier(&clock), vec![users.table()]);
        let state = State::over(users.clone(), clock.clone(), Generator::counting());
        let token = issuer().token(profile.user_id, now);
        Self { router: crate::router(state, service), users, database, clock, token }
    }

    /// A token of someone else.
    pub(crate) fn stranger(&self) -> String {
        issuer().token(Uuid::from_u128(2), self.clock.now())
    }

    /// Verifies an address as the mail to it does; whether it could be.
    pub(crate) async fn verify(&self, user_id: Uuid, email: &str) -> bool {
        let email = email.to_owned().try_into().unwrap();
        let writes = self.users.verify_writes(user_id, &email, self.clock.now()).unwrap();
        let mut transaction = Transaction::new(self.users.table().client());
        transaction.add(writes.claim);
        transaction.add(writes.profile);
        match transaction.run().await {
            Ok(()) => true,
            Err(TransactionError::Cancelled(_)) => false,
            Err(TransactionError::Db(error)) => panic!("{error}"),
        }
    }
}
