//! `PUT` and `DELETE /cart/items/{product_id}`.

use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use shared::db::{DbError, retry_conflicts};
use shared::http::{ETag, IfMatch, Json, Path, precondition_failed};
use shared::problem::Problem;

use super::cart::{Answer, remove};
use super::owner::no_cart;
use super::product::no_product;
use crate::State as App;
use crate::model::{Cart, Owner, ProductId, Quantity, Refused};

/// How many pieces are wanted in all, not how many more.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub(crate) struct Body {
    quantity: Quantity,
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let kind = match refused {
            Refused::Full => "cart-full",
            Refused::OtherCurrency => "other-currency",
        };
        Self::conflict(kind, "The product does not fit into the cart", refused.to_string())
    }
}

/// Sets how many pieces of a product are in the owner's cart; answers the cart.
pub(crate) async fn put(
    State(app): State<App>,
    owner: Owner,
    Path(id): Path<ProductId>,
    if_match: IfMatch,
    Json(body): Json<Body>,
) -> Result<Answer, Problem> {
    retry_conflicts(|| set(&app, &owner, &id, &if_match, body.quantity)).await?
}

/// One attempt: the outer error is the table's, the inner one the customer's. Where the request is for one version, an
/// attempt after another device's edit finds another one.
async fn set(
    app: &App,
    owner: &Owner,
    id: &ProductId,
    if_match: &IfMatch,
    quantity: Quantity,
) -> Result<Result<Answer, Problem>, DbError> {
    let now = app.clock.now();
    let Some(mut cart) = app.carts.open(owner, now).await? else {
        return Ok(Err(no_cart()));
    };
    if !if_match.allows(cart.version) {
        return Ok(Err(precondition_failed(Some(cart.version))));
    }
    let products = app.carts.products(cart.lines.keys().chain([id])).await?;
    let Some(product) = products.get(id).filter(|product| product.retired_at.is_none()) else {
        return Ok(Err(no_product()));
    };
    if let Err(refused) = cart.set(product, quantity, &products) {
        return Ok(Err(refused.into()));
    }
    let version = app.carts.save(owner, &cart, now).await?;
    let priced = cart.priced(&products).map_err(|overflow| Problem::internal(&overflow));
    Ok(priced.map(|priced| (ETag(version), Json(priced))))
}

/// Takes a product out of the owner's cart; where it is not in there, that is well too.
pub(crate) async fn delete(
    State(app): State<App>,
    owner: Owner,
    Path(id): Path<ProductId>,
    if_match: IfMatch,
) -> Result<(StatusCode, ETag), Problem> {
    let take_out = |cart: &mut Cart| {
        cart.lines.remove(&id);
    };
    remove(&app, &owner, &if_match, take_out).await
}

#[cfg(test)]
mod tests;
