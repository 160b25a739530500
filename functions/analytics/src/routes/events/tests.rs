use http::{Method, StatusCode};
use serde_json::{Map, Value, json};
use shared::testing::{Answer, call, issuer};
use uuid::Uuid;

use crate::testing::{App, NOW};

async fn post(app: &App, token: Option<&str>, body: &Value) -> Answer {
    let call = call(Method::POST, "/events").json(body);
    match token {
        Some(token) => call.token(token).send(&app.router).await,
        None => call.send(&app.router).await,
    }
}

#[tokio::test]
async fn an_event_without_a_token_is_stored_with_what_was_said_and_nothing_else() {
    let app = App::new().await;
    let body = json!({
        "name": "product_view",
        "anonymous_id": "visitor-1",
        "at": "2025-12-31T23:59:58Z",
        "properties": { "product": "espresso", "position": 3, "huge": 1e300, "first": true, "empty": "" },
    });
    let sent = call(Method::POST, "/events")
        .json(&body)
        .header("user-agent", "curl/8")
        .header("x-forwarded-for", "203.0.113.7");
    let answer = sent.send(&app.router).await.expect(StatusCode::ACCEPTED);
    let mut stored = app.events().await.remove(0);
    let properties: Value = serde_json::from_str(stored["properties"].as_str().unwrap()).unwrap();
    assert_eq!(properties, body["properties"]);
    stored.as_object_mut().unwrap().remove("properties");
    let id = &answer.json["id"];
    assert_eq!(
        stored,
        json!({
            "pk": format!("EVENT#{}", id.as_str().unwrap()),
            "sk": "EVENT",
            "id": id,
            "name": "product_view",
            "at": "2025-12-31T23:59:58Z",
            "received_at": NOW,
            "anonymous_id": "visitor-1",
            "subject": "ANON#visitor-1",
            "device": "bot",
            "version": 1,
            // 90 days after NOW.
            "expires_at": 1_775_001_600,
        })
    );
}

#[tokio::test]
async fn the_user_comes_from_the_token() {
    let app = App::new().await;
    let _accepted =
        post(&app, Some(&app.token), &json!({ "name": "search" })).await.expect(StatusCode::ACCEPTED);
    assert_eq!(app.events().await[0]["user_id"], Uuid::from_u128(1).to_string());
}

#[tokio::test]
async fn an_invalid_token_is_refused_and_not_taken_for_anonymous() {
    let app = App::new().await;
    let expired = issuer().token(Uuid::from_u128(1), "2025-12-31T00:00:00Z".parse().unwrap());
    for token in ["", "x", expired.as_str()] {
        let answer = post(&app, Some(token), &json!({ "name": "search" })).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{token}");
    }
    assert!(app.items().await.is_empty());
}

#[tokio::test]
async fn an_event_sent_again_counts_once() {
    let app = App::new().await;
    let id = Uuid::from_u128(7);
    let event = json!({ "name": "search", "id": id });
    let (one, two) = tokio::join!(post(&app, None, &event), post(&app, Some(&app.token), &event));
    for answer in [one, two, post(&app, None, &event).await] {
        assert_eq!(answer.expect(StatusCode::ACCEPTED).json, json!({ "id": id }));
    }
    assert_eq!(app.events().await.len(), 1);
}

#[tokio::test]
async fn bad_input_is_refused_and_nothing_is_written() {
    let app = App::new().await;
    let many: Map<String, Value> = (0..21).map(|n| (format!("p{n}"), json!(n))).collect();
    let (long_key, long_id) = ("k".repeat(65), "x".repeat(65));
    for (body, field) in [
        (json!({}), None),
        (json!([]), None),
        (json!({ "name": "search", "user_id": Uuid::nil() }), Some("user_id")),
        (json!({ "name": "Search" }), Some("name")),
        (json!({ "name": "search#x" }), Some("name")),
        (json!({ "name": 1 }), Some("name")),
        (json!({ "name": "search", "id": "1" }), Some("id")),
        (json!({ "name": "search", "at": "yesterday" }), Some("at")),
        (json!({ "name": "search", "anonymous_id": "" }), Some("anonymous_id")),
        (json!({ "name": "search", "anonymous_id": long_id }), Some("anonymous_id")),
        (json!({ "name": "search", "properties": many }), Some("properties")),
        (json!({ "name": "search", "properties": { "": 1 } }), Some("properties")),
        (json!({ "name": "search", "properties": { long_key: 1 } }), Some("properties")),
        (json!({ "name": "search", "properties": { "a": "x".repeat(257) } }), Some("properties")),
        (json!({ "name": "search", "properties": { "a": null } }), Some("properties")),
        (json!({ "name": "search", "properties": { "a": { "b": 1 } } }), Some("properties")),
        (json!({ "name": "search", "properties": { "a": [1] } }), Some("properties")),
        (json!({ "name": "search", "properties": "a" }), Some("properties")),
        (
            json!({ "name": "product_view", "properties": { "product_id": "No" } }),
            Some("properties.product_id"),
        ),
        (json!({ "name": "add_to_cart", "properties": { "product_id": 1 } }), Some("properties.product_id")),
        (json!({ "events": [] }), Some("events")),
        (json!({ "events": null }), Some("events")),
        (json!({ "events": { "name": "search" } }), Some("events")),
        (json!({ "events": vec![json!({ "name": "search" }); 501] }), Some("events")),
        (json!({ "events": [{ "name": "search" }], "name": "search" }), Some("name")),
    ] {
        let answer = post(&app, None, &body).await.expect(StatusCode::BAD_REQUEST);
        assert_eq!(answer.json.get("field").and_then(Value::as_str), field, "{body}");
    }
    let raw = |body: &'static [u8]| {
        call(Method::POST, "/events").header("content-type", "application/json").body(body).send(&app.router)
    };
    for body in [&b"{"[..], b"", b"{\"name\":\"\xff\"}", b"{\"name\":\"a\",\"properties\":{\"a\":1e999}}"] {
        assert_eq!(raw(body).await.status, StatusCode::BAD_REQUEST);
    }
    assert!(app.items().await.is_empty());
}

#[tokio::test]
async fn only_the_server_states_facts_about_orders() {
    let app = App::new().await;
    for name in ["order_paid", "order_whatever"] {
        for token in [None, Some(app.admin())] {
            let answer = post(&app, token.as_deref(), &json!({ "name": name })).await;
            assert_eq!(answer.expect(StatusCode::UNPROCESSABLE_ENTITY).json["field"], "name");
        }
    }
    assert!(app.items().await.is_empty());
}

#[tokio::test]
async fn a_batch_keeps_what_is_good_and_names_each_failure() {
    let app = App::new().await;
    let id = |n| Uuid::from_u128(n).to_string();
    let _accepted = post(&app, None, &json!({ "name": "search", "id": id(1) })).await;
    let events = json!([
        { "name": "search", "id": id(1) },
        { "name": "search", "id": id(2) },
        { "name": "page_view", "id": id(2) },
        { "name": "order_paid", "id": id(3) },
        { "name": "search", "surprise": 1 },
        ["search"],
        { "name": "search", "at": "2025-11-30T23:59:59Z" },
        { "name": "search" },
    ]);
    let answer = post(&app, Some(&app.token), &json!({ "events": events })).await;
    let answer = answer.expect(StatusCode::ACCEPTED).json;
    let counts = ["accepted", "duplicates", "rejected"].map(|name| answer[name].as_u64().unwrap());
    assert_eq!(counts, [2, 2, 4]);
    let results = answer["results"].as_array().unwrap();
    let said = |name: &str| -> Vec<&str> {
        results.iter().map(|result| result[name].as_str().unwrap_or("")).collect()
    };
    assert_eq!(
        said("status"),
        ["duplicate", "accepted", "duplicate", "rejected", "rejected", "rejected", "rejected", "accepted"]
    );
    assert_eq!(said("field"), ["", "", "", "name", "surprise", "", "at", ""]);
    assert_eq!(said("id")[..4], [id(1), id(2), id(2), id(3)]);
    for (index, result) in results.iter().enumerate() {
        assert_eq!(result["index"], index);
        assert_eq!(result.get("detail").is_some(), result["status"] == "rejected", "{result}");
    }
    let mut stored: Vec<String> =
        app.events().await.iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect();
    stored.sort();
    assert_eq!(stored, [id(1), id(2), said("id")[7].to_owned()]);
}

#[tokio::test]
async fn a_batch_of_the_most_events_that_comes_again_is_all_duplicates() {
    let app = App::new().await;
    let events: Vec<Value> =
        (1..=500).map(|n| json!({ "name": "search", "id": Uuid::from_u128(n) })).collect();
    // Some of each chunk are there before.
    for n in [1, 100, 101, 300, 500] {
        let _accepted = post(&app, None, &events[n - 1]).await.expect(StatusCode::ACCEPTED);
    }
    let body = json!({ "events": events });
    for (accepted, duplicates) in [(495, 5), (0, 500)] {
        let answer = post(&app, None, &body).await.expect(StatusCode::ACCEPTED).json;
        assert_eq!((&answer["accepted"], &answer["duplicates"]), (&json!(accepted), &json!(duplicates)));
    }
    assert_eq!(app.events().await.len(), 500);
}

#[tokio::test]
async fn parallel_batches_of_the_same_events_accept_each_once() {
    let app = App::new().await;
    let events: Vec<Value> =
        (1..=150).map(|n| json!({ "name": "search", "id": Uuid::from_u128(n) })).collect();
    let (body, reversed) =
        (json!({ "events": events }), json!({ "events": events.iter().rev().collect::<Vec<_>>() }));
    let (one, two) = tokio::join!(post(&app, None, &body), post(&app, None, &reversed));
    let accepted = |answer: Answer| answer.expect(StatusCode::ACCEPTED).json["accepted"].as_u64().unwrap();
    assert_eq!(accepted(one) + accepted(two), 150);
}

#[tokio::test]
async fn bodies_of_up_to_a_mebibyte_are_taken() {
    let app = App::new().await;
    let body = |bytes: usize| {
        let (begin, end) = (r#"{"events":[{"name":"search"}"#, "]}");
        format!("{begin}{}{end}", " ".repeat(bytes - begin.len() - end.len()))
    };
    for (bytes, status) in
        [(1024 * 1024, StatusCode::ACCEPTED), (1024 * 1024 + 1, StatusCode::PAYLOAD_TOO_LARGE)]
    {
        let call = call(Method::POST, "/events").header("content-type", "application/json");
        assert_eq!(call.body(body(bytes)).send(&app.router).await.status, status);
    }
}

#[tokio::test]
async fn the_time_that_a_client_states_counts_within_bounds() {
    let app = App::new().await;
    let cases = [
        ("2025-12-01T00:00:00Z", Some("2025-12-01T00:00:00Z")),
        ("2025-11-30T23:59:59Z", None),
        ("2026-01-01T00:10:00Z", Some(NOW)),
        ("2026-01-01T00:10:01Z", None),
        ("2025-12-31T22:00:00-01:00", Some("2025-12-31T23:00:00Z")),
    ];
    for (n, (at, stored)) in (1..).zip(cases) {
        let id = Uuid::from_u128(n);
        let answer = post(&app, None, &json!({ "name": "search", "at": at, "id": id })).await;
        match stored {
            None => assert_eq!(answer.expect(StatusCode::UNPROCESSABLE_ENTITY).json["field"], "at"),
            Some(stored) => {
                let _accepted = answer.expect(StatusCode::ACCEPTED);
                let events = app.events().await;
                let event = events.iter().find(|event| event["id"] == json!(id)).unwrap();
                assert_eq!((&event["at"], &event["received_at"]), (&json!(stored), &json!(NOW)), "{at}");
            }
        }
    }
}
