//! `POST /logout/all`.

use axum::extract::State;
use http::StatusCode;
use shared::problem::Problem;
use shared::token::Caller;
use user::model::Username;

use crate::State as App;
use crate::sessions;

/// Ends every session of the caller, this one included.
pub(crate) async fn post(State(app): State<App>, caller: Caller) -> Result<StatusCode, Problem> {
    let username =
        Username::try_from(caller.username).map_err(|_| Problem::unauthorized(Some("invalid_token")))?;
    sessions::end_all(&app, &username, None, |_| Ok::<_, Problem>(Vec::new()), "logout_all").await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use http::Method;
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::App;

    #[tokio::test]
    async fn it_ends_every_session_of_the_caller_and_of_nobody_else() {
        let app = App::new().await;
        app.register("alice").await;
        app.register("bob").await;
        let (this, other, bob) =
            (app.log_in("alice").await, app.log_in("alice").await, app.log_in("bob").await);
        for _ in 0..2 {
            let _out =
                app.send(Method::POST, "/logout/all", &this.access).await.expect(StatusCode::NO_CONTENT);
        }
        let refresh = |token: String| {
            let app = &app;
            async move { app.post("/refresh", &json!({ "refresh_token": token })).await }
        };
        for token in [this.refresh, other.refresh] {
            let _ended = refresh(token).await.expect(StatusCode::UNAUTHORIZED);
        }
        let _bob = refresh(bob.refresh).await.expect(StatusCode::OK);
        assert_eq!(app.database.items::<Value>("RevocationTable").await.len(), 2);
        let _again = app.log_in("alice").await;
    }
}
