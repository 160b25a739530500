//! `GET`, `PUT` and `DELETE /sample/{id}`.

use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use shared::db::retry_conflicts;
use shared::http::{ETag, IfMatch, IfNoneMatch, Json, Path, precondition_failed};
use shared::problem::Problem;
use shared::token::Caller;
use uuid::Uuid;

use crate::State as App;
use crate::model::{Entry, EntryText};

/// An entry as its owner writes it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub(crate) struct Body {
    text: EntryText,
}

fn no_entry() -> Problem {
    Problem::not_found("The caller has no such entry")
}

/// One of the caller's entries.
pub(crate) async fn get(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<(ETag, Json<Entry>), Problem> {
    let entry = app.entries.entry(caller.user_id, id).await?.ok_or_else(no_entry)?;
    Ok((ETag(entry.version), Json(entry)))
}

/// Makes an entry of the caller, or replaces it.
pub(crate) async fn put(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Uuid>,
    if_match: IfMatch,
    if_none_match: IfNoneMatch,
    Json(body): Json<Body>,
) -> Result<(StatusCode, ETag, Json<Entry>), Problem> {
    let attempt = || async {
        let before = app.entries.entry(caller.user_id, id).await?;
        let current = before.as_ref().map(|before| before.version);
        if !if_match.allows_current(current) || !if_none_match.allows_current(current) {
            return Ok(Err(precondition_failed(current)));
        }
        let entry = Entry::written(id, body.text.clone(), before.as_ref(), app.clock.now());
        app.entries.put(caller.user_id, &entry, current).await?;
        let status = if before.is_some() { StatusCode::OK } else { StatusCode::CREATED };
        Ok(Ok((status, ETag(entry.version), Json(entry))))
    };
    retry_conflicts(attempt).await?
}

/// Deletes one of the caller's entries.
pub(crate) async fn delete(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Uuid>,
    if_match: IfMatch,
) -> Result<StatusCode, Problem> {
    let attempt = || async {
        let Some(entry) = app.entries.entry(caller.user_id, id).await? else { return Ok(Err(no_entry())) };
        if !if_match.allows(entry.version) {
            return Ok(Err(precondition_failed(Some(entry.version))));
        }
        app.entries.delete(caller.user_id, id, entry.version).await?;
        Ok(Ok(StatusCode::NO_CONTENT))
    };
    retry_conflicts(attempt).await?
}

#[cfg(test)]
mod tests;
