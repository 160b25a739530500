//! `GET /orders/{id}`.

use axum::extract::State;
use shared::http::{Json, Path};
use shared::problem::Problem;
use shared::token::Caller;
use uuid::Uuid;

use super::no_order;
use super::view::OrderView;
use crate::State as App;

/// One of the caller's orders.
pub(crate) async fn get(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<Json<OrderView>, Problem> {
    let order = app.orders.get(caller.user_id, id).await?.ok_or_else(no_order)?;
    Ok(Json(order.into()))
}
