//! `POST /login`.

mod second_factor;

use aws_sdk_dynamodb::types::TransactWriteItem;
use axum::extract::State;
use http::header::{USER_AGENT, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Deserialize;
use shared::db::DbError;
use shared::http::{ClientAddress, Json};
use shared::json::present;
use shared::problem::{Chain, Problem};
use user::model::Username;

use crate::State as App;
use crate::model::device::Device;
use crate::model::factor::Proof;
use crate::model::recovery_code::RecoveryCode;
use crate::model::totp::Code;
use crate::model::{Account, Password, PasswordHash};
use crate::outbox;
use crate::security::Event;
use crate::sessions::{self, StartError};
use crate::throttle::{Kind, Subject};
use crate::tokens::Tokens;
use crate::unverified;
use second_factor::Verified;

/// How often a login is tried anew whose account changed under it.
const ATTEMPTS: u32 = 3;

/// The challenge of a failed login: RFC 9110 §15.5.2 wants one with every 401, and no registered scheme means "in the
/// JSON body". Not `Bearer`, which clients answer by renewing a token, nor `Basic`, which browsers answer by a prompt.
pub(crate) const CHALLENGE: HeaderValue = HeaderValue::from_static("Password realm=\"login\"");

/// Who wants a token.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub(crate) struct Login {
    /// Any text: a name that nobody can have is an unknown user, not another error.
    username: String,
    #[serde(default, deserialize_with = "present")]
    #[cfg_attr(feature = "openapi", schemars(with = "Password"))]
    password: Option<Password>,
    /// The second factor: a code of the app.
    #[serde(default, deserialize_with = "present")]
    #[cfg_attr(feature = "openapi", schemars(with = "Code"))]
    otp: Option<Code>,
    /// The second factor where the app is lost: one of the recovery codes.
    #[serde(default, deserialize_with = "present")]
    #[cfg_attr(feature = "openapi", schemars(with = "RecoveryCode"))]
    recovery_code: Option<RecoveryCode>,
}

/// The one answer to every wrong login, whatever is wrong with it.
fn invalid_credentials() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "invalid-credentials", "User name, password or code is wrong")
        .header(WWW_AUTHENTICATE, CHALLENGE)
}

/// Exchanges a user name and a password for the tokens of a new session.
pub(crate) async fn post(
    State(app): State<App>,
    address: ClientAddress,
    headers: HeaderMap,
    Json(login): Json<Login>,
) -> Result<Json<Tokens>, Problem> {
    if login.password.is_none() && !app.demo_login {
        return Err(Problem::bad_request("missing field `password`").with("field", "password"));
    }
    let user_agent = headers.get(USER_AGENT).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let device = Device::of(user_agent.as_deref().unwrap_or_default());
    let proof = match (login.otp, login.recovery_code) {
        (None, None) => None,
        (Some(code), None) => Some(Proof::Code(code)),
        (None, Some(code)) => Some(Proof::RecoveryCode(code)),
        (Some(_), Some(_)) => {
            let problem = Problem::bad_request("expected either `otp` or `recovery_code`");
            return Err(problem.with("field", "recovery_code"));
        }
    };
    let (permit, found) =
        tokio::join!(app.throttle.login(&login.username, address), find(&app, &login.username));
    let (mut permit, mut found, mut counted) = (Some(permit?), Some(found?), false);
    for _ in 0..ATTEMPTS {
        let found = match found.take() {
            Some(found) => found,
            None => find(&app, &login.username).await?,
        };
        let opened = match &login.password {
            Some(password) => by_password(&app, found, password, address).await?,
            None => by_name(found, address),
        };
        let opened = unverified::refuse(&app, &login.username, address, opened).await?;
        let Some(account) = opened else { return Err(invalid_credentials()) };
        if second_factor::is_tried(&account, proof.as_ref()) && !counted {
            app.throttle.take(Kind::SecondFactor, Subject::Name(&login.username)).await?;
            counted = true;
        }
        let Verified { mut after, mut writes, recovered } =
            second_factor::verify(&app, &account, proof.as_ref(), address)?;
        writes.extend(note_device(&app, &mut after, &device)?);
        let rehashed = rehash(&app, &mut after, login.password.as_ref()).await;
        let give_back = async {
            if let Some(permit) = permit.take() {
                permit.give_back().await;
            }
        };
        let name = device.name.clone();
        let start = sessions::start(&app, &account, &after, name, writes);
        let (started, ()) = tokio::join!(start, give_back);
        match started {
            Ok(tokens) => {
                if rehashed {
                    Event::PasswordRehashed.of(account.user_id).log();
                }
                if counted {
                    app.throttle.give_back(Kind::SecondFactor, Subject::Name(&login.username)).await;
                }
                if recovered {
                    Event::RecoveryCodeUsed.of(account.user_id).from(address.0).log();
                }
                return Ok(Json(tokens));
            }
            Err(StartError::Changed) => {} // Another password meanwhile, perhaps: is the one that was sent still right?
            Err(StartError::Failed(problem)) => return Err(problem),
        }
    }
    Err(Problem::unavailable(1))
}

/// The account, if the password opens it. Whether it exists or not, the work is one hash.
async fn by_password(
    app: &App,
    found: Option<Account>,
    password: &Password,
    address: ClientAddress,
) -> Result<Option<Account>, Problem> {
    let stored = found.as_ref().and_then(|account| account.password_hash.clone());
    let matches = app.passwords.verify(password.clone(), stored).await?;
    match &found {
        Some(account) if !matches => {
            Event::LoginFailed.of(account.user_id).from(address.0).because("wrong_password").log();
        }
        Some(_) => {}
        None => Event::LoginFailed.entry().from(address.0).because("unknown_user").log(),
    }
    Ok(found.filter(|_| matches))
}

/// The account, if it is a demo account.
fn by_name(found: Option<Account>, address: ClientAddress) -> Option<Account> {
    let account = found.filter(Account::opens_without_password);
    if account.is_none() {
        Event::LoginFailed.entry().from(address.0).because("no_demo_user").log();
    }
    account
}

/// Renews a hash that was made with other parameters than today's: only now the password is at hand. Whether it did; a
/// failure is no reason to refuse the login.
async fn rehash(app: &App, account: &mut Account, password: Option<&Password>) -> bool {
    let outdated = account.password_hash.as_ref().is_some_and(PasswordHash::is_outdated);
    let Some(password) = password.filter(|_| outdated) else { return false };
    match app.passwords.hash(password.clone(), app.ids.bytes()).await {
        Ok(hash) => account.password_hash = Some(hash),
        Err(error) => {
            tracing::warn!(error = %Chain(&error), "a password was not hashed anew");
            return false;
        }
    }
    true
}

/// Notes the device on the account; the event that belongs to the session's transaction, where the device is a new one.
///
/// That this was said is a condition of the transaction, since the account changes: of two logins at once from one new
/// device, the second is tried anew and finds it known.
fn note_device(
    app: &App,
    account: &mut Account,
    device: &Device,
) -> Result<Option<TransactWriteItem>, DbError> {
    // A demo account is used from everywhere, and is nobody's.
    if account.demo || !account.note_device(device) {
        return Ok(None);
    }
    let (user_id, now) = (account.user_id, app.clock.now());
    let event = outbox::Event::NewSignIn { user_id, device: device.short_name() };
    app.accounts.event_write(&event, app.ids.uuid(now), now).map(Some)
}

/// The account of this name. For a name that nobody can have there is nothing to read, which is no secret.
async fn find(app: &App, username: &str) -> Result<Option<Account>, Problem> {
    match Username::try_from(username.to_owned()) {
        Ok(username) => Ok(app.accounts.account(&username).await?),
        Err(_) => Ok(None),
    }
}

#[cfg(test)]
mod device_tests;
#[cfg(test)]
mod tests;
