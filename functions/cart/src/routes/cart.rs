//! `GET`, `POST` and `DELETE /cart`.

use axum::extract::State;
use http::StatusCode;
use http::header::HeaderName;
use jiff::Timestamp;
use serde::Serialize;
use shared::http::{ETag, IfMatch, Json, precondition_failed};
use shared::problem::Problem;

use super::owner::{CART_TOKEN, no_cart};
use crate::State as App;
use crate::model::{AnonymousCart, Cart, CartToken, Owner, PricedCart};

/// A cart with its version.
pub(crate) type Answer = (ETag, Json<PricedCart>);

/// A cart for somebody who did not log in.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub(crate) struct Opened {
    /// What opens it; nobody can tell it again.
    cart_token: String,
    /// When it ends, unless it is changed before.
    expires_at: Timestamp,
}

/// The owner's cart, at the catalogue's prices.
pub(crate) async fn get(State(app): State<App>, owner: Owner) -> Result<Answer, Problem> {
    let cart = app.carts.open(&owner, app.clock.now()).await?.ok_or_else(no_cart)?;
    show(&app, &cart).await
}

/// The cart as an answer.
pub(crate) async fn show(app: &App, cart: &Cart) -> Result<Answer, Problem> {
    let products = app.carts.products(cart.lines.keys()).await?;
    let priced = cart.priced(&products).map_err(|overflow| Problem::internal(&overflow))?;
    Ok((ETag(cart.version), Json(priced)))
}

/// Makes an anonymous cart. Where the answer is lost, one that nobody can open is left, until it expires.
pub(crate) async fn post(
    State(app): State<App>,
) -> Result<(StatusCode, [(HeaderName, String); 1], ETag, Json<Opened>), Problem> {
    let token = CartToken::new(app.ids.bytes());
    let cart_token = token.encode();
    let expires_at = AnonymousCart::expiry(app.clock.now());
    let version = app.carts.open_anonymous(&token.hash(), expires_at).await?;
    let header = [(CART_TOKEN, cart_token.clone())];
    Ok((StatusCode::CREATED, header, ETag(version), Json(Opened { cart_token, expires_at })))
}

/// Empties the owner's cart.
pub(crate) async fn delete(
    State(app): State<App>,
    owner: Owner,
    if_match: IfMatch,
) -> Result<(StatusCode, ETag), Problem> {
    remove(&app, &owner, &if_match, |cart| cart.lines.clear()).await
}

/// Takes lines out of the owner's cart; those that other devices put in meanwhile stay, unless the request is for one
/// version.
pub(crate) async fn remove(
    app: &App,
    owner: &Owner,
    if_match: &IfMatch,
    remove: impl Fn(&mut Cart),
) -> Result<(StatusCode, ETag), Problem> {
    let remove = |cart: &mut Cart| {
        if !if_match.allows(cart.version) {
            return Err(precondition_failed(Some(cart.version)));
        }
        remove(cart);
        Ok(())
    };
    let version = app.carts.edit(owner, app.clock.now(), remove).await?.ok_or_else(no_cart)??;
    Ok((StatusCode::NO_CONTENT, ETag(version)))
}

#[cfg(test)]
mod tests;
