//! A token of either kind that somebody presents to have it ended or looked at.

use shared::problem::Problem;
use shared::token::{Claims, Refused};

use crate::State as App;
use crate::model::session::{Presented, Session};
use crate::sessions;

/// What it is.
pub(crate) enum Token {
    /// An access token that every service accepts, but for what they will only learn within 30 seconds.
    Access(Claims),
    /// A refresh token, used or not, and its session, which has not ended.
    Refresh(Session, Presented),
}

/// The token, where it is one of ours and good for something. An access token has dots and a refresh token has none
/// (base64url), so that no hint is needed. A 503 where nobody can tell.
pub(crate) async fn token(app: &App, token: &str) -> Result<Option<Token>, Problem> {
    if !token.contains('.') {
        let session = sessions::of_token(app, token).await?;
        return Ok(session.map(|(session, presented)| Token::Refresh(session, presented)));
    }
    match app.verifier.verify(token).await {
        Ok(claims) => Ok(Some(Token::Access(claims))),
        Err(Refused::RevocationsUnknown) => Err(Problem::unavailable(1)),
        Err(_) => Ok(None),
    }
}
