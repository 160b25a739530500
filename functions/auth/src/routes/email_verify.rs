//! `POST /email/verify`.

use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use shared::db::TransactionError;
use shared::http::{ClientAddress, Json};
use shared::problem::Problem;

use super::password_reset::{invalid_token, redeem};
use crate::State as App;
use crate::model::one_time::{Purpose, fingerprint};
use crate::outbox;
use crate::security::Event;
use crate::throttle::{Kind, Subject};

/// A token from a mail. Not `Debug`: it must not be printed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
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
    let (profile, account) =
        tokio::join!(app.users.profile(user_id), app.accounts.account(&one_time.username));
    let (profile, account) = (profile?.ok_or_else(invalid_token)?, account?.ok_or_else(invalid_token)?);
    // Whoever changes the password throws out who asked for the mail before.
    if account.user_id != user_id || account.password_hash.as_ref().map(fingerprint) != one_time.password {
        return Err(invalid_token());
    }

    let now = app.clock.now();
    let verify = app.users.verify_writes(user_id, &one_time.email, now)?;
    let mut transaction = app.accounts.transaction();
    let claim = transaction.add(verify.claim);
    let others = [
        transaction.add(app.accounts.use_write(Purpose::EmailVerification, &token)?),
        transaction.add(verify.profile),
        transaction.add(app.accounts.activate_write(&account)?),
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
            let only_the_claim =
                cancelled.failed(claim) && !others.iter().any(|other| cancelled.failed(*other));
            Err(if only_the_claim { taken() } else { invalid_token() })
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use serde_json::json;
    use shared::testing::Answer;
    use user::model::Profile;
    use user::store::ProfileChange;

    use super::*;
    use crate::model::one_time::OneTimeToken;
    use crate::testing::mailbox::Mailbox;
    use crate::testing::{App, PASSWORD};

    /// What [`App::register`] gives everybody.
    const ADDRESS: &str = "someone@example.com";

    /// A user, and the token from the mail that the registration brought.
    async fn registered(app: &App, username: &str) -> String {
        app.register(username).await;
        let mailbox = Mailbox::of(app);
        mailbox.deliver(app).await;
        // A registration of before is mailed again by this mailbox of its own, but for its token nobody asks.
        mailbox.tokens(ADDRESS).pop().expect("a mail")
    }

    async fn verify(app: &App, token: &str) -> Answer {
        app.post("/email/verify", &json!({"token": token})).await
    }

    async fn profile(app: &App, username: &str) -> Profile {
        app.users.profile(app.user_id(username).await).await.unwrap().unwrap()
    }

    async fn change_email(app: &App, username: &str, to: &str) {
        let (profile, to) = (profile(app, username).await, to.to_owned().try_into().unwrap());
        let change = ProfileChange::default();
        assert!(app.users.change_email(&profile, &to, &change, app.clock.now()).await.unwrap());
    }

    #[tokio::test]
    async fn the_token_from_the_mail_verifies_the_address_once() {
        let app = App::new().await;
        let token = registered(&app, "alice").await;
        assert!(!profile(&app, "alice").await.email_verified);
        let _verified = verify(&app, &token).await.expect(StatusCode::NO_CONTENT);
        let after = profile(&app, "alice").await;
        assert!(after.email_verified);
        assert_eq!(app.users.verified_owner(&after.email).await.unwrap(), Some(after.user_id));
        assert!(app.accounts.account(&after.username).await.unwrap().unwrap().activated);

        let used = verify(&app, &token).await.expect(StatusCode::BAD_REQUEST);
        assert_eq!(used.json["type"], "urn:problem-type:invalid-token");
    }

    #[tokio::test]
    async fn every_bad_token_gets_one_answer_and_verifies_nothing() {
        let app = App::new().await;
        let token = registered(&app, "alice").await;
        let unknown =
            verify(&app, &OneTimeToken::new([1; 32]).encode()).await.expect(StatusCode::BAD_REQUEST);
        let mut tampered = token.clone();
        tampered.replace_range(..1, if token.starts_with('A') { "B" } else { "A" });
        for bad in ["", "x", &tampered, &token[1..], &format!(" {token}")] {
            assert_eq!(verify(&app, bad).await.json, unknown.json, "{bad}");
        }
        app.clock.advance(SignedDuration::from_hours(24));
        assert_eq!(verify(&app, &token).await.json, unknown.json, "expired, and not deleted yet");
        assert!(!profile(&app, "alice").await.email_verified);
        for body in
            [json!({}), json!({"token": 5}), json!({"token": null}), json!({"token": "x", "email": "y"})]
        {
            let _malformed = app.post("/email/verify", &body).await.expect(StatusCode::BAD_REQUEST);
        }
    }

    #[tokio::test]
    async fn an_address_that_changed_since_the_mail_is_not_verified_by_it() {
        let app = App::new().await;
        let token = registered(&app, "alice").await;
        change_email(&app, "alice", "victim@example.com").await;
        let answer = verify(&app, &token).await.expect(StatusCode::BAD_REQUEST);
        assert_eq!(answer.json["type"], "urn:problem-type:invalid-token");
        let after = profile(&app, "alice").await;
        assert!(!after.email_verified);
        let old = ADDRESS.to_owned().try_into().unwrap();
        for address in [&after.email, &old] {
            assert_eq!(app.users.verified_owner(address).await.unwrap(), None);
        }
        assert!(!app.accounts.account(&after.username).await.unwrap().unwrap().activated);
    }

    #[tokio::test]
    async fn a_token_is_void_once_the_password_is_another() {
        let app = App::new().await;
        let token = registered(&app, "alice").await;
        let here = app.log_in("alice").await;
        let body = json!({"current_password": PASSWORD, "new_password": "another correct horse"});
        let changed = app.post_as(&here.access, "/password/change", &body).await;
        let _changed = changed.expect(StatusCode::NO_CONTENT);
        let answer = verify(&app, &token).await.expect(StatusCode::BAD_REQUEST);
        assert_eq!(answer.json["type"], "urn:problem-type:invalid-token");
        assert!(!profile(&app, "alice").await.email_verified);
    }

    #[tokio::test]
    async fn of_two_accounts_that_verify_one_address_at_once_one_has_it() {
        let app = App::new().await;
        let alice = registered(&app, "alice").await;
        let bob = registered(&app, "bob").await;
        let (a, b) = tokio::join!(verify(&app, &alice), verify(&app, &bob));
        let (winner, loser, lost) = match (a.status, b.status) {
            (StatusCode::NO_CONTENT, StatusCode::CONFLICT) => ("alice", "bob", b),
            (StatusCode::CONFLICT, StatusCode::NO_CONTENT) => ("bob", "alice", a),
            other => panic!("{other:?}"),
        };
        assert_eq!(lost.json["type"], "urn:problem-type:email-taken");
        assert!(profile(&app, winner).await.email_verified && !profile(&app, loser).await.email_verified);
        let account = app.accounts.account(&loser.to_owned().try_into().unwrap()).await.unwrap().unwrap();
        assert!(!account.activated);
    }

    #[tokio::test]
    async fn one_token_used_twice_at_once_is_used_once() {
        let app = App::new().await;
        let token = registered(&app, "alice").await;
        let (a, b) = tokio::join!(verify(&app, &token), verify(&app, &token));
        let mut statuses = [a.status, b.status];
        statuses.sort();
        assert_eq!(statuses, [StatusCode::NO_CONTENT, StatusCode::BAD_REQUEST]);
    }

    #[tokio::test]
    async fn the_address_of_before_is_told_of_the_new_one() {
        let app = App::new().await;
        let token = registered(&app, "alice").await;
        let _verified = verify(&app, &token).await.expect(StatusCode::NO_CONTENT);
        change_email(&app, "alice", "new@example.com").await;
        let user_id = app.user_id("alice").await;
        let now = app.clock.now();
        let again = outbox::Event::EmailVerificationRequested { user_id };
        app.accounts.put_event(&again, app.state.ids.uuid(now), now).await.unwrap();
        let mailbox = Mailbox::of(&app);
        mailbox.verify(&app, "new@example.com").await;
        mailbox.deliver(&app).await;
        assert_eq!(
            mailbox.sent(),
            [
                ("new@example.com".to_owned(), "Verify your e-mail address".to_owned()),
                (ADDRESS.to_owned(), "Your e-mail address was changed".to_owned())
            ]
        );
        assert_eq!(profile(&app, "alice").await.former_email, None);
    }
}
