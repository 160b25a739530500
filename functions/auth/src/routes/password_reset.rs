//! `POST /password/reset`.

use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use shared::http::{ClientAddress, Json};
use shared::problem::Problem;

use crate::State as App;
use crate::model::NewPassword;
use crate::model::one_time::{OneTime, OneTimeToken, Purpose, fingerprint};
use crate::outbox;
use crate::security::Event;
use crate::sessions::{self, EndAllError};
use crate::throttle::{Kind, Subject};

/// A token from a mail, and the password that is wanted. Not `Debug`: it must not be printed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub(crate) struct Reset {
    token: String,
    new_password: NewPassword,
}

/// The one answer to every token that is not good for what it is sent to, whatever is wrong with it.
pub(crate) fn invalid_token() -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "invalid-token", "The token is not valid")
        .detail("It may be used or too old, or something changed since it was sent. Ask for another mail")
}

/// What the token is good for, unless it is used or expired.
pub(crate) async fn redeem(
    app: &App,
    purpose: Purpose,
    token: &str,
) -> Result<(OneTimeToken, OneTime), Problem> {
    let token = OneTimeToken::parse(token).ok_or_else(invalid_token)?;
    let one_time = app.accounts.one_time(purpose, &token).await?;
    let one_time = one_time.filter(|one_time| !one_time.is_over(app.clock.now()));
    Ok((token, one_time.ok_or_else(invalid_token)?))
}

/// Sets a new password, uses the token up, and ends all sessions, in one transaction. It logs nobody in: that takes the
/// password, and the second factor where there is one.
pub(crate) async fn post(
    State(app): State<App>,
    address: ClientAddress,
    Json(reset): Json<Reset>,
) -> Result<StatusCode, Problem> {
    app.throttle.take(Kind::OneTimeToken, Subject::Address(address)).await?;
    let (token, one_time) = redeem(&app, Purpose::PasswordReset, &reset.token).await?;
    let about = vec![one_time.username.as_str().to_owned(), one_time.email.as_str().to_owned()];
    let salt = app.ids.bytes();
    let hash = app.passwords.choose("new_password", reset.new_password, about, salt).await?;

    let now = app.clock.now();
    let changed = outbox::Event::PasswordChanged { user_id: one_time.user_id };
    let writes = [
        app.accounts.use_write(Purpose::PasswordReset, &token)?,
        app.users.verified_check(one_time.user_id, &one_time.email)?,
        app.accounts.event_write(&changed, app.ids.uuid(now), now)?,
    ];
    let outcome = sessions::end_all(
        &app,
        &one_time.username,
        None,
        |account| {
            let unchanged = account.user_id == one_time.user_id
                && account
                    .password_hash
                    .as_ref()
                    .is_some_and(|hash| one_time.password.as_ref() == Some(&fingerprint(hash)));
            account.choose_password(hash.clone());
            if unchanged { Ok(writes.to_vec()) } else { Err(()) }
        },
        "password_reset",
    )
    .await;
    match outcome {
        Ok(account) => {
            Event::PasswordReset.of(account.user_id).from(address.0).log();
            app.throttle.know(account.username.as_str(), address).await;
            Ok(StatusCode::NO_CONTENT)
        }
        Err(EndAllError::Unknown | EndAllError::Refused(()) | EndAllError::Condition(_)) => {
            Err(invalid_token())
        }
        Err(EndAllError::Failed(problem)) => Err(problem),
    }
}

#[cfg(test)]
mod tests;
