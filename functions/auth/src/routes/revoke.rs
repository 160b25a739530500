//! `POST /revoke` (RFC 7009): whoever holds a token may end its session, whichever of the two tokens it is.

use axum::extract::State;
use http::{HeaderMap, StatusCode};
use shared::http::Form;
use shared::oauth::OAuthError;
use shared::problem::Problem;

use crate::State as App;
use crate::presented::{self, Token};
use crate::{clients, sessions};

/// Ends the session of the token. A token that is none, or not any more, needs no revocation: the same answer (§2.2).
/// `token_type_hint` is not needed: the two kinds do not look alike.
pub(crate) async fn post(
    State(app): State<App>,
    headers: HeaderMap,
    form: Form,
) -> Result<StatusCode, OAuthError> {
    clients::public(&headers, &form)?;
    let token = form.required("token", "token is missing")?;
    let session = match presented::token(&app, token).await? {
        Some(Token::Access(claims)) => Some((claims.sub, claims.sid)),
        // A used one too: it proves that its holder had part in the session, and ending it does no more than using it.
        Some(Token::Refresh(session, _)) => Some((session.user_id, session.session_id)),
        None => None,
    };
    if let Some((user_id, session_id)) = session {
        sessions::end(&app, user_id, session_id, "revoked_by_client").await.map_err(Problem::from)?;
    }
    Ok(StatusCode::OK)
}
