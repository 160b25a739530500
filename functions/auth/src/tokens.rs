//! What a user gets who logged in or refreshed (RFC 6749 §5.1).

use serde::Serialize;
use shared::problem::Problem;
use shared::token::{Claims, LIFETIME};

use crate::State as App;
use crate::model::Account;
use crate::model::client::SHOP;
use crate::model::session::{RefreshToken, Session};

/// What every token may be used for: our API. Finer rights are `roles`.
pub(crate) const SCOPE: &str = "api";
/// `client_id` of sessions that users start directly with us: our own shop front, a public client.
pub(crate) const CLIENT: &str = SHOP;

/// The tokens of a session. Not `Debug`: they must not be printed.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub(crate) struct Tokens {
    access_token: String,
    #[cfg_attr(feature = "openapi", schemars(extend("const" = "Bearer")))]
    token_type: &'static str,
    /// Seconds.
    expires_in: i64,
    refresh_token: String,
    #[cfg_attr(feature = "openapi", schemars(extend("const" = "api")))]
    scope: &'static str,
}

/// An access token of the session with the account's present roles, beside the given refresh token.
pub(crate) async fn issue(
    app: &App,
    account: &Account,
    session: &Session,
    refresh_token: &RefreshToken,
) -> Result<Tokens, Problem> {
    let keys = app.verifier.keys().await;
    let now = app.clock.now();
    let ends_at = (now + LIFETIME).min(session.ends_at());
    let claims = Claims {
        iss: keys.document().issuer.clone(),
        sub: account.user_id,
        aud: keys.document().audience.as_str().into(),
        exp: ends_at.as_second(),
        iat: now.as_second(),
        nbf: now.as_second(),
        jti: app.ids.uuid(now).to_string(),
        client_id: session.client_id.clone(),
        scope: SCOPE.to_owned(),
        auth_time: Some(session.created_at.as_second()),
        sid: session.session_id,
        username: account.username.clone().into(),
        roles: account.roles.clone(),
    };
    Ok(Tokens {
        access_token: app.signer.sign(&claims).await?,
        token_type: "Bearer",
        expires_in: claims.exp - claims.iat,
        refresh_token: refresh_token.encode(),
        scope: SCOPE,
    })
}
