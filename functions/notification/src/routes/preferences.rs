//! `GET` and `PUT /notifications/preferences`.

use axum::extract::State;
use shared::http::Json;
use shared::problem::Problem;
use shared::token::Caller;

use crate::State as App;
use crate::model::Preferences;

/// What the caller wants to be told: what the caller last said, or else the default.
pub(crate) async fn get(State(app): State<App>, caller: Caller) -> Result<Json<Preferences>, Problem> {
    Ok(Json(app.notifications.preferences(caller.user_id).await?))
}

/// Replaces all of what the caller wants to be told.
pub(crate) async fn put(
    State(app): State<App>,
    caller: Caller,
    Json(preferences): Json<Preferences>,
) -> Result<Json<Preferences>, Problem> {
    app.notifications.put_preferences(caller.user_id, &preferences, app.clock.now()).await?;
    Ok(Json(preferences))
}

#[cfg(test)]
mod tests {
    use http::{Method, StatusCode};
    use serde_json::{Value, json};
    use shared::testing::{Answer, call};

    use crate::testing::App;

    const PATH: &str = "/notifications/preferences";

    async fn get(app: &App, token: &str) -> Value {
        call(Method::GET, PATH).token(token).send(&app.router).await.expect(StatusCode::OK).json
    }

    async fn put(app: &App, body: &Value) -> Answer {
        call(Method::PUT, PATH).token(&app.token).json(body).send(&app.router).await
    }

    fn default() -> Value {
        let (email, both) = (json!({ "email": true, "sms": false }), json!({ "email": true, "sms": true }));
        json!({
            "order_placed": email,
            "order_paid": email,
            "order_shipped": both,
            "order_delivered": both,
            "order_cancelled": email,
            "order_expired": email,
            "order_refunded": email,
        })
    }

    #[tokio::test]
    async fn preferences_are_the_default_until_the_user_replaces_them() {
        let app = App::new().await;
        assert_eq!(get(&app, &app.token).await, default());
        let mut wanted = default();
        wanted["order_paid"] = json!({ "email": false, "sms": true });
        assert_eq!(put(&app, &wanted).await.expect(StatusCode::OK).json, wanted);
        assert_eq!(get(&app, &app.token).await, wanted);
        assert_eq!(get(&app, &app.stranger()).await, default(), "another user's are untouched");
    }

    #[tokio::test]
    async fn quiet_hours_are_kept_as_they_were_said_and_nonsense_is_refused() {
        let app = App::new().await;
        let mut wanted = default();
        wanted["quiet_hours"] = json!({ "from": "22:00", "to": "07:00", "time_zone": "Europe/Berlin" });
        assert_eq!(put(&app, &wanted).await.expect(StatusCode::OK).json, wanted);
        assert_eq!(get(&app, &app.token).await, wanted);
        wanted["quiet_hours"]["time_zone"] = json!("Mars/Olympus");
        let answer = put(&app, &wanted).await.expect(StatusCode::BAD_REQUEST);
        assert_eq!(answer.json["field"], "quiet_hours");
        assert_eq!(put(&app, &default()).await.expect(StatusCode::OK).json, default(), "left out, they end");
    }

    /// Documents from before orders expired, of clients and in the table, stay good.
    #[tokio::test]
    async fn the_younger_events_may_be_left_out_and_are_told_by_mail() {
        let app = App::new().await;
        let mut older = default();
        older["order_paid"] = json!({ "email": false, "sms": false });
        let mut whole = older.clone();
        for event in ["order_expired", "order_refunded"] {
            older.as_object_mut().unwrap().remove(event);
            whole[event] = json!({ "email": true, "sms": false });
        }
        assert_eq!(put(&app, &older).await.expect(StatusCode::OK).json, whole);
        assert_eq!(get(&app, &app.token).await, whole);
    }

    #[tokio::test]
    async fn a_document_that_is_not_whole_or_has_more_is_refused_and_nothing_is_written() {
        let app = App::new().await;
        let with = |change: &dyn Fn(&mut Value)| {
            let mut document = default();
            change(&mut document);
            document
        };
        for (body, field) in [
            (with(&|all| drop(all.as_object_mut().unwrap().remove("order_paid"))), None),
            (with(&|all| all["order_packed"] = json!({ "email": true, "sms": true })), Some("order_packed")),
            (with(&|all| all["order_paid"] = json!({ "email": true })), Some("order_paid")),
            (with(&|all| all["order_paid"]["push"] = json!(true)), Some("order_paid.push")),
            (with(&|all| all["order_paid"]["email"] = json!("yes")), Some("order_paid.email")),
            (with(&|all| all["order_paid"] = json!(null)), Some("order_paid")),
            (with(&|all| all["order_paid"] = json!([true, false])), Some("order_paid")),
            (json!({}), None),
            (json!("x"), None),
        ] {
            let answer = put(&app, &body).await.expect(StatusCode::BAD_REQUEST);
            assert_eq!(answer.json.get("field").and_then(Value::as_str), field, "{body}");
        }
        let raw = call(Method::PUT, PATH).token(&app.token).body(default().to_string());
        assert_eq!(raw.send(&app.router).await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
        let anonymous = call(Method::PUT, PATH).json(&default()).send(&app.router).await;
        assert_eq!(anonymous.status, StatusCode::UNAUTHORIZED);
        assert!(app.items().await.is_empty());
    }
}
