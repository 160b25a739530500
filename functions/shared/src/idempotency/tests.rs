use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use axum::Router;
use axum::extract::State;
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::*;
use crate::db::{Key, TransactionError};
use crate::http::Json;
use crate::routes::{Access, Routes, Service};
use crate::testing::{Answer, Database, call, issuer};
use crate::token::Caller;

/// A service that makes things.
#[derive(Clone)]
struct App {
    database: Database,
    table: Table,
    clock: Clock,
    idempotency: Idempotency,
    /// How often the work was begun.
    begun: Arc<AtomicUsize>,
    /// The work with the name "slow" says that it has begun, and waits before it writes.
    begun_slow: Arc<Notify>,
    go_on: Arc<Notify>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
struct Thing {
    name: String,
}

async fn make(
    State(app): State<App>,
    caller: Caller,
    Keyed(key, Json(thing)): Keyed<Json<Thing>>,
) -> Result<Response, Problem> {
    app.idempotency.run(caller.user_id, key, async |attempt| work(&app, &thing, attempt).await).await
}

async fn work(app: &App, thing: &Thing, attempt: &Attempt) -> Result<Reply, Problem> {
    let number = app.begun.fetch_add(1, Ordering::Relaxed) + 1;
    match thing.name.as_str() {
        "taken" => return Err(Problem::conflict("taken", "Taken", "Choose another name")),
        "broken" => return Ok(Reply::problem(Problem::unavailable(1))),
        "final" => {
            return Ok(Reply::problem(Problem::conflict("final", "No", "And never").with("number", number)));
        }
        "noted" if attempt.noted().is_none() => {
            let mut transaction = Transaction::new(app.table.client());
            attempt.note(&mut transaction, &format!("first was {number}"))?;
            transaction.run().await?;
            return Err(Problem::unavailable(1));
        }
        "slow" if number == 1 => {
            app.begun_slow.notify_one();
            app.go_on.notified().await;
        }
        _ => {}
    }
    let reply =
        Reply::created(format!("/things/{number}"), &json!({"number": number, "noted": attempt.noted()}))?;
    let mut transaction = Transaction::new(app.table.client());
    transaction.add(app.table.put_write(&Key::new("THING", number.to_string()), thing, "")?);
    let completion = attempt.complete(&mut transaction, &reply)?;
    match transaction.run().await {
        Ok(()) => Ok(reply),
        Err(TransactionError::Cancelled(reasons)) if completion.superseded(&reasons) => {
            Err(attempt.superseded())
        }
        Err(error) => Err(error.into()),
    }
}

impl App {
    async fn new() -> (Self, Router) {
        let database = Database::new(&["UserTable"]).await;
        let (table, clock) =
            (database.table("UserTable"), Clock::fixed("2026-01-01T00:00:00Z".parse().unwrap()));
        let app = Self {
            idempotency: Idempotency::new(table.clone(), clock.clone(), Generator::system()),
            begun: Arc::default(),
            begun_slow: Arc::default(),
            go_on: Arc::default(),
            clock,
            table,
            database,
        };
        let service = Service::new(issuer().verifier(&app.clock), vec![app.table.clone()]);
        let routes = Routes::new("demo").post("/things", Access::Caller, make).post(
            "/others/{id}",
            Access::Caller,
            make,
        );
        (app.clone(), routes.into_router(app, service))
    }

    fn token(&self, user: u128) -> String {
        issuer().token(Uuid::from_u128(user), self.clock.now())
    }

    async fn things(&self) -> usize {
        let items: Vec<serde_json::Value> = self.database.items("UserTable").await;
        items.iter().filter(|item| item["pk"] == "THING").count()
    }

    async fn post(&self, router: &Router, key: &str, name: &str) -> Answer {
        self.post_to(router, "/things", 1, key, name).await
    }

    async fn post_to(&self, router: &Router, path: &str, user: u128, key: &str, name: &str) -> Answer {
        let post = call(Method::POST, path).token(&self.token(user)).header("idempotency-key", key);
        post.json(&json!({"name": name})).send(router).await
    }

    /// A function that is killed when the work "slow" has begun.
    async fn die(&self, router: &Router, key: &str) {
        tokio::select! {
            answer = self.post(router, key, "slow") => panic!("it did not wait: {answer:?}"),
            () = self.begun_slow.notified() => {}
        }
    }
}

fn kind(answer: &Answer) -> &str {
    answer.json["type"].as_str().unwrap().trim_start_matches("urn:problem-type:")
}

fn is_replay(answer: &Answer) -> bool {
    answer.headers.get("idempotency-replayed").is_some_and(|value| value == "true")
}

#[tokio::test]
async fn the_first_answer_is_given_again_and_the_work_done_once() {
    let (app, router) = App::new().await;
    let first = app.post(&router, "k", "tea").await.expect(StatusCode::CREATED);
    assert!(!is_replay(&first));
    for _ in 0..2 {
        let again = app.post(&router, "k", "tea").await.expect(StatusCode::CREATED);
        assert!(is_replay(&again));
        assert_eq!(again.headers["content-type"], "application/json");
        assert_eq!((&again.json, &again.headers["location"]), (&first.json, &first.headers["location"]));
    }
    assert_eq!(app.things().await, 1);
    let _without = call(Method::POST, "/things")
        .token(&app.token(1))
        .json(&json!({"name": "tea"}))
        .send(&router)
        .await
        .expect(StatusCode::CREATED);
    assert_eq!(app.things().await, 2, "without a key each request is one of its own");
}

#[tokio::test]
async fn a_key_belongs_to_one_user_route_path_and_body() {
    let (app, router) = App::new().await;
    let _first = app.post(&router, "k", "tea").await.expect(StatusCode::CREATED);
    let other_body = app.post(&router, "k", "cup").await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(kind(&other_body), "idempotency-key-reused");
    assert_eq!(app.things().await, 1);

    let other_user = app.post_to(&router, "/things", 2, "k", "tea").await.expect(StatusCode::CREATED);
    let other_route = app.post_to(&router, "/others/1", 1, "k", "tea").await.expect(StatusCode::CREATED);
    assert!(!is_replay(&other_user) && !is_replay(&other_route));
    let other_path = app.post_to(&router, "/others/2", 1, "k", "tea").await;
    assert_eq!(kind(&other_path), "idempotency-key-reused");
    assert_eq!(app.things().await, 3);
}

#[tokio::test]
async fn of_many_at_once_one_works_and_the_others_are_told_to_ask_again() {
    let (app, router) = App::new().await;
    let mut calls = JoinSet::new();
    for _ in 0..16 {
        let (app, router) = (app.clone(), router.clone());
        calls.spawn(async move { app.post(&router, "k", "tea").await });
    }
    for answer in calls.join_all().await {
        if answer.status == StatusCode::CONFLICT {
            assert_eq!(
                (kind(&answer), &answer.headers["retry-after"]),
                ("request-in-progress", &"1".parse().unwrap())
            );
        } else {
            let _done = answer.expect(StatusCode::CREATED);
        }
    }
    assert!(is_replay(&app.post(&router, "k", "tea").await.expect(StatusCode::CREATED)));
    assert_eq!(app.things().await, 1);
}

#[tokio::test]
async fn a_refused_request_may_be_corrected_under_the_same_key() {
    let (app, router) = App::new().await;
    let post = call(Method::POST, "/things").token(&app.token(1)).header("idempotency-key", "k");
    let _invalid = post.json(&json!({"name": 5})).send(&router).await.expect(StatusCode::BAD_REQUEST);
    for _ in 0..2 {
        let taken = app.post(&router, "k", "taken").await.expect(StatusCode::CONFLICT);
        assert_eq!((kind(&taken), is_replay(&taken)), ("taken", false));
    }
    assert_eq!(app.begun.load(Ordering::Relaxed), 2, "nothing of it was stored");
    let _corrected = app.post(&router, "k", "free").await.expect(StatusCode::CREATED);
}

#[tokio::test]
async fn a_final_refusal_is_given_again_as_a_problem() {
    let (app, router) = App::new().await;
    let first = app.post(&router, "k", "final").await.expect(StatusCode::CONFLICT);
    let again = app.post(&router, "k", "final").await.expect(StatusCode::CONFLICT);
    assert!(is_replay(&again) && !is_replay(&first));
    assert_eq!(again.json, first.json);
    assert_eq!(again.json["number"], 1);
}

#[tokio::test]
async fn an_answer_of_500_and_above_is_not_stored() {
    let (app, router) = App::new().await;
    for _ in 0..2 {
        let broken = app.post(&router, "k", "broken").await.expect(StatusCode::SERVICE_UNAVAILABLE);
        assert!(!is_replay(&broken));
    }
    assert_eq!(app.begun.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn the_key_of_a_dead_function_is_taken_over_when_it_cannot_be_alive_any_more() {
    let (app, router) = App::new().await;
    app.die(&router, "k").await;
    app.clock.advance(LEASE - SignedDuration::from_millis(1));
    let early = app.post(&router, "k", "slow").await.expect(StatusCode::CONFLICT);
    assert_eq!(kind(&early), "request-in-progress");
    app.clock.advance(SignedDuration::from_millis(1));
    let _done = app.post(&router, "k", "slow").await.expect(StatusCode::CREATED);
    assert_eq!(app.things().await, 1);
}

#[tokio::test]
async fn an_owner_that_was_replaced_fails_as_a_whole() {
    let (app, router) = App::new().await;
    let (late, ()) = tokio::join!(app.post(&router, "k", "slow"), async {
        app.begun_slow.notified().await;
        app.clock.advance(LEASE);
        let taken_over = app.post(&router, "k", "slow").await.expect(StatusCode::CREATED);
        assert_eq!(taken_over.json["number"], 2);
        app.go_on.notify_one();
    });
    assert_eq!(kind(&late.expect(StatusCode::CONFLICT)), "request-in-progress");
    assert_eq!(app.things().await, 1, "the late one wrote nothing");
    let replay = app.post(&router, "k", "slow").await.expect(StatusCode::CREATED);
    assert_eq!((replay.json["number"].as_u64(), is_replay(&replay)), (Some(2), true));
}

#[tokio::test]
async fn of_many_who_take_over_one_works() {
    let (app, router) = App::new().await;
    app.die(&router, "k").await;
    app.clock.advance(LEASE);
    let mut calls = JoinSet::new();
    for _ in 0..16 {
        let (app, router) = (app.clone(), router.clone());
        calls.spawn(async move { app.post(&router, "k", "slow").await.status });
    }
    let done = calls.join_all().await.into_iter().filter(|status| *status == StatusCode::CREATED);
    assert!(done.count() >= 1);
    assert_eq!(app.things().await, 1);
}

#[tokio::test]
async fn what_a_predecessor_noted_is_told_to_the_next_owner() {
    let (app, router) = App::new().await;
    let _unavailable = app.post(&router, "k", "noted").await.expect(StatusCode::SERVICE_UNAVAILABLE);
    let resumed = app.post(&router, "k", "noted").await.expect(StatusCode::CREATED);
    assert_eq!(resumed.json, json!({"number": 2, "noted": "first was 1"}));
}

#[tokio::test]
async fn a_key_is_forgotten_after_a_day_though_its_record_is_still_there() {
    let (app, router) = App::new().await;
    let _first = app.post(&router, "k", "tea").await.expect(StatusCode::CREATED);
    app.clock.advance(RETENTION - SignedDuration::from_secs(1));
    assert!(is_replay(&app.post(&router, "k", "tea").await));
    app.clock.advance(SignedDuration::from_secs(1));
    let anew = app.post(&router, "k", "cup").await.expect(StatusCode::CREATED);
    assert!(!is_replay(&anew));
    assert_eq!(app.things().await, 2);
}

#[tokio::test]
async fn a_lost_answer_of_the_table_is_not_noticed() {
    for (operation, call) in [("PutItem", 0), ("TransactWriteItems", 0)] {
        let (app, router) = App::new().await;
        app.database.lose_answers(operation, call..call + 1);
        let _made = app.post(&router, "k", "tea").await.expect(StatusCode::CREATED);
        assert!(is_replay(&app.post(&router, "k", "tea").await));
        assert_eq!(app.things().await, 1);
    }
    // Silent for good, and yet the work was done: the next request is told so.
    let (app, router) = App::new().await;
    app.database.lose_answers("TransactWriteItems", 0..3);
    let _unknown = app.post(&router, "k", "tea").await.expect(StatusCode::SERVICE_UNAVAILABLE);
    assert!(is_replay(&app.post(&router, "k", "tea").await.expect(StatusCode::CREATED)));
    assert_eq!(app.things().await, 1);
}

#[tokio::test]
async fn a_bad_key_is_refused_and_nothing_is_done() {
    let (app, router) = App::new().await;
    for bad in ["", " ", "\"\"", "\t", "a\tb", "ä", &"x".repeat(256)] {
        let refused = app.post(&router, bad, "tea").await.expect(StatusCode::BAD_REQUEST);
        assert_eq!(refused.json["header"], "Idempotency-Key", "{bad:?}");
    }
    let twice = call(Method::POST, "/things").token(&app.token(1)).header("idempotency-key", "a");
    let twice = twice.header("idempotency-key", "b").json(&json!({"name": "tea"}));
    let _refused = twice.send(&router).await.expect(StatusCode::BAD_REQUEST);
    assert_eq!(app.things().await, 0);
    for good in ["x", "\"8e03978e-40d5-43dd-bc93-6894a57f9324\"", &"x".repeat(255)] {
        let _made = app.post(&router, good, "tea").await.expect(StatusCode::CREATED);
    }
}
