//! What a login brings beside the password.

use aws_sdk_dynamodb::types::TransactWriteItem;
use http::StatusCode;
use http::header::WWW_AUTHENTICATE;
use shared::http::ClientAddress;
use shared::problem::Problem;

use super::{CHALLENGE, invalid_credentials};
use crate::State as App;
use crate::model::factor::Proof;
use crate::model::{Account, Factor};
use crate::outbox::{self, FactorChange};
use crate::security::Event;

/// A login that may go on.
pub(super) struct Verified {
    /// The account without what the proof uses up.
    pub(super) after: Account,
    /// What else belongs into the transaction that starts the session.
    pub(super) writes: Vec<TransactWriteItem>,
    /// Whether it was a recovery code.
    pub(super) recovered: bool,
}

/// Whether a code of a second factor that is in force is tried. Recovery codes, which nobody can guess, do not count.
pub(super) fn is_tried(account: &Account, proof: Option<&Proof>) -> bool {
    matches!((proof, &account.factor), (Some(Proof::Code(_)), Some(Factor::Enabled(_))))
}

/// What a login uses up whose password was right; nothing, and whatever the proof, where no second factor is in force.
///
/// Only whoever knows the password learns here that there is a second factor. Whether it was the password or the code that
/// was wrong, the answer to a login with both does not tell.
pub(super) fn verify(
    app: &App,
    account: &Account,
    proof: Option<&Proof>,
    address: ClientAddress,
) -> Result<Verified, Problem> {
    let mut after = account.clone();
    let Some(Factor::Enabled(factor)) = &account.factor else {
        return Ok(Verified { after, writes: Vec::new(), recovered: false });
    };
    let now = app.clock.now();
    let failed = |reason| Event::LoginFailed.of(account.user_id).from(address.0).because(reason).log();
    let Some(proof) = proof else {
        failed("second_factor_required");
        return Err(required());
    };
    let factor = factor.without(proof, now).map_err(|reason| {
        failed(reason);
        invalid_credentials()
    })?;
    after.factor = Some(Factor::Enabled(factor));
    let recovered = matches!(proof, Proof::RecoveryCode(_));
    let mut writes = Vec::new();
    if recovered {
        let (user_id, change) = (account.user_id, FactorChange::RecoveryCodeUsed);
        let event = outbox::Event::FactorChanged { user_id, change };
        writes.push(app.accounts.event_write(&event, app.ids.uuid(now), now)?);
    }
    Ok(Verified { after, writes, recovered })
}

/// The password was right; the same request with a code will do.
fn required() -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "second-factor-required",
        "A code of the second factor is required",
    )
    .detail("Send the same with `otp`, the app's code, or `recovery_code`")
    .header(WWW_AUTHENTICATE, CHALLENGE)
}

#[cfg(test)]
mod tests {
    use http::Method;
    use jiff::SignedDuration;
    use serde_json::{Value, json};
    use shared::testing::{Answer, call};

    use super::*;
    use crate::testing::authenticator::{Member, STEP};
    use crate::testing::{App, PASSWORD, log};

    async fn login(app: &App, field: &str, code: &str) -> Answer {
        app.post("/login", &json!({"username": "alice", "password": PASSWORD, field: code})).await
    }

    async fn alice() -> (App, Member) {
        let app = App::new().await;
        let member = app.register_with_factor("alice").await;
        app.clock.advance(STEP);
        (app, member)
    }

    #[tokio::test]
    async fn the_password_alone_is_told_what_is_missing() {
        let (app, _) = alice().await;
        log::start();
        let body = json!({"username": "alice", "password": PASSWORD});
        let answer = app.post("/login", &body).await.expect(StatusCode::UNAUTHORIZED);
        assert_eq!(answer.json["type"], "urn:problem-type:second-factor-required");
        assert_eq!(answer.headers["www-authenticate"], CHALLENGE);
        assert_eq!(log::lines_of("login_failed")[0]["reason"], "second_factor_required");
    }

    #[tokio::test]
    async fn the_apps_code_opens_however_it_is_spaced() {
        let (app, member) = alice().await;
        let code = member.app.code();
        let _spaced =
            login(&app, "otp", &format!("{} {}", &code[..3], &code[3..])).await.expect(StatusCode::OK);
    }

    #[tokio::test]
    async fn codes_of_the_steps_beside_this_one_open_and_no_others() {
        for (steps, status) in [
            (-2, StatusCode::UNAUTHORIZED),
            (-1, StatusCode::OK),
            (1, StatusCode::OK),
            (2, StatusCode::UNAUTHORIZED),
        ] {
            let (app, member) = alice().await;
            // Away from the code that confirmed, which is used up.
            app.clock.advance(STEP * 5);
            let _answer = login(&app, "otp", &member.app.code_at(steps)).await.expect(status);
        }
    }

    /// Somebody who looked over the user's shoulder has nothing (RFC 6238 §5.2).
    #[tokio::test]
    async fn a_code_opens_once_and_the_one_that_confirmed_never() {
        let app = App::new().await;
        let member = app.register_with_factor("alice").await;
        let confirmed = member.app.code();
        log::start();
        let _replayed = login(&app, "otp", &confirmed).await.expect(StatusCode::UNAUTHORIZED);
        assert_eq!(log::lines_of("login_failed")[0]["reason"], "used_code");

        let code = member.app.next_code();
        let _first = login(&app, "otp", &code).await.expect(StatusCode::OK);
        for steps in [0, 1] {
            app.clock.advance(STEP * steps);
            let _replayed = login(&app, "otp", &code).await.expect(StatusCode::UNAUTHORIZED);
        }
        let _next = login(&app, "otp", &member.app.next_code()).await.expect(StatusCode::OK);
    }

    #[tokio::test]
    async fn a_recovery_code_opens_once_in_any_case() {
        let (app, member) = alice().await;
        let (first, second) = (&member.recovery_codes[0], &member.recovery_codes[1]);
        log::start();
        let _lower = login(&app, "recovery_code", &first.to_lowercase()).await.expect(StatusCode::OK);
        assert_eq!(log::lines_of("recovery_code_used").len(), 1);
        let told = app.database.items::<Value>("AuthOutboxTable").await;
        assert!(told.iter().any(|item| item["event"]["change"] == "recovery_code_used"), "{told:?}");

        let _again = login(&app, "recovery_code", first).await.expect(StatusCode::UNAUTHORIZED);
        let _other = login(&app, "recovery_code", second).await.expect(StatusCode::OK);
    }

    #[tokio::test]
    async fn all_ten_recovery_codes_open_and_then_there_are_none() {
        let (app, member) = alice().await;
        for code in &member.recovery_codes {
            let _opens = login(&app, "recovery_code", code).await.expect(StatusCode::OK);
        }
        let last = login(&app, "recovery_code", &member.recovery_codes[9]).await;
        let _none = last.expect(StatusCode::UNAUTHORIZED);
        let _app_still = login(&app, "otp", &member.app.code()).await.expect(StatusCode::OK);
    }

    #[tokio::test]
    async fn of_simultaneous_logins_with_one_code_one_gets_a_session() {
        let (app, member) = alice().await;
        for (field, code) in [("otp", member.app.code()), ("recovery_code", member.recovery_codes[0].clone())]
        {
            let attempt = || login(&app, field, &code);
            let answers: [_; 4] = tokio::join!(attempt(), attempt(), attempt(), attempt()).into();
            let opened = answers.iter().filter(|answer| answer.status == StatusCode::OK).count();
            assert_eq!(opened, 1, "{field}");
            assert!(
                answers.iter().all(|a| a.status == StatusCode::OK || a.status == StatusCode::UNAUTHORIZED)
            );
        }
    }

    /// Each is right, so neither may fail for the other's sake, nor bring the other's code back.
    #[tokio::test]
    async fn simultaneous_logins_with_two_recovery_codes_both_open_and_use_up_both() {
        let (app, member) = alice().await;
        let (first, second) = (&member.recovery_codes[0], &member.recovery_codes[1]);
        let answers = tokio::join!(login(&app, "recovery_code", first), login(&app, "recovery_code", second));
        assert_eq!((answers.0.status, answers.1.status), (StatusCode::OK, StatusCode::OK));
        for code in [first, second] {
            let _used = login(&app, "recovery_code", code).await.expect(StatusCode::UNAUTHORIZED);
        }
    }

    /// The answer, and the work, which is what a clock sees. A code that is tried is counted, which is one call more; who gets
    /// so far knows the password, and could as well have left the code out.
    #[tokio::test]
    async fn a_wrong_code_is_answered_like_a_wrong_password_and_nobody_else_learns_of_the_factor() {
        let (app, member) = alice().await;
        app.register("bob").await;
        app.token("bob").await;
        let bodies: [fn(&Member) -> Value; 6] = [
            |alice| json!({"username": "alice", "password": PASSWORD, "otp": alice.app.wrong_code()}),
            |_| json!({"username": "alice", "password": PASSWORD, "recovery_code": "A".repeat(24)}),
            |alice| json!({"username": "alice", "password": "wrong password", "otp": alice.app.code()}),
            |_| json!({"username": "alice", "password": "wrong password"}),
            |_| json!({"username": "bob", "password": "wrong password", "otp": "123456"}),
            |_| json!({"username": "bob", "password": "wrong password"}),
        ];
        let mut seen = Vec::new();
        for body in bodies {
            // What was tried before is forgotten.
            app.clock.advance(SignedDuration::from_hours(1));
            app.passwords.computed.lock().unwrap().clear();
            app.database.take_calls();
            let answer = app.post("/login", &body(&member)).await.expect(StatusCode::UNAUTHORIZED);
            let work = app.passwords.computed.lock().unwrap().clone();
            let mut calls = app.database.take_calls();
            if seen.is_empty() {
                assert!(calls.pop().is_none_or(|call| call.starts_with("UpdateItem")));
            }
            seen.push((answer.json.to_string(), work, calls));
        }
        assert!(seen[0].0.contains("urn:problem-type:invalid-credentials"), "{:?}", seen[0]);
        assert!(seen.iter().all(|other| *other == seen[0]), "{seen:#?}");
    }

    #[tokio::test]
    async fn codes_are_counted_however_many_addresses_they_come_from() {
        let (app, member) = alice().await;
        let guess = async |n: u8| {
            let body = json!({"username": "alice", "password": PASSWORD, "otp": member.app.wrong_code()});
            let call = call(Method::POST, "/login").from(&format!("198.18.0.{n}"));
            call.json(&body).send(&app.router).await
        };
        for n in 0..10 {
            let _wrong = guess(n).await.expect(StatusCode::UNAUTHORIZED);
        }
        let answer = guess(10).await.expect(StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(answer.headers["retry-after"], "600");
        app.clock.advance(SignedDuration::from_mins(10));
        let _right = login(&app, "otp", &member.app.code()).await.expect(StatusCode::OK);
    }

    #[tokio::test]
    async fn without_a_factor_in_force_a_code_is_not_looked_at() {
        let app = App::new().await;
        app.register("alice").await;
        let _none = login(&app, "otp", "123456").await.expect(StatusCode::OK);
        let token = app.token("alice").await;
        app.enrol(&token).await;
        let _pending = login(&app, "otp", "123456").await.expect(StatusCode::OK);
    }

    #[tokio::test]
    async fn bad_codes_name_the_field_and_cost_no_hash() {
        let app = App::new().await;
        let code = "AAAA-AAAA-AAAA-AAAA-AAAA-AAAA";
        for (field, value) in [
            ("otp", json!(123_456)),
            ("otp", json!(null)),
            ("otp", json!("12345")),
            ("otp", json!("1234567")),
            ("otp", json!({"code": "123456"})),
            ("recovery_code", json!(null)),
            ("recovery_code", json!(7)),
            ("recovery_code", json!("AAAA")),
        ] {
            let body = json!({"username": "alice", "password": PASSWORD, field: value});
            let answer = app.post("/login", &body).await.expect(StatusCode::BAD_REQUEST);
            assert_eq!(answer.json["field"], field, "{body}");
            assert!(!answer.json["detail"].to_string().contains("123456"));
        }
        let both = json!({"username": "alice", "password": PASSWORD, "otp": "123456", "recovery_code": code});
        let answer = app.post("/login", &both).await.expect(StatusCode::BAD_REQUEST);
        assert_eq!(answer.json["field"], "recovery_code");
        assert!(app.passwords.computed.lock().unwrap().is_empty());
    }
}
