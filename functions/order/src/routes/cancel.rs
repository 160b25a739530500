//! `POST /orders/{id}/cancel`.

use axum::extract::State;
use serde::Deserialize;
use shared::http::{Json, OptionalJson, Path};
use shared::problem::Problem;
use shared::token::Caller;
use uuid::Uuid;

use super::no_order;
use super::view::OrderView;
use crate::State as App;
use crate::ending::end;
use crate::model::{Act, Actor, Reason, Transition};

/// What may be said about it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub(crate) struct Body {
    /// Why.
    reason: Option<Reason>,
}

/// Gives up an order that is not packed yet, and returns its stock. What was paid is refunded soon. Customers give up
/// their own orders, admins anybody's.
pub(crate) async fn post(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Uuid>,
    OptionalJson(body): OptionalJson<Body>,
) -> Result<Json<OrderView>, Problem> {
    let owner =
        if caller.is_admin() { app.orders.owner(id).await?.ok_or_else(no_order)? } else { caller.user_id };
    let own = owner == caller.user_id;
    let act = Act {
        by: if own { Actor::Customer } else { Actor::Admin },
        by_id: Some(caller.user_id),
        at: app.clock.now(),
        reason: body.unwrap_or_default().reason,
    };
    let order = end(&app.orders, &app.carts, (owner, id), Transition::Cancel, &act).await?;
    Ok(Json(if own { order.into() } else { OrderView::for_the_shop(order) }))
}

#[cfg(test)]
mod tests;
