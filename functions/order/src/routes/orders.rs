//! `GET /orders`.

use axum::extract::State;
use shared::http::{Json, Query};
use shared::page::{Page, PageQuery};
use shared::problem::Problem;
use shared::token::Caller;

use super::view::OrderView;
use crate::State as App;

/// The caller's orders, newest first.
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<OrderView>>, Problem> {
    let orders = app.orders.orders(caller.user_id, &page).await?;
    Ok(Json(orders.map(OrderView::from)))
}
