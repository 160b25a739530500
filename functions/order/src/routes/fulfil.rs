//! `POST /orders/{id}/pack`, `/ship` and `/deliver`: what the shop does with a paid order.

use axum::extract::State;
use shared::db::TransactionError;
use shared::http::{Json, Path};
use shared::problem::Problem;
use uuid::Uuid;

use super::view::OrderView;
use super::{ATTEMPTS, no_order};
use crate::State as App;
use crate::model::{Fulfilment, Shipment};

/// The order was put in a parcel.
pub(crate) async fn pack(State(app): State<App>, Path(id): Path<Uuid>) -> Result<Json<OrderView>, Problem> {
    fulfil(&app, id, &Fulfilment::Pack).await
}

/// The order was given to a carrier.
pub(crate) async fn ship(
    State(app): State<App>,
    Path(id): Path<Uuid>,
    Json(shipment): Json<Shipment>,
) -> Result<Json<OrderView>, Problem> {
    fulfil(&app, id, &Fulfilment::Ship(shipment)).await
}

/// The order has arrived.
pub(crate) async fn deliver(
    State(app): State<App>,
    Path(id): Path<Uuid>,
) -> Result<Json<OrderView>, Problem> {
    fulfil(&app, id, &Fulfilment::Deliver).await
}

async fn fulfil(app: &App, id: Uuid, step: &Fulfilment) -> Result<Json<OrderView>, Problem> {
    let owner = app.orders.owner(id).await?.ok_or_else(no_order)?;
    for _ in 0..ATTEMPTS {
        let order = app.orders.get(owner, id).await?.ok_or_else(no_order)?;
        let now = app.clock.now();
        let fulfilled = order.clone().fulfilled(step, now)?;
        match app.orders.fulfil(&order, step, now).await {
            Ok(()) => return Ok(Json(fulfilled.into())),
            // Another admin was faster: what is legal now depends on the new state.
            Err(TransactionError::Cancelled(_)) => {}
            Err(TransactionError::Db(error)) => return Err(error.into()),
        }
    }
    Err(Problem::unavailable(1))
}
