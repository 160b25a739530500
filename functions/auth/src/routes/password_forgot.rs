//! `POST /password/forgot`.

use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use shared::http::{ClientAddress, Json};
use shared::problem::Problem;
use user::model::{Email, Username};

use crate::State as App;
use crate::outbox::{self, Whose};
use crate::security::Event;
use crate::throttle::{Kind, Subject};

/// Who forgot a password: the user name or the e-mail address.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Forgotten {
    #[serde(default)]
    username: Option<Username>,
    #[serde(default)]
    email: Option<Email>,
}

/// The same for everybody.
#[derive(Debug, Serialize)]
pub(crate) struct Accepted {
    detail: &'static str,
}

/// Records that somebody wants a mail with a reset token, and looks nothing up: answer, time and writes are the same
/// whether there is such a user or not. `auth-mailer` does the rest.
pub(crate) async fn post(
    State(app): State<App>,
    address: ClientAddress,
    Json(forgotten): Json<Forgotten>,
) -> Result<(StatusCode, Json<Accepted>), Problem> {
    let whose = match (forgotten.username, forgotten.email) {
        (Some(username), None) => Whose::Username(username),
        (None, Some(email)) => Whose::Email(email),
        _ => return Err(Problem::bad_request("expected either `username` or `email`")),
    };
    let name = match &whose {
        Whose::Username(username) => username.as_str(),
        Whose::Email(email) => email.as_str(),
    };
    app.throttle.take(Kind::PasswordForgotFrom, Subject::Address(address)).await?;
    app.throttle.take(Kind::PasswordForgot, Subject::Name(name)).await?;
    let now = app.clock.now();
    app.accounts.put_event(&outbox::Event::PasswordForgotten { whose }, app.ids.uuid(now), now).await?;
    Event::PasswordResetRequested.entry().from(address.0).log();
    let detail = "If there is such a user with a verified e-mail address, a mail is on its way";
    Ok((StatusCode::ACCEPTED, Json(Accepted { detail })))
}
