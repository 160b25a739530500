//! `GET /sessions`.

use axum::extract::State;
use jiff::Timestamp;
use serde::Serialize;
use shared::http::Json;
use shared::problem::Problem;
use shared::token::Caller;
use uuid::Uuid;

use crate::State as App;

/// Where the caller is logged in; the most recently used first. The number of sessions is limited, so this has no pages.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub(crate) struct Sessions {
    items: Vec<Item>,
}

#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "Session"))]
struct Item {
    id: Uuid,
    /// What the user logged in with, as it called itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<String>,
    created_at: Timestamp,
    /// When it was last refreshed, or began.
    last_used_at: Timestamp,
    /// Whether the access token of this request belongs to it.
    current: bool,
}

/// The caller's sessions.
pub(crate) async fn get(State(app): State<App>, caller: Caller) -> Result<Json<Sessions>, Problem> {
    let mut sessions = app.accounts.sessions(caller.user_id).await?;
    let ended_at = app.accounts.all_ended_at().await?;
    sessions.retain(|session| !session.is_over(app.clock.now()) && session.began_after(ended_at));
    let items = sessions.into_iter().map(|session| Item {
        id: session.session_id,
        device: session.device,
        created_at: session.created_at,
        last_used_at: session.rotated_at,
        current: session.session_id == caller.session_id,
    });
    Ok(Json(Sessions { items: items.collect() }))
}

#[cfg(test)]
mod tests {
    use http::{Method, StatusCode};
    use jiff::SignedDuration;
    use serde_json::json;
    use shared::testing::call;

    use crate::model::session::IDLE_LIFETIME;
    use crate::testing::{App, LoggedIn, PASSWORD};

    #[tokio::test]
    async fn it_tells_devices_apart_and_marks_the_one_that_asks() {
        let app = App::new().await;
        app.register("alice").await;
        app.register("bob").await;
        let _bobs = app.log_in("bob").await;
        let body = json!({"username": "alice", "password": PASSWORD});
        let phone =
            call(Method::POST, "/login").json(&body).header("user-agent", "Phone\t1").send(&app.router).await;
        let phone = LoggedIn::of(&phone.expect(StatusCode::OK));
        app.clock.advance(SignedDuration::from_mins(1));
        let laptop = app.log_in("alice").await;
        app.clock.advance(SignedDuration::from_mins(1));
        let refreshed = app.post("/refresh", &json!({"refresh_token": phone.refresh})).await;
        let phone = LoggedIn::of(&refreshed);

        let id = |access: String| {
            let verifier = &app.verifier;
            async move { verifier.verify(&access).await.unwrap().sid.to_string() }
        };
        let list = app.send(Method::GET, "/sessions", &laptop.access).await.expect(StatusCode::OK);
        assert_eq!(
            list.json,
            json!({"items": [
                {
                    "id": id(phone.access).await,
                    "device": "Phone1",
                    "created_at": "2026-01-01T00:00:00Z",
                    "last_used_at": "2026-01-01T00:02:00Z",
                    "current": false,
                },
                {
                    "id": id(laptop.access.clone()).await,
                    "created_at": "2026-01-01T00:01:00Z",
                    "last_used_at": "2026-01-01T00:01:00Z",
                    "current": true,
                },
            ]})
        );
    }

    #[tokio::test]
    async fn sessions_that_are_over_are_not_listed_before_dynamodb_deletes_them() {
        let app = App::new().await;
        app.register("alice").await;
        let _old = app.log_in("alice").await;
        app.clock.advance(IDLE_LIFETIME);
        let new = app.log_in("alice").await;
        let user_id = app.verifier.verify(&new.access).await.unwrap().sub;
        assert_eq!(app.accounts.sessions(user_id).await.unwrap().len(), 2);
        let list = app.send(Method::GET, "/sessions", &new.access).await.expect(StatusCode::OK);
        assert_eq!(list.json["items"].as_array().unwrap().len(), 1);
    }
}
