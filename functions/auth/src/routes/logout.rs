//! `POST /logout`.

use axum::extract::State;
use http::StatusCode;
use shared::problem::Problem;
use shared::token::Caller;

use crate::State as App;
use crate::sessions;

/// Ends the session that the access token belongs to; one that has ended already is as good.
pub(crate) async fn post(State(app): State<App>, caller: Caller) -> Result<StatusCode, Problem> {
    sessions::end(&app, caller.user_id, caller.session_id, "logout").await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use http::Method;
    use serde_json::Value;

    use super::*;
    use crate::testing::App;

    #[tokio::test]
    async fn it_ends_this_session_only_and_again_is_as_good() {
        let app = App::new().await;
        app.register("alice").await;
        let (this, other) = (app.log_in("alice").await, app.log_in("alice").await);
        for _ in 0..2 {
            let answer = app.send(Method::POST, "/logout", &this.access).await.expect(StatusCode::NO_CONTENT);
            assert_eq!(answer.json, Value::Null);
        }
        let list = app.send(Method::GET, "/sessions", &other.access).await.expect(StatusCode::OK);
        assert_eq!(list.json["items"].as_array().unwrap().len(), 1);
        assert_eq!(list.json["items"][0]["current"], true);
        assert_eq!(app.database.items::<Value>("RevocationTable").await.len(), 1);
    }
}
