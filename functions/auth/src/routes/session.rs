//! `DELETE /sessions/{id}`.

use axum::extract::State;
use http::StatusCode;
use shared::http::Path;
use shared::problem::Problem;
use shared::token::Caller;
use uuid::Uuid;

use crate::State as App;
use crate::sessions;

/// Ends one of the caller's sessions, on whatever device.
pub(crate) async fn delete(
    State(app): State<App>,
    caller: Caller,
    Path(session_id): Path<Uuid>,
) -> Result<StatusCode, Problem> {
    if sessions::end(&app, caller.user_id, session_id, "ended_by_user").await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found("The caller has no such session"))
    }
}

#[cfg(test)]
mod tests {
    use http::Method;
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{App, LoggedIn};

    async fn id(app: &App, login: &LoggedIn) -> Uuid {
        app.verifier.verify(&login.access).await.unwrap().sid
    }

    #[tokio::test]
    async fn a_user_ends_a_session_of_another_device_and_only_their_own() {
        let app = App::new().await;
        app.register("alice").await;
        app.register("bob").await;
        let (this, other, bob) =
            (app.log_in("alice").await, app.log_in("alice").await, app.log_in("bob").await);
        let delete = |id: String| {
            let (app, access) = (&app, &this.access);
            async move { app.send(Method::DELETE, &format!("/sessions/{id}"), access).await }
        };
        let other_id = id(&app, &other).await.to_string();
        let _ended = delete(other_id.clone()).await.expect(StatusCode::NO_CONTENT);
        let body = json!({"refresh_token": other.refresh});
        let _refused = app.post("/refresh", &body).await.expect(StatusCode::UNAUTHORIZED);
        assert_eq!(app.database.items::<Value>("RevocationTable").await.len(), 1);

        let foreign = id(&app, &bob).await.to_string();
        for unknown in [other_id, foreign, Uuid::from_u128(9).to_string()] {
            let _none = delete(unknown).await.expect(StatusCode::NOT_FOUND);
        }
        let _malformed = delete("1".to_owned()).await.expect(StatusCode::BAD_REQUEST);
        assert_eq!(app.database.items::<Value>("RevocationTable").await.len(), 1);
        let _bob = app.post("/refresh", &json!({"refresh_token": bob.refresh})).await.expect(StatusCode::OK);
    }
}
