//! `GET`, `PUT` and `DELETE /profile/addresses/{id}`.

use axum::extract::State;
use http::StatusCode;
use shared::http::{Json, Path};
use shared::problem::Problem;
use shared::token::Caller;
use uuid::Uuid;

use crate::State as App;
use crate::model::{Address, Label};

fn no_address() -> Problem {
    Problem::not_found("The caller has no such address")
}

/// One of the caller's addresses.
pub(crate) async fn get(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<Json<Address>, Problem> {
    app.users.address(caller.user_id, id).await?.map(Json).ok_or_else(no_address)
}

/// Replaces one of the caller's addresses.
pub(crate) async fn put(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Uuid>,
    Json(label): Json<Label>,
) -> Result<Json<Address>, Problem> {
    let address = Address { id, label };
    let replaced = app.users.replace_address(caller.user_id, &address).await?;
    replaced.then_some(Json(address)).ok_or_else(no_address)
}

/// Deletes one of the caller's addresses.
pub(crate) async fn delete(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<StatusCode, Problem> {
    let deleted = app.users.delete_address(caller.user_id, id).await?;
    deleted.then_some(StatusCode::NO_CONTENT).ok_or_else(no_address)
}
