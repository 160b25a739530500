//! `POST /orders`.

use std::collections::HashMap;

use axum::extract::State;
use axum::response::Response;
use cart::model::{Cart, Product, ProductId};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use shared::db::{DbError, Transaction, TransactionError};
use shared::http::OptionalJson;
use shared::idempotency::{Attempt, Keyed, Reply};
use shared::metrics;
use shared::problem::Problem;
use shared::token::Caller;
use shared::trace::{self, Trace};
use user::model::Label;
use uuid::Uuid;

use super::ATTEMPTS;
use super::view::OrderView;
use crate::State as App;
use crate::model::{Order, Unplaceable};

/// What the cart does not say.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
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

/// Places an order for all that is in the caller's cart, in one transaction: the order is written, the stock taken, the
/// cart emptied and the answer stored under the request's `Idempotency-Key`, or nothing happens.
pub(crate) async fn post(
    State(app): State<App>,
    caller: Caller,
    Keyed(key, OptionalJson(body)): Keyed<OptionalJson<Body>>,
) -> Result<Response, Problem> {
    let body = body.unwrap_or_default();
    let work = async |attempt: &Attempt| place(&app, caller.user_id, &body, attempt).await;
    app.idempotency.run(caller.user_id, key, work).await
}

async fn place(app: &App, user_id: Uuid, body: &Body, attempt: &Attempt) -> Result<Reply, Problem> {
    let address = shipping_address(app, user_id, body).await?;
    for _ in 0..ATTEMPTS {
        let checkout = Checkout::read(app, user_id, address.clone()).await?;
        let order = &checkout.order;
        let reply = Reply::created(format!("/orders/{}", order.id), &OrderView::from(order.clone()))?;
        let mut transaction = checkout.transaction(app)?;
        let completion = attempt.complete(&mut transaction, &reply)?;
        match transaction.run().await {
            Ok(()) => {
                metrics::order();
                trace::is_about_order(order.trace);
                return Ok(reply);
            }
            Err(TransactionError::Cancelled(reasons)) if completion.superseded(&reasons) => {
                return Err(attempt.superseded());
            }
            // The cart, a price or the stock is not as it was read: read it again, and decide anew.
            Err(TransactionError::Cancelled(_)) => {}
            Err(TransactionError::Db(error)) => return Err(error.into()),
        }
    }
    Err(Problem::unavailable(1))
}

async fn shipping_address(app: &App, user_id: Uuid, body: &Body) -> Result<Option<Label>, Problem> {
    let Some(id) = body.address_id else { return Ok(None) };
    match app.users.address(user_id, id).await? {
        Some(address) => Ok(Some(address.label)),
        None => Err(Problem::unprocessable("The caller has no such address").with("field", "address_id")),
    }
}

/// An order to be, and what it was made of.
struct Checkout {
    order: Order,
    cart: Cart,
    products: HashMap<ProductId, Product>,
}

impl Checkout {
    async fn read(app: &App, user_id: Uuid, address: Option<Label>) -> Result<Self, Problem> {
        let cart = app.carts.cart(user_id).await?;
        let products = app.carts.products(cart.lines.keys()).await?;
        let now = app.clock.now();
        let pay_until = now.checked_add(app.payment_window).unwrap_or(Timestamp::MAX);
        let id = app.ids.uuid(now);
        let placed = Order::place(id, user_id, &cart, &products, address, now, pay_until)?;
        let order = Order { trace: Trace::current(), ..placed };
        Ok(Self { order, cart, products })
    }

    /// Fails where anything that was read has changed since.
    fn transaction(&self, app: &App) -> Result<Transaction, DbError> {
        let mut transaction = app.orders.transaction();
        for write in app.orders.place_writes(&self.order)? {
            transaction.add(write);
        }
        transaction.add(app.carts.take_write(self.order.user_id, self.cart.version)?);
        for line in &self.order.lines {
            let product = self.products.get(&line.product_id).ok_or(DbError::ConditionFailed)?;
            transaction.add(app.carts.take_stock_write(product, line.quantity)?);
        }
        Ok(transaction)
    }
}

#[cfg(test)]
mod retry_tests;
#[cfg(test)]
mod tests;
