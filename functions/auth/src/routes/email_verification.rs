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
        // Before the new address counts, whoever reads the one of before may still do something about it.
        if let Some(former) = profile.former_email {
            let changed = outbox::Event::EmailChanged { user_id, former };
            app.accounts.put_event(&changed, app.ids.uuid(now), now).await?;
        }
        Event::EmailVerificationRequested.of(user_id).log();
    }
    Ok(StatusCode::ACCEPTED)
}

#[cfg(test)]
mod tests {
    use http::Method;
    use jiff::SignedDuration;
    use serde_json::Value;
    use shared::testing::{Answer, call, issuer};

    use super::*;
    use crate::testing::App as TestApp;
    use crate::testing::mailbox::Mailbox;

    const ADDRESS: &str = "someone@example.com";

    async fn ask(app: &TestApp) -> Answer {
        let token = issuer().token(app.user_id("alice").await, app.clock.now());
        call(Method::POST, "/email/verification").token(&token).send(&app.router).await
    }

    #[tokio::test]
    async fn the_mail_comes_again_until_the_address_is_verified() {
        let app = TestApp::new().await;
        app.register("alice").await;
        let mailbox = Mailbox::of(&app);
        mailbox.deliver(&app).await;
        let _accepted = ask(&app).await.expect(StatusCode::ACCEPTED);
        mailbox.verify(&app, ADDRESS).await;
        assert_eq!(mailbox.tokens(ADDRESS).len(), 2);

        let _accepted = ask(&app).await.expect(StatusCode::ACCEPTED);
        mailbox.deliver(&app).await;
        assert_eq!(mailbox.tokens(ADDRESS).len(), 2, "nothing is left to verify");
    }

    #[tokio::test]
    async fn nobody_is_flooded_with_mails() {
        let app = TestApp::new().await;
        app.register("alice").await;
        for _ in 0..3 {
            let _accepted = ask(&app).await.expect(StatusCode::ACCEPTED);
        }
        let refused = ask(&app).await.expect(StatusCode::TOO_MANY_REQUESTS);
        assert!(refused.headers.contains_key("retry-after"));
        assert_eq!(app.database.items::<Value>("AuthOutboxTable").await.len(), 2 + 3);
        app.clock.advance(SignedDuration::from_mins(30));
        let _accepted = ask(&app).await.expect(StatusCode::ACCEPTED);
    }

    #[tokio::test]
    async fn it_takes_a_token() {
        let app = TestApp::new().await;
        let answer = call(Method::POST, "/email/verification").send(&app.router).await;
        let _refused = answer.expect(StatusCode::UNAUTHORIZED);
    }
}
