//! `GET /orders/{id}/tracking`.

use axum::extract::State;
use serde::Serialize;
use shared::http::{Json, Path};
use shared::problem::Problem;
use shared::token::Caller;
use uuid::Uuid;

use super::no_order;
use super::view::for_customers;
use crate::State as App;
use crate::model::{HistoryEntry, Shipment, Status};

/// Where an order is.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub(crate) struct Tracking {
    order_id: Uuid,
    status: Status,
    #[serde(flatten)]
    shipment: Option<Shipment>,
    history: Vec<HistoryEntry>,
}

/// Where one of the caller's orders is, and since when.
pub(crate) async fn get(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<Json<Tracking>, Problem> {
    let order = app.orders.order(caller.user_id, id).await?.ok_or_else(no_order)?;
    Ok(Json(Tracking {
        order_id: order.id,
        status: order.status,
        shipment: order.shipment,
        history: for_customers(order.history),
    }))
}
