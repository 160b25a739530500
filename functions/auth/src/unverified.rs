//! Users who never verified an address, where `REQUIRE_VERIFIED_EMAIL` keeps them out.
//!
//! Their login is answered as a wrong password is, and the mail is sent again. So that the time does not tell one from the
//! other, every refused login does the same work: it takes from a bucket and records an event, which for all others is
//! nobody's bucket and no event at all.

use shared::problem::Problem;

use crate::State as App;
use crate::model::Account;
use crate::outbox;
use crate::security::Event;
use crate::throttle::{Kind, Subject};

/// What is left of the outcome of a login under `name`: only accounts that may be logged in to.
pub(crate) async fn refuse(app: &App, name: &str, outcome: Option<Account>) -> Result<Option<Account>, Problem> {
    if !app.require_verified_email {
        return Ok(outcome);
    }
    let unverified = match outcome {
        Some(account) if account.activated => return Ok(Some(account)),
        Some(account) => Some(account.user_id),
        None => None,
    };
    // Not the name's bucket: whoever knows the name could keep the mail from its owner.
    let subject = unverified.map_or_else(|| format!("nobody {name}"), |user_id| user_id.to_string());
    let may_mail = app.throttle.take(Kind::VerificationMail, Subject::Name(&subject)).await.is_ok();
    let event = match unverified {
        Some(user_id) if may_mail => outbox::Event::EmailVerificationRequested { user_id },
        _ => outbox::Event::Nothing,
    };
    let now = app.clock.now();
    app.accounts.put_event(&event, app.ids.uuid(now), now).await?;
    if let Some(user_id) = unverified {
        Event::LoginFailed.of(user_id).because("email_never_verified").log();
    }
    Ok(None)
}
