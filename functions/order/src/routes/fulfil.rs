//! `POST /orders/{id}/pack`, `/ship` and `/deliver`: what the shop does with a paid order.

use axum::extract::State;
use shared::db::TransactionError;
use shared::http::{Json, Path};
use shared::problem::Problem;
use shared::token::Caller;
use uuid::Uuid;

use super::view::OrderView;
use super::{ATTEMPTS, no_order};
use crate::State as App;
use crate::model::{Act, Actor, Fulfilment, Shipment};

/// The order was put in a parcel.
pub(crate) async fn pack(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<Json<OrderView>, Problem> {
    fulfil(&app, &caller, id, &Fulfilment::Pack).await
}

/// The order was given to a carrier.
pub(crate) async fn ship(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Uuid>,
    Json(shipment): Json<Shipment>,
) -> Result<Json<OrderView>, Problem> {
    fulfil(&app, &caller, id, &Fulfilment::Ship(shipment)).await
}

/// The order has arrived.
pub(crate) async fn deliver(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<Json<OrderView>, Problem> {
    fulfil(&app, &caller, id, &Fulfilment::Deliver).await
}

async fn fulfil(app: &App, caller: &Caller, id: Uuid, step: &Fulfilment) -> Result<Json<OrderView>, Problem> {
    let owner = app.orders.owner(id).await?.ok_or_else(no_order)?;
    for _ in 0..ATTEMPTS {
        let order = app.orders.order(owner, id).await?.ok_or_else(no_order)?;
        let act = Act { by_id: Some(caller.user_id), ..Act::of(Actor::Admin, app.clock.now()) };
        let fulfilled = order.clone().fulfilled(step, act)?;
        match app.orders.fulfil(&order, &fulfilled).await {
            Ok(()) => return Ok(Json(OrderView::for_the_shop(fulfilled))),
            // Somebody was faster: what is legal now depends on the new state.
            Err(TransactionError::Cancelled(_)) => {}
            Err(TransactionError::Db(error)) => return Err(error.into()),
        }
    }
    Err(Problem::unavailable(1))
}

#[cfg(test)]
mod tests;
