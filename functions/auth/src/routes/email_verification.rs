//! `POST /email/verification`.

use axum::extract::State;
use http::StatusCode;
use shared::problem::Problem;
use shared::token::Caller;

use crate::State as App;
use crate::outbox;
use crate::security::Event;
use crate::throttle::{Kind, Subject};

/// Asks for a mail that verifies the caller's address, unless it is verified; the mail of before stays good.
pub(crate) async fn post(State(app): State<App>, caller: Caller) -> Result<StatusCode, Problem> {
    let user_id = caller.user_id;
    app.throttle.take(Kind::VerificationMail, Subject::Name(&user_id.to_string())).await?;
    let profile = app.users.profile(user_id).await?;
    let profile = profile.ok_or_else(|| Problem::not_found("The caller has no profile"))?;
    if !profile.email_verified {
        let now = app.clock.now();
        let event = outbox::Event::EmailVerificationRequested { user_id };
        app.accounts.put_event(&event, app.ids.uuid(now), now).await?;
        Event::EmailVerificationRequested.of(user_id).log();
    }
    Ok(StatusCode::ACCEPTED)
}
