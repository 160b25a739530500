//! `POST /introspect` (RFC 7662): what a token is good for at this very moment, for resource servers outside, which keep no
//! copy of the revocations.

use axum::extract::State;
use http::HeaderMap;
use serde::Serialize;
use shared::http::{Form, Json};
use shared::oauth::OAuthError;
use shared::token::Claims;
use uuid::Uuid;

use crate::State as App;
use crate::clients;
use crate::model::session::Presented;
use crate::presented::{self, Token};

/// RFC 7662 §2.2.
#[derive(Serialize)]
pub(crate) struct Introspection {
    /// Whether it is good. Why it is not is nobody's business (§2.2).
    active: bool,
    #[serde(flatten)]
    about: Option<About>,
}

#[derive(Serialize)]
#[serde(tag = "token_use", rename_all = "snake_case")]
enum About {
    /// An access token: what it says itself.
    AccessToken {
        token_type: &'static str,
        #[serde(flatten)]
        claims: Box<Claims>,
    },
    /// A refresh token opens nothing at a resource server, so there is little to say about it, and no `scope`.
    RefreshToken { client_id: String, sub: Uuid, sid: Uuid, exp: i64 },
}

/// Says whether the token is good. An access token is where every service would accept it and its session is still there,
/// read consistently: it is not from the moment on in which the session ends.
pub(crate) async fn post(
    State(app): State<App>,
    headers: HeaderMap,
    form: Form,
) -> Result<Json<Introspection>, OAuthError> {
    let _any_client = clients::confidential(&app, &headers, &form).await?;
    let token = form.required("token", "token is missing")?;
    let about = match presented::token(&app, token).await? {
        Some(Token::Access(claims)) => {
            let session = app.accounts.session(claims.sub, claims.sid).await?;
            session.map(|_| About::AccessToken { token_type: "Bearer", claims: Box::new(claims) })
        }
        Some(Token::Refresh(session, Presented::Current)) => Some(About::RefreshToken {
            client_id: session.client_id.clone(),
            sub: session.user_id,
            sid: session.session_id,
            exp: session.ends_at().as_second(),
        }),
        _ => None,
    };
    Ok(Json(Introspection { active: about.is_some(), about }))
}
