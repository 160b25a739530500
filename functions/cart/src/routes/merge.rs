//! `POST /cart/merge`.

use axum::extract::State;
use shared::db::{DbError, retry_conflicts};
use shared::http::{ETag, Json};
use shared::problem::Problem;
use shared::token::Caller;
use uuid::Uuid;

use super::cart::{Answer, show};
use super::owner::{SentToken, no_cart};
use crate::State as App;
use crate::model::TokenHash;

/// Puts what is in the anonymous cart of the `Cart-Token` into the caller's, after a login; answers the caller's cart. The
/// anonymous cart is none any more then. Done again by the same user, it changes nothing.
pub(crate) async fn post(
    State(app): State<App>,
    caller: Caller,
    SentToken(hash): SentToken,
) -> Result<Answer, Problem> {
    retry_conflicts(|| merge(&app, caller.user_id, &hash)).await?
}

/// One attempt: the outer error is the table's, the inner one the customer's.
async fn merge(app: &App, user_id: Uuid, hash: &TokenHash) -> Result<Result<Answer, Problem>, DbError> {
    let now = app.clock.now();
    let (cart, anonymous) = tokio::join!(app.carts.cart(user_id), app.carts.anonymous(hash, now));
    let (mut cart, Some(anonymous)) = (cart?, anonymous?) else {
        return Ok(Err(no_cart()));
    };
    match anonymous.merged_into {
        Some(by) if by == user_id => return Ok(show(app, &cart).await),
        Some(_) => return Ok(Err(no_cart())),
        None => {}
    }
    let from = anonymous.cart;
    // Before so many products are read.
    if let Err(refused) = cart.fits(&from) {
        return Ok(Err(refused.into()));
    }
    let products = app.carts.products(cart.lines.keys().chain(from.lines.keys())).await?;
    if let Err(refused) = cart.merge(&from, &products) {
        return Ok(Err(refused.into()));
    }
    let version = app.carts.merge(user_id, &cart, hash, &from, now).await?;
    let priced = cart.priced(&products).map_err(|overflow| Problem::internal(&overflow));
    Ok(priced.map(|priced| (ETag(version), Json(priced))))
}

#[cfg(test)]
mod tests;
