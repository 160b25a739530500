//! `POST /events`.

use axum::extract::State;
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shared::http::Json;
use shared::problem::Problem;
use shared::text::Text;
use shared::token::Caller;
use uuid::Uuid;

use crate::State as App;
use crate::model::{Event, EventName, Properties};

/// What a client says that happened. Neither its network address nor its browser's name is ever kept.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reported {
    name: EventName,
    /// Makes it safe to send the event again.
    id: Option<Uuid>,
    anonymous_id: Option<Text<64>>,
    at: Option<Timestamp>,
    #[serde(default)]
    properties: Properties,
}

/// The event is stored; the same answer whether it is new or was sent before.
#[derive(Debug, Serialize)]
pub(crate) struct Accepted {
    id: Uuid,
}

/// Records an event.
pub(crate) async fn post(
    State(app): State<App>,
    caller: Option<Caller>,
    Json(reported): Json<Reported>,
) -> Result<(StatusCode, Json<Accepted>), Problem> {
    if reported.name.is_reserved() {
        let problem =
            Problem::unprocessable("Names that begin with order_ are facts that only the server states");
        return Err(problem.with("field", "name"));
    }
    let at = app.clock.now();
    let id = reported.id.unwrap_or_else(|| app.ids.uuid(at));
    let event = Event {
        id: id.to_string(),
        name: reported.name,
        at,
        client_at: reported.at,
        user_id: caller.map(|caller| caller.user_id),
        anonymous_id: reported.anonymous_id,
        order_id: None,
        revenue: None,
        refund: None,
        properties: reported.properties,
    };
    app.analytics.record(&event).await?;
    Ok((StatusCode::ACCEPTED, Json(Accepted { id })))
}

#[cfg(test)]
mod tests {
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
                "at": NOW,
                "client_at": "2025-12-31T23:59:58Z",
                "anonymous_id": "visitor-1",
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
        assert_eq!(app.counters().await, json!({ "COUNTER#search": 1 }));
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
        ] {
            let answer = post(&app, None, &body).await.expect(StatusCode::BAD_REQUEST);
            assert_eq!(answer.json.get("field").and_then(Value::as_str), field, "{body}");
        }
        let raw = |body: &'static [u8]| {
            call(Method::POST, "/events")
                .header("content-type", "application/json")
                .body(body)
                .send(&app.router)
        };
        for body in [&b"{"[..], b"", b"{\"name\":\"\xff\"}", b"{\"name\":\"a\",\"properties\":{\"a\":1e999}}"]
        {
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
}
