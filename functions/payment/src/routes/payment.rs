//! `GET /payments/{id}`.

use axum::extract::State;
use shared::http::{Json, Path};
use shared::problem::Problem;
use shared::token::Caller;
use uuid::Uuid;

use super::receipt::Receipt;
use crate::State as App;

/// One of the caller's payments.
pub(crate) async fn get(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<Json<Receipt>, Problem> {
    let payment = app.payments.payment(caller.user_id, id).await?;
    payment
        .map(|payment| Json(payment.into()))
        .ok_or_else(|| Problem::not_found("The caller has no such payment"))
}
