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
