//! Users who never verified an address, where `REQUIRE_VERIFIED_EMAIL` keeps them out.
//!
//! Their login is answered as a wrong password is, and the mail is sent again. So that the time does not tell one from the
//! other, every refused login does the same work: it takes from a bucket and records an event, which for all others is
//! nobody's bucket and no event at all.

use shared::http::ClientAddress;
use shared::problem::Problem;

use crate::State as App;
use crate::model::Account;
use crate::outbox;
use crate::security::Event;
use crate::throttle::{Kind, Subject};

/// What is left of the outcome of a login under `name`: only accounts that may be logged in to.
pub(crate) async fn refuse(
    app: &App,
    name: &str,
    address: ClientAddress,
    outcome: Option<Account>,
) -> Result<Option<Account>, Problem> {
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
        Event::LoginFailed.of(user_id).from(address.0).because("email_never_verified").log();
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::{Value, json};
    use shared::testing::Answer;
    use user::store::ProfileChange;

    use crate::testing::mailbox::Mailbox;
    use crate::testing::{App, PASSWORD};

    const ADDRESS: &str = "someone@example.com";

    async fn login(app: &App, username: &str, password: &str) -> Answer {
        app.post("/login", &json!({"username": username, "password": password})).await
    }

    #[tokio::test]
    async fn a_user_logs_in_once_an_address_was_verified_and_ever_after() {
        let app = App::requiring_verified_email().await;
        app.register("alice").await;
        let _refused = login(&app, "alice", PASSWORD).await.expect(StatusCode::UNAUTHORIZED);
        Mailbox::of(&app).verify(&app, ADDRESS).await;
        let _logged_in = login(&app, "alice", PASSWORD).await.expect(StatusCode::OK);

        let profile = app.users.profile(app.user_id("alice").await).await.unwrap().unwrap();
        let other = "other@example.com".to_owned().try_into().unwrap();
        assert!(
            app.users
                .change_email(&profile, &other, &ProfileChange::default(), app.clock.now())
                .await
                .unwrap()
        );
        let _logged_in = login(&app, "alice", PASSWORD).await.expect(StatusCode::OK);
    }

    #[tokio::test]
    async fn the_right_password_brings_the_mail_again_and_a_wrong_one_brings_none() {
        let app = App::requiring_verified_email().await;
        app.register("alice").await;
        let mailbox = Mailbox::of(&app);
        mailbox.deliver(&app).await;
        for (password, mails) in
            [("wrong password", 1), (PASSWORD, 2), (PASSWORD, 3), (PASSWORD, 4), (PASSWORD, 4)]
        {
            let _refused = login(&app, "alice", password).await.expect(StatusCode::UNAUTHORIZED);
            mailbox.deliver(&app).await;
            assert_eq!(mailbox.sent().len(), mails, "not more than three at once");
        }
    }

    /// By the answer, and by the work, which is what a clock sees.
    #[tokio::test]
    async fn an_unverified_user_cannot_be_told_from_a_wrong_password_or_nobody() {
        let app = App::requiring_verified_email().await;
        app.register("alice").await;
        app.register("bob").await;
        // An address that tries for the first time has no bucket yet.
        let _first = login(&app, "stranger", PASSWORD).await;
        let mut seen = Vec::new();
        for (username, password) in [("alice", PASSWORD), ("bob", "wrong password"), ("nobody", PASSWORD)] {
            app.passwords.computed.lock().unwrap().clear();
            app.database.take_calls();
            let answer = login(&app, username, password).await.expect(StatusCode::UNAUTHORIZED);
            let mut headers: Vec<_> =
                answer.headers.iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
            headers.sort();
            let calls = app.database.take_calls();
            let hashes = app.passwords.computed.lock().unwrap().clone();
            seen.push((headers, answer.json.to_string(), calls, hashes));
        }
        assert!(seen.iter().all(|other| *other == seen[0]), "{seen:#?}");
    }

    #[tokio::test]
    async fn where_it_is_not_required_nobody_notices() {
        let app = App::new().await;
        app.register("alice").await;
        let _logged_in = login(&app, "alice", PASSWORD).await.expect(StatusCode::OK);
        let _refused = login(&app, "alice", "wrong password").await.expect(StatusCode::UNAUTHORIZED);
        assert_eq!(app.database.items::<Value>("AuthOutboxTable").await.len(), 2, "the registration's");
    }
}
