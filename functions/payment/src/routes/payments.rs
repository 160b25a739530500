//! `GET /payments`.

use axum::extract::State;
use shared::http::{Json, Query};
use shared::page::{Page, PageQuery};
use shared::problem::Problem;
use shared::token::Caller;

use super::receipt::Receipt;
use crate::State as App;

/// The caller's payments, newest first.
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Receipt>>, Problem> {
    Ok(Json(app.payments.payments(caller.user_id, &page).await?.map(Receipt::from)))
}
