//! The simulation against a shop that a test plays.

use std::sync::Mutex;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use super::*;

type Seen = Arc<Mutex<Vec<(String, SocketAddr, bool, Value)>>>;

struct Played {
    urls: BTreeMap<String, String>,
    seen: Seen,
    task: AbortHandle,
}

impl Drop for Played {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Answers as a shop does whose orders are refused with this problem, if any.
async fn play(refusal: Option<(StatusCode, &'static str)>) -> Played {
    let seen = Seen::default();
    let router = Router::new().fallback(answer).with_state((Arc::clone(&seen), refusal));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let task = tokio::spawn(async move { axum::serve(listener, service).await.unwrap() }).abort_handle();
    let services = ["auth", "cart", "order", "payment", "analytics"];
    let urls = services.map(|service| (service.to_owned(), url.clone()));
    Played { urls: BTreeMap::from(urls), seen, task }
}

async fn answer(
    State((seen, refusal)): State<(Seen, Option<(StatusCode, &'static str)>)>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let path = request.uri().path().to_owned();
    let logged_in = request.headers().contains_key("authorization");
    let body = axum::body::to_bytes(request.into_body(), usize::MAX).await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let events = body["events"].as_array().map_or(0, Vec::len);
    seen.lock().unwrap().push((path.clone(), peer, logged_in, body));
    match path.as_str() {
        "/products" => {
            Json(json!({ "items": [{ "id": "cup", "name": "Cup", "available": true }] })).into_response()
        }
        "/login" => Json(json!({ "access_token": "token" })).into_response(),
        "/events" => Json(json!({ "accepted": events, "results": [] })).into_response(),
        "/orders" => match refusal {
            Some((status, kind)) => {
                (status, Json(json!({ "type": kind, "title": "Refused" }))).into_response()
            }
            None => Json(json!({ "id": "o1" })).into_response(),
        },
        _ => Json(json!({})).into_response(),
    }
}

fn options() -> Options {
    Options { users: 60, days: 30, seed: 1 }
}

#[tokio::test]
async fn every_planned_event_is_sent_once_in_requests_that_are_small_enough() {
    let shop = play(None).await;
    let report = simulate(&shop.urls, &options(), |_| {}).await.unwrap();
    assert!(report.unplanned.is_empty(), "{:?}", report.unplanned);
    let seen = shop.seen.lock().unwrap();
    let batches: Vec<_> = seen.iter().filter_map(|(_, _, _, body)| body["events"].as_array()).collect();
    assert!(batches.iter().all(|batch| (1..=BATCH).contains(&batch.len())));
    let ids: std::collections::BTreeSet<_> =
        batches.iter().flat_map(|batch| batch.iter().map(|event| event["id"].as_str().unwrap())).collect();
    assert_eq!(ids.len(), batches.iter().map(|batch| batch.len()).sum::<usize>());
    assert_eq!(report.made["events"], ids.len());
}

#[tokio::test]
async fn users_report_as_themselves_what_their_browser_reported_before_them_each_from_an_address_of_their_own()
 {
    let shop = play(None).await;
    let report = simulate(&shop.urls, &options(), |_| {}).await.unwrap();
    let seen = shop.seen.lock().unwrap();
    let browsers = |logged_in: bool| -> std::collections::BTreeSet<String> {
        let batches = seen.iter().filter(|(_, _, token, _)| *token == logged_in);
        let events = batches.flat_map(|(_, _, _, body)| body["events"].as_array().into_iter().flatten());
        events.map(|event| event["anonymous_id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(browsers(true).len(), report.made["users"]);
    assert!(browsers(true).intersection(&browsers(false)).count() > 0);
    if cfg!(target_os = "linux") {
        let addresses = seen.iter().filter(|(path, ..)| path == "/register").map(|(_, peer, ..)| peer.ip());
        assert_eq!(addresses.collect::<std::collections::BTreeSet<_>>().len(), report.made["users"]);
    }
}

#[tokio::test]
async fn what_is_sold_out_is_no_failure() {
    let shop = play(Some((StatusCode::CONFLICT, "urn:problem-type:insufficient-stock"))).await;
    let report = simulate(&shop.urls, &options(), |_| {}).await.unwrap();
    assert!(report.unplanned.is_empty(), "{:?}", report.unplanned);
    assert!(report.made["orders refused: sold out"] > 0);
}

#[tokio::test]
async fn what_nobody_planned_is_counted_under_its_title() {
    let shop = play(Some((StatusCode::CONFLICT, "urn:problem-type:empty-cart"))).await;
    let report = simulate(&shop.urls, &options(), |_| {}).await.unwrap();
    let kinds: Vec<_> = report.unplanned.keys().collect();
    assert_eq!(kinds, ["POST /orders (order): 409 Refused"]);
    assert!(summary(&report, &shop.urls).contains("409 Refused"));
}

#[tokio::test]
async fn a_system_that_is_not_running_is_named() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let urls = BTreeMap::from([("cart".to_owned(), format!("http://{closed}"))]);
    let error = simulate(&urls, &options(), |_| {}).await.unwrap_err().to_string();
    assert!(error.contains("is `cargo local` running?"), "{error}");
}
