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
