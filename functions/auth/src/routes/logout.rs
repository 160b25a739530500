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
