//! `POST /orders`.

use std::collections::HashMap;

use axum::extract::State;
use cart::model::{Product, ProductId};
use http::StatusCode;
use http::header::{HeaderName, LOCATION};
use serde::Deserialize;
use serde_json::json;
use shared::db::TransactionError;
use shared::http::{Json, OptionalJson};
use shared::problem::Problem;
use shared::token::Caller;
use user::model::Label;
use uuid::Uuid;

use super::ATTEMPTS;
use super::view::OrderView;
use crate::State as App;
use crate::model::{Order, Unplaceable};

/// What the cart does not say.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Body {
    /// One of the caller's addresses.
    address_id: Option<Uuid>,
}

impl From<Unplaceable> for Problem {
    fn from(unplaceable: Unplaceable) -> Self {
        let detail = unplaceable.to_string();
        let conflict = |kind, title| Self::conflict(kind, title, detail);
        match unplaceable {
            Unplaceable::Empty => conflict("empty-cart", "There is nothing to order"),
            Unplaceable::InsufficientStock(lines) => {
                conflict("insufficient-stock", "There is not enough stock").with("lines", json!(lines))
            }
            Unplaceable::MixedCurrencies => conflict("mixed-currencies", "An order has one currency"),
            Unplaceable::Overflow => Self::internal(&unplaceable),
        }
    }
}

/// Places an order for all that is in the caller's cart, in one transaction: the order is written, the stock taken and
/// the cart emptied, or nothing happens.
pub(crate) async fn post(
    State(app): State<App>,
    caller: Caller,
    OptionalJson(body): OptionalJson<Body>,
) -> Result<(StatusCode, [(HeaderName, String); 1], Json<OrderView>), Problem> {
    let address = shipping_address(&app, caller.user_id, body.unwrap_or_default()).await?;
    for _ in 0..ATTEMPTS {
        let cart = app.carts.cart(caller.user_id).await?;
        let products = app.carts.products(cart.lines.keys()).await?;
        let now = app.clock.now();
        let id = app.ids.uuid(now);
        let order = Order::place(id, caller.user_id, &cart, &products, address.clone(), now)?;
        match write(&app, &order, cart.version, &products).await {
            Ok(()) => {
                let location = (LOCATION, format!("/orders/{id}"));
                return Ok((StatusCode::CREATED, [location], Json(order.into())));
            }
            // The cart, a price or the stock is not as it was read: read it again, and decide anew.
            Err(TransactionError::Cancelled(_)) => {}
            Err(TransactionError::Db(error)) => return Err(error.into()),
        }
    }
    Err(Problem::unavailable(1))
}

async fn shipping_address(app: &App, user_id: Uuid, body: Body) -> Result<Option<Label>, Problem> {
    let Some(id) = body.address_id else { return Ok(None) };
    match app.users.address(user_id, id).await? {
        Some(address) => Ok(Some(address.label)),
        None => Err(Problem::unprocessable("The caller has no such address").with("field", "address_id")),
    }
}

async fn write(
    app: &App,
    order: &Order,
    cart_version: u64,
    products: &HashMap<ProductId, Product>,
) -> Result<(), TransactionError> {
    let mut transaction = app.orders.transaction();
    for write in app.orders.place_writes(order)? {
        transaction.add(write);
    }
    transaction.add(app.carts.take_write(order.user_id, cart_version)?);
    for line in &order.lines {
        if let Some(product) = products.get(&line.product_id) {
            transaction.add(app.carts.take_stock_write(product, line.quantity)?);
        }
    }
    transaction.run().await
}

#[cfg(test)]
mod tests;
