//! `POST /token`: the token endpoint of RFC 6749, with the one grant that we have (§6). `POST /refresh` is the same in JSON.

use axum::extract::State;
use http::HeaderMap;
use shared::http::{Form, Json};
use shared::oauth::{Code, OAuthError};

use crate::State as App;
use crate::clients;
use crate::sessions::{self, RefreshError};
use crate::tokens::{CLIENT, SCOPE, Tokens};

/// The one `grant_type`.
pub(crate) const GRANT: &str = "refresh_token";

/// Exchanges a refresh token for its successor and a new access token.
pub(crate) async fn post(
    State(app): State<App>,
    headers: HeaderMap,
    form: Form,
) -> Result<Json<Tokens>, OAuthError> {
    clients::public(&headers, &form)?;
    if form.required("grant_type", "grant_type is missing")? != GRANT {
        return Err(Code::UnsupportedGrantType.because("The one grant_type here is refresh_token"));
    }
    let token = form.required("refresh_token", "refresh_token is missing")?;
    // The same scope or a narrower one (§6): there is none between ours and nothing.
    if form.optional("scope").is_some_and(|scope| scope.split(' ').any(|scope| scope != SCOPE)) {
        return Err(Code::InvalidScope.because("The one scope here is api"));
    }
    sessions::refresh(&app, token, CLIENT).await.map(Json).map_err(|error| match error {
        RefreshError::Invalid => {
            Code::InvalidGrant.because("The refresh token is not valid, or not any more: log in again")
        }
        RefreshError::Failed(problem) => problem.into(),
    })
}
