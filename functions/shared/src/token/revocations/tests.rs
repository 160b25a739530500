//! When the services know that a session was revoked.

use std::sync::Arc;

use http::{HeaderValue, StatusCode};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{RevocationLog, SHARDS};
use crate::clock::Clock;
use crate::db::Key;
use crate::testing::{Database, Issuer, issuer};
use crate::token::{Claims, LIFETIME, Refused, Verifier};

const MAX_AGE: SignedDuration = SignedDuration::from_secs(10);

struct Test {
    clock: Clock,
    database: Database,
    log: RevocationLog,
}

impl Test {
    async fn new() -> Self {
        let database = Database::new(&["RevocationTable"]).await;
        let log = RevocationLog::new(database.table("RevocationTable"));
        Self { clock: Clock::fixed("2026-01-01T00:00:00Z".parse().unwrap()), database, log }
    }

    /// One more service.
    fn verifier(&self) -> Arc<Verifier> {
        issuer().verifier_with_revocations(&self.clock, &self.database)
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn advance(&self, seconds: i64) {
        self.clock.advance(SignedDuration::from_secs(seconds));
    }

    async fn revoke(&self, session: u128, at: Timestamp) {
        self.revoke_all([(session, at)]).await;
    }

    async fn revoke_all(&self, sessions: impl IntoIterator<Item = (u128, Timestamp)>) {
        let write = |(session, at)| self.log.write(Uuid::from_u128(session), at).unwrap().put.unwrap().item;
        self.database.put_all("RevocationTable", sessions.into_iter().map(write).collect()).await;
    }

    /// What `verifier` says of a new token of the session.
    async fn ask(&self, verifier: &Verifier, session: u128) -> Result<(), Refused> {
        verifier.verify(&self.token(session)).await.map(|_| ())
    }

    fn token(&self, session: u128) -> String {
        self.token_of(session, Some(self.now().as_second()))
    }

    /// A token that is issued now, of a session that began at `auth_time`.
    fn token_of(&self, session: u128, auth_time: Option<i64>) -> String {
        let claims = issuer().claims(Uuid::nil(), "mahindra", self.now());
        issuer().sign(&issuer().header(), &Claims { sid: Uuid::from_u128(session), auth_time, ..claims })
    }

    /// Revokes every session that began until now.
    async fn revoke_everything(&self) {
        let item = self.log.write_all(self.now()).unwrap().put.unwrap().item;
        self.database.put_all("RevocationTable", vec![item]).await;
    }

    /// How often the table was asked since the last time.
    fn queries(&self) -> usize {
        self.database.take_calls().iter().filter(|call| call.starts_with("Query")).count()
    }
}

#[tokio::test]
async fn a_revoked_session_is_refused_by_every_service_within_ten_seconds_and_no_other_is() {
    let test = Test::new().await;
    let services = [test.verifier(), test.verifier()];
    for service in &services {
        test.ask(service, 1).await.unwrap();
    }
    test.revoke(1, test.now()).await;
    test.clock.advance(MAX_AGE);
    for service in services.iter().chain([&test.verifier()]) {
        assert_eq!(test.ask(service, 1).await, Err(Refused::Revoked));
        assert_eq!(test.ask(service, 2).await, Ok(()));
    }
}

#[tokio::test]
async fn a_token_that_was_accepted_before_is_refused_like_every_other_of_its_session() {
    let test = Test::new().await;
    let (verifier, token) = (test.verifier(), test.token(1));
    verifier.verify(&token).await.unwrap();
    test.revoke(1, test.now()).await;
    test.advance(10);
    assert_eq!(verifier.verify(&token).await.unwrap_err(), Refused::Revoked);
}

#[tokio::test]
async fn a_revocation_that_appears_later_than_its_time_says_is_seen() {
    let test = Test::new().await;
    let service = test.verifier();
    test.ask(&service, 1).await.unwrap();
    // Its transaction ran for as long as it may, and ended after the copy was read.
    test.revoke(1, test.now() - RevocationLog::MAX_DELAY).await;
    test.clock.advance(MAX_AGE);
    assert_eq!(test.ask(&service, 1).await, Err(Refused::Revoked));
}

#[tokio::test]
async fn a_revocation_counts_until_the_last_token_of_its_session_ends_and_is_then_forgotten() {
    let test = Test::new().await;
    let (running, revoked_at) = (test.verifier(), test.now());
    test.ask(&running, 2).await.unwrap();
    test.revoke(1, revoked_at).await;
    // A request that was already under way issues one more token, as late as can be.
    test.clock.advance(RevocationLog::MAX_DELAY * 2);
    let last = test.token(1);
    for _ in 0..LIFETIME.as_secs() {
        test.advance(1);
        let expected = if test.now() < revoked_at + RevocationLog::RETENTION {
            Refused::Revoked
        } else {
            Refused::Expired
        };
        assert_eq!(running.verify(&last).await, Err(expected));
    }
    assert_eq!(test.verifier().verify(&last).await, Err(Refused::Expired));
    test.clock.advance(MAX_AGE);
    test.ask(&running, 2).await.unwrap();
    assert_eq!(running.revocations.as_ref().unwrap().len(), 0);
}

#[tokio::test]
async fn when_all_are_revoked_every_service_refuses_who_logged_in_before_and_nobody_who_does_afterwards() {
    let test = Test::new().await;
    let (running, before) = (test.verifier(), test.now().as_second());
    test.ask(&running, 1).await.unwrap();
    test.advance(60);
    test.revoke_everything().await;
    let revoked_at = test.now();
    test.clock.advance(MAX_AGE);
    // A refresh that was under way issues one more token: what counts is the login.
    let late = test.token_of(1, Some(before));
    for service in [&running, &test.verifier()] {
        for began in [None, Some(before), Some(revoked_at.as_second())] {
            assert_eq!(service.verify(&test.token_of(2, began)).await, Err(Refused::Revoked), "{began:?}");
        }
        test.ask(service, 3).await.unwrap();
    }
    // Whatever is revoked afterwards, and however late a service starts.
    test.revoke(8, test.now()).await;
    test.advance(LIFETIME.as_secs() - 1);
    for service in [&running, &test.verifier()] {
        assert_eq!(service.verify(&late).await, Err(Refused::Revoked));
        test.ask(service, 3).await.unwrap();
    }
    // When no such token can be left, nothing is kept of it.
    test.clock.advance(RevocationLog::RETENTION);
    test.ask(&running, 3).await.unwrap();
    assert_eq!(running.revocations.as_ref().unwrap().len(), 0);
}

#[tokio::test]
async fn revoking_all_again_reaches_who_logged_in_since() {
    let test = Test::new().await;
    let running = test.verifier();
    test.revoke_everything().await;
    test.advance(20);
    let between = test.token(1);
    running.verify(&between).await.unwrap();
    test.advance(20);
    test.revoke_everything().await;
    test.clock.advance(MAX_AGE);
    for service in [&running, &test.verifier()] {
        assert_eq!(service.verify(&between).await, Err(Refused::Revoked));
        test.ask(service, 2).await.unwrap();
    }
}

#[tokio::test]
async fn a_hundred_thousand_revocations_in_a_quarter_of_an_hour_are_all_known() {
    const ALL: u128 = 100_000;
    let test = Test::new().await;
    let running = test.verifier();
    test.ask(&running, 0).await.unwrap();
    for minute in 0..15 {
        let begin = test.now();
        let at = |number| begin + SignedDuration::from_millis(i64::try_from(number * 9).unwrap());
        let range = (ALL * minute / 15)..(ALL * (minute + 1) / 15);
        test.revoke_all(range.clone().map(|number| (number + 1, at(number - range.start)))).await;
        test.clock.advance(SignedDuration::from_mins(1));
        test.ask(&running, 0).await.unwrap();
    }
    let starting = test.verifier();
    for service in [&running, &starting] {
        let revocations = service.revocations.as_ref().unwrap();
        // On a slow machine it takes more than one go, each of which begins where the last one ended.
        while revocations.refresh().await != Ok(test.now()) {
            test.advance(5);
        }
        test.ask(service, 0).await.unwrap();
        assert_eq!(revocations.len(), usize::try_from(ALL).unwrap());
        for session in 1..=ALL {
            assert_eq!(
                revocations.check(Uuid::from_u128(session), None).await,
                Err(Refused::Revoked),
                "{session}"
            );
        }
    }
}

#[tokio::test]
async fn in_an_outage_the_copy_serves_for_five_minutes_and_then_nobody_gets_in_until_it_ends() {
    let test = Test::new().await;
    let service = test.verifier();
    test.revoke(1, test.now()).await;
    test.ask(&service, 2).await.unwrap();
    test.database.fail(Some("Query"));
    test.revoke(2, test.now()).await;
    for _ in 0..299 {
        test.advance(1);
        assert_eq!(test.ask(&service, 1).await, Err(Refused::Revoked));
        assert_eq!(test.ask(&service, 2).await, Ok(()));
    }
    test.advance(1);
    for session in 1..=3 {
        assert_eq!(test.ask(&service, session).await, Err(Refused::RevocationsUnknown));
    }
    let header = HeaderValue::try_from(format!("Bearer {}", test.token(3))).unwrap();
    let problem = service.authenticate(&header).await.unwrap_err();
    assert_eq!(problem.status(), StatusCode::SERVICE_UNAVAILABLE);

    test.database.fail(None);
    test.advance(5);
    assert_eq!(test.ask(&service, 1).await, Err(Refused::Revoked));
    assert_eq!(test.ask(&service, 2).await, Err(Refused::Revoked));
    assert_eq!(test.ask(&service, 3).await, Ok(()));
}

#[tokio::test]
async fn a_service_that_starts_without_the_table_lets_nobody_in_until_it_was_read() {
    let test = Test::new().await;
    let service = test.verifier();
    test.revoke(1, test.now()).await;
    test.database.fail(Some("Query"));
    for _ in 0..10 {
        assert_eq!(test.ask(&service, 2).await, Err(Refused::RevocationsUnknown));
        test.advance(1);
    }
    test.database.fail(None);
    test.advance(5);
    assert_eq!(test.ask(&service, 1).await, Err(Refused::Revoked));
    assert_eq!(test.ask(&service, 2).await, Ok(()));
}

#[tokio::test]
async fn an_entry_that_nobody_understands_is_as_bad_as_no_table() {
    let test = Test::new().await;
    let key = Key::new("SHARD#0", format!("{}#mahindra", super::sort_key(test.now().as_microsecond())));
    test.log.table().put(&key, &json!({})).await.unwrap();
    assert_eq!(test.ask(&test.verifier(), 1).await, Err(Refused::RevocationsUnknown));
}

#[tokio::test]
async fn requests_that_come_at_once_share_one_reading_and_none_is_answered_by_the_old_copy() {
    let test = Test::new().await;
    let service = test.verifier();
    test.ask(&service, 1).await.unwrap();
    test.revoke(1, test.now()).await;
    test.clock.advance(MAX_AGE);
    test.queries();
    let mut requests = JoinSet::new();
    for _ in 0..20 {
        let (service, token) = (Arc::clone(&service), test.token(1));
        requests.spawn(async move { service.verify(&token).await });
    }
    for outcome in requests.join_all().await {
        assert_eq!(outcome, Err(Refused::Revoked));
    }
    assert_eq!(test.queries(), usize::from(SHARDS));
    // A copy that is young enough is not read again.
    test.advance(9);
    assert_eq!(test.ask(&service, 1).await, Err(Refused::Revoked));
    assert_eq!(test.queries(), 0);
}

#[tokio::test]
async fn a_token_that_is_none_does_not_make_anybody_read_the_table() {
    let test = Test::new().await;
    let service = test.verifier();
    let forged = Issuer::generate();
    let claims = issuer().claims(Uuid::nil(), "mahindra", test.now());
    for token in [forged.sign(&issuer().header(), &claims), forged.token(Uuid::nil(), test.now())] {
        service.verify(&token).await.unwrap_err();
    }
    assert_eq!(test.queries(), 0);
}
