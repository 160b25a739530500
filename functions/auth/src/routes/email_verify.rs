//! `POST /email/verify`.

use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use shared::db::TransactionError;
use shared::http::{ClientAddress, Json};
use shared::problem::Problem;

use super::password_reset::{invalid_token, redeem};
use crate::State as App;
use crate::model::one_time::Purpose;
use crate::outbox;
use crate::security::Event;
use crate::throttle::{Kind, Subject};

/// A token from a mail. Not `Debug`: it must not be printed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Verification {
    token: String,
}

/// Only whoever reads the mail to the address learns this.
fn taken() -> Problem {
    Problem::conflict(
        "email-taken",
        "The e-mail address belongs to another account",
        "Another account has verified this address. Give your profile another one, or use the other account",
    )
}

/// Verifies the address that the token was sent to: uses the token up, claims the address, marks profile and account, all
/// in one transaction. Whoever verified another address before is told there.
pub(crate) async fn post(
    State(app): State<App>,
    address: ClientAddress,
    Json(verification): Json<Verification>,
) -> Result<StatusCode, Problem> {
    app.throttle.take(Kind::OneTimeToken, Subject::Address(address)).await?;
    let (token, one_time) = redeem(&app, Purpose::EmailVerification, &verification.token).await?;
    let user_id = one_time.user_id;
    let profile = app.users.profile(user_id).await?.ok_or_else(invalid_token)?;

    let now = app.clock.now();
    let verify = app.users.verify_writes(user_id, &one_time.email, now)?;
    let mut transaction = app.accounts.transaction();
    let claim = transaction.add(verify.claim);
    let others = [
        transaction.add(app.accounts.use_write(Purpose::EmailVerification, &token)?),
        transaction.add(verify.profile),
        transaction.add(app.accounts.activate_write(&one_time.username, user_id)?),
    ];
    if let Some(former) = profile.former_email
        && former.folded() != one_time.email.folded()
    {
        let changed = outbox::Event::EmailChanged { user_id, former };
        transaction.add(app.accounts.event_write(&changed, app.ids.uuid(now), now)?);
    }
    match transaction.run().await {
        Ok(()) => {
            Event::EmailVerified.of(user_id).from(address.0).log();
            Ok(StatusCode::NO_CONTENT)
        }
        Err(TransactionError::Cancelled(cancelled)) => {
            let only_the_claim = cancelled.failed(claim) && !others.iter().any(|other| cancelled.failed(*other));
            Err(if only_the_claim { taken() } else { invalid_token() })
        }
        Err(error) => Err(error.into()),
    }
}
