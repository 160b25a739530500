//! Whose cart a request is about: the caller's, or that of its `Cart-Token`.

use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::header::HeaderName;
use http::request::Parts;
use shared::problem::Problem;
use shared::token::Caller;

use crate::model::{CartToken, Owner, TokenHash};

pub(crate) const CART_TOKEN: HeaderName = HeaderName::from_static("cart-token");

/// The hash of the `Cart-Token` that a request must send.
#[derive(Debug)]
pub(crate) struct SentToken(pub(crate) TokenHash);

/// 401, the same whatever is wrong with the token: unknown, expired, merged, sent twice, or no such token at all.
pub(crate) fn no_cart() -> Problem {
    Problem::unauthorized(None).detail("The Cart-Token opens no cart; POST /cart makes another one")
}

/// A token of the caller's wins; the guard has refused a bad one before.
impl<S: Sync> FromRequestParts<S> for Owner {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        if let Some(caller) = parts.extensions.get::<Caller>() {
            return Ok(Self::User(caller.user_id));
        }
        sent(&parts.headers)?.map(Self::Anonymous).ok_or_else(|| {
            Problem::unauthorized(None).detail(
                "Send an access token (Authorization: Bearer <token>), or the token of an anonymous cart \
                 (Cart-Token: <token>)",
            )
        })
    }
}

impl<S: Sync> FromRequestParts<S> for SentToken {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let missing = || Problem::bad_request("Send the token of the anonymous cart: Cart-Token: <token>");
        sent(&parts.headers)?.map(Self).ok_or_else(missing)
    }
}

fn sent(headers: &HeaderMap) -> Result<Option<TokenHash>, Problem> {
    let mut values = headers.get_all(CART_TOKEN).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let token = value.to_str().ok().and_then(CartToken::parse).filter(|_| values.next().is_none());
    token.map(|token| Some(token.hash())).ok_or_else(no_cart)
}

#[cfg(feature = "openapi")]
mod openapi {
    use serde_json::json;
    use shared::openapi::{Extracted, Operation, Schemas};

    use super::{Owner, SentToken};

    impl Extracted for Owner {
        fn describe(operation: &mut Operation, _: &mut Schemas) {
            operation.security(json!([{ "accessToken": [] }, { "cartToken": [] }]));
        }
    }

    impl Extracted for SentToken {
        fn describe(operation: &mut Operation, _: &mut Schemas) {
            let token = json!({ "type": "string", "pattern": "^[A-Za-z0-9_-]{21}[AQgw]$" });
            operation.header_parameter("Cart-Token", true, "What opens the anonymous cart", &token);
        }
    }
}
