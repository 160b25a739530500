//! What every route of every service does, whoever wrote it.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use axum::Router;
use http::header::{ALLOW, CACHE_CONTROL, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Method, StatusCode};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::clock::Clock;
use shared::db::Transaction;
use shared::http::{Json, OptionalJson, Path, Query};
use shared::page::PageQuery;
use shared::routes::{Access, Routes, Service};
use shared::testing::{Database, call, issuer};
use shared::token::{Caller, RevocationLog};
use uuid::Uuid;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
struct Body {
    count: u32,
}

fn now() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

fn routes() -> Routes<()> {
    Routes::new("demo")
        .post("/body", Access::Public, |Json(body): Json<Body>| async { Json(body) })
        .post("/maybe", Access::Public, |OptionalJson(body): OptionalJson<Body>| async { Json(body) })
        .get("/things/{id}", Access::Public, |Path(id): Path<Uuid>| async move { Json(id) })
        .get("/list", Access::Public, |Query(page): Query<PageQuery>| async move { Json(page.limit.get()) })
        .get("/panic", Access::Public, || async { panic!("secret-in-the-message") as Json<()> })
        .get("/caller", Access::Caller, |caller: Caller| async move { Json(caller.user_id) })
        .get("/optional", Access::Optional, |caller: Option<Caller>| async move { Json(caller.is_some()) })
        .get("/admin", Access::Admin, || async { Json(()) })
        // A handler that forgets to ask who is calling is guarded all the same.
        .get("/forgetful", Access::Caller, || async { Json(()) })
}

async fn router() -> Router {
    let verifier = issuer().verifier(&Clock::fixed(now()));
    let database = Database::new(&["UserTable"]).await;
    routes().into_router((), Service::new(verifier, vec![database.table("UserTable")]))
}

#[tokio::test]
async fn bad_bodies_are_named() {
    let router = router().await;
    let oversized = format!(r#"{{"count":1,"pad":"{}"}}"#, "x".repeat(64 * 1024));
    let bodies: [(&[u8], StatusCode); 11] = [
        (b"", StatusCode::BAD_REQUEST),
        (b"{", StatusCode::BAD_REQUEST),
        (b"[1]", StatusCode::BAD_REQUEST),
        (b"null", StatusCode::BAD_REQUEST),
        (b"{\"count\":\"1\"}", StatusCode::BAD_REQUEST),
        (b"{\"count\":-1}", StatusCode::BAD_REQUEST),
        (b"{\"count\":1,\"count\":2}", StatusCode::BAD_REQUEST),
        (b"{\"count\":1,\"typo\":2}", StatusCode::BAD_REQUEST),
        (b"{\"count\":1} {}", StatusCode::BAD_REQUEST),
        (b"{\"count\xff\":1}", StatusCode::BAD_REQUEST),
        (oversized.as_bytes(), StatusCode::PAYLOAD_TOO_LARGE),
    ];
    for (body, status) in bodies {
        let call = call(Method::POST, "/body").header("content-type", "application/json").body(body.to_vec());
        let answer = call.send(&router).await;
        assert_eq!(answer.status, status, "{}", String::from_utf8_lossy(body));
    }
    let wrong = call(Method::POST, "/body").json(&json!({"count": "many"})).send(&router).await;
    assert_eq!(wrong.json["field"], "count");
}

#[tokio::test]
async fn only_json_is_json() {
    let router = router().await;
    for (content_type, status) in [
        ("application/json; charset=utf-8", StatusCode::OK),
        ("application/merge-patch+json", StatusCode::OK),
        ("text/plain", StatusCode::UNSUPPORTED_MEDIA_TYPE),
        ("application/x-www-form-urlencoded", StatusCode::UNSUPPORTED_MEDIA_TYPE),
    ] {
        let call = call(Method::POST, "/body").header("content-type", content_type).body(r#"{"count":1}"#);
        assert_eq!(call.send(&router).await.status, status, "{content_type}");
    }
    let absent = call(Method::POST, "/maybe").send(&router).await.expect(StatusCode::OK);
    assert!(absent.json.is_null());
    let untyped = call(Method::POST, "/maybe").body(r#"{"count":1}"#).send(&router).await;
    assert_eq!(untyped.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
}

#[tokio::test]
async fn bad_paths_queries_and_methods_are_problems() {
    let router = router().await;
    let get = |path: &'static str| call(Method::GET, path).send(&router);
    assert_eq!(get("/nowhere").await.status, StatusCode::NOT_FOUND);
    assert_eq!(get("/things/1").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(get("/list?limit=0").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(get("/list?cursor=!").await.status, StatusCode::BAD_REQUEST);
    assert_eq!(get("/list").await.json, 20);
    let wrong = call(Method::DELETE, "/body").send(&router).await.expect(StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(wrong.headers[ALLOW], "POST");
}

#[tokio::test]
async fn a_panic_is_a_500_that_tells_nothing_and_ends_nothing() {
    let router = router().await;
    let answer = call(Method::GET, "/panic").send(&router).await.expect(StatusCode::INTERNAL_SERVER_ERROR);
    assert!(!answer.json.to_string().contains("secret"), "{}", answer.json);
    assert_eq!(call(Method::GET, "/list").send(&router).await.status, StatusCode::OK);
}

#[tokio::test]
async fn guards_stand_before_handlers() {
    let router = router().await;
    let (user, admin) =
        (issuer().token(Uuid::from_u128(1), now()), issuer().admin_token(Uuid::from_u128(2), now()));
    let get = |path: &'static str, token: &str| call(Method::GET, path).token(token).send(&router);

    for path in ["/caller", "/admin", "/forgetful"] {
        let missing = call(Method::GET, path).send(&router).await.expect(StatusCode::UNAUTHORIZED);
        assert_eq!(missing.headers[WWW_AUTHENTICATE], "Bearer realm=\"api\"");
        let bad = get(path, "bad").await.expect(StatusCode::UNAUTHORIZED);
        assert_eq!(bad.headers[WWW_AUTHENTICATE], "Bearer error=\"invalid_token\"");
    }
    assert_eq!(get("/caller", &user).await.json, Uuid::from_u128(1).to_string());
    let customer = get("/admin", &user).await.expect(StatusCode::FORBIDDEN);
    assert_eq!(customer.headers[WWW_AUTHENTICATE], "Bearer error=\"insufficient_scope\"");
    assert_eq!(get("/admin", &admin).await.status, StatusCode::OK);
    assert_eq!(call(Method::GET, "/optional").send(&router).await.json, false);
    assert_eq!(get("/optional", &user).await.json, true);
    assert_eq!(get("/optional", "bad").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_revoked_session_is_a_bad_token_and_no_revocations_are_an_outage() {
    let clock = Clock::fixed(now());
    let database = Database::new(&["RevocationTable"]).await;
    let verifier = issuer().verifier_with_revocations(&clock, &database);
    let router = routes().into_router((), Service::new(verifier, Vec::new()));
    let token = issuer().admin_token(Uuid::from_u128(1), now());
    let guarded = ["/caller", "/optional", "/admin", "/forgetful"];
    let get = |path: &'static str| call(Method::GET, path).token(&token).send(&router);

    database.fail(Some("Query"));
    for path in guarded {
        let unknown = get(path).await.expect(StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(unknown.headers[RETRY_AFTER], "5");
    }
    assert_eq!(get("/demo/ready").await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(get("/list").await.status, StatusCode::OK, "a public route asks nobody");
    assert_eq!(call(Method::GET, "/optional").send(&router).await.json, false);

    database.fail(None);
    clock.advance(SignedDuration::from_secs(5));
    for path in guarded {
        assert_eq!(get(path).await.status, StatusCode::OK, "{path}");
    }
    assert_eq!(get("/demo/ready").await.status, StatusCode::OK);

    let log = RevocationLog::new(database.table("RevocationTable"));
    let mut transaction = Transaction::new(log.table().client());
    // The session of the issuer's tokens.
    transaction.add(log.write(Uuid::nil(), clock.now()).unwrap());
    transaction.run().await.unwrap();
    clock.advance(SignedDuration::from_secs(10));
    for path in guarded {
        let revoked = get(path).await.expect(StatusCode::UNAUTHORIZED);
        assert_eq!(revoked.headers[WWW_AUTHENTICATE], "Bearer error=\"invalid_token\"");
    }
    assert_eq!(get("/demo/ready").await.status, StatusCode::OK);
}

#[tokio::test]
async fn two_credentials_are_none() {
    let router = router().await;
    let token = issuer().token(Uuid::from_u128(1), now());
    let answer = call(Method::GET, "/caller").token(&token).token(&token).send(&router).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn answers_are_not_stored_and_readiness_asks_the_table() {
    let ready = call(Method::GET, "/demo/ready").send(&router().await).await.expect(StatusCode::OK);
    assert_eq!(ready.json["status"], "ready");
    assert_eq!(ready.headers[CACHE_CONTROL], "no-store");

    let verifier = issuer().verifier(&Clock::fixed(now()));
    let absent = Database::new(&[]).await.table("UserTable");
    let router = routes().into_router((), Service::new(verifier, vec![absent]));
    let down = call(Method::GET, "/demo/ready").send(&router).await;
    assert!(down.status.is_server_error(), "{}", down.status);
}

#[test]
fn every_route_can_be_listed() {
    let list = routes().list();
    assert_eq!(list.len(), 10);
    assert!(list.iter().any(|route| route.path == "/demo/ready" && route.access == Access::Public));
    assert!(list.iter().any(|route| route.path == "/admin" && route.access == Access::Admin));
}
