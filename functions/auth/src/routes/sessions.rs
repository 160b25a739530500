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
pub(crate) struct Sessions {
    items: Vec<Item>,
}

#[derive(Debug, Serialize)]
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
    sessions.retain(|session| !session.is_over(app.clock.now()));
    let items = sessions.into_iter().map(|session| Item {
        id: session.session_id,
        device: session.device,
        created_at: session.created_at,
        last_used_at: session.rotated_at,
        current: session.session_id == caller.session_id,
    });
    Ok(Json(Sessions { items: items.collect() }))
}
