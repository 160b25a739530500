//! An order's life is one trace.

use http::{Method, StatusCode};
use serde_json::Value;
use shared::testing::{call, log};
use uuid::Uuid;

use super::testing::{App, user};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// The spans of the lines with this message.
fn spans(message: &str) -> Vec<Value> {
    let lines = log::lines().into_iter().filter(|line| line["message"] == message);
    lines.map(|line| line["span"].clone()).collect()
}

/// An order of the user number 1, placed by a request of [`TRACE`].
async fn place(app: &App) -> Uuid {
    app.sell("tea", 450, 10).await;
    app.fill_cart(1, &[("tea", 1)]).await;
    let post = call(Method::POST, "/orders").token(&app.token(1));
    let post = post.header("traceparent", &format!("00-{TRACE}-00f067aa0ba902b7-01"));
    let answer = post.send(&app.router).await.expect(StatusCode::CREATED);
    assert!(!answer.json.to_string().contains(TRACE), "it is only for us: {}", answer.json);
    answer.json["id"].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn an_order_keeps_the_trace_of_its_checkout_and_later_requests_name_it() {
    let app = App::new().await;
    log::start();
    let id = place(&app).await;
    let [checkout] = <[Value; 1]>::try_from(spans("answered")).unwrap();
    assert_eq!((&checkout["trace_id"], &checkout["order_trace_id"]), (&TRACE.into(), &TRACE.into()));
    assert_eq!(checkout["user_id"], user(1).to_string());
    let carried = app.read(id).await.trace.unwrap();
    assert_eq!(carried.trace_id().to_string(), TRACE);
    assert_eq!(carried.span_id().to_string(), checkout["span_id"].as_str().unwrap());

    let _answer = app.get(&format!("/orders/{id}")).await.expect(StatusCode::OK);
    let _answer = app.post(1, &format!("/orders/{id}/cancel")).await.expect(StatusCode::OK);
    for later in &spans("answered")[1..] {
        assert_eq!(later["order_trace_id"], TRACE);
        assert_ne!(later["trace_id"], TRACE);
    }
    assert_eq!(app.read(id).await.trace, Some(carried));
    assert_eq!(spans("answered").len(), 3);
}

#[tokio::test]
async fn what_expires_is_told_under_the_orders_trace() {
    let app = App::new().await;
    log::start();
    place(&app).await;
    app.state.clock.advance(app.state.payment_window);
    app.expire().await;
    let [expired] = <[Value; 1]>::try_from(spans("order expired")).unwrap();
    assert_eq!(expired["order_trace_id"], TRACE);
}

#[tokio::test]
async fn an_order_from_before_there_were_traces_is_an_order() {
    let app = App::new().await;
    let id = place(&app).await;
    let order = app.read(id).await;
    let mut json = serde_json::to_value(&order).unwrap();
    json.as_object_mut().unwrap().remove("trace").unwrap();
    let old: crate::model::Order = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(old, crate::model::Order { trace: None, ..order });
    assert_eq!(serde_json::to_value(&old).unwrap(), json);
}
