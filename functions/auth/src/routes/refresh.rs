//! `POST /refresh`.

use axum::extract::State;
use http::StatusCode;
use http::header::WWW_AUTHENTICATE;
use serde::Deserialize;
use shared::http::Json;
use shared::problem::Problem;

use super::login::CHALLENGE;
use crate::State as App;
use crate::sessions::{self, RefreshError};
use crate::tokens::{CLIENT, Tokens};

/// Who wants new tokens. Not `Debug`: it must not be printed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Refresh {
    refresh_token: String,
}

impl From<RefreshError> for Problem {
    fn from(error: RefreshError) -> Self {
        match error {
            // One answer, whatever is wrong with the token.
            RefreshError::Invalid => {
                Self::new(StatusCode::UNAUTHORIZED, "invalid-refresh-token", "The refresh token is not valid")
                    .detail("Log in again")
                    .header(WWW_AUTHENTICATE, CHALLENGE)
            }
            RefreshError::Failed(problem) => problem,
        }
    }
}

/// Exchanges a refresh token for an access token and the next refresh token.
pub(crate) async fn post(
    State(app): State<App>,
    Json(refresh): Json<Refresh>,
) -> Result<Json<Tokens>, Problem> {
    Ok(Json(sessions::refresh(&app, &refresh.refresh_token, CLIENT).await?))
}
