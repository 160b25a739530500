//! `POST /totp/confirm`.

use axum::extract::State;
use serde::Deserialize;
use shared::http::{ClientAddress, Json};
use shared::problem::Problem;
use shared::token::Caller;

use super::recovery_codes::RecoveryCodes;
use crate::State as App;
use crate::factors::{Owner, already_enabled, recovery_codes};
use crate::model::Factor;
use crate::model::totp::Code;
use crate::outbox::FactorChange;
use crate::security::Event;
use crate::sessions;

/// What the app shows.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub(crate) struct Body {
    code: Code,
}

/// Puts the second factor in force, once a code shows that an app has its secret, and ends the caller's other sessions,
/// which were started without it. The recovery codes are in this answer and never in another one.
pub(crate) async fn post(
    State(app): State<App>,
    caller: Caller,
    address: ClientAddress,
    Json(body): Json<Body>,
) -> Result<Json<RecoveryCodes>, Problem> {
    let owner = Owner::new(&app, caller, address).await?;
    // The copy of the revocations may be a moment old, and this ends the owner's other sessions.
    if app.accounts.session(owner.caller.user_id, owner.caller.session_id).await?.is_none() {
        return Err(Problem::unauthorized(Some("invalid_token")));
    }
    let codes = recovery_codes(&app);
    let now = app.clock.now();
    sessions::end_all(
        &app,
        &owner.username,
        Some(owner.caller.session_id),
        |account| {
            let pending = match &account.factor {
                Some(Factor::Pending(pending)) if now < pending.until => pending,
                Some(Factor::Enabled(_)) => return Err(already_enabled()),
                _ => return Err(nothing_to_confirm()),
            };
            let enabled = pending.confirm(&body.code, now, &codes);
            account.factor = Some(Factor::Enabled(enabled.ok_or_else(|| owner.refused("wrong_code"))?));
            Ok(vec![owner.notice(&app, FactorChange::Enabled)?])
        },
        "factor_enabled",
    )
    .await?;
    owner.done(Event::FactorEnabled).await;
    Ok(Json(RecoveryCodes::new(codes)))
}

fn nothing_to_confirm() -> Problem {
    Problem::conflict(
        "factor-not-enrolled",
        "There is no second factor to confirm",
        "Enrol one, and confirm it within 15 minutes: POST /totp",
    )
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use http::{Method, StatusCode};
    use jiff::SignedDuration;
    use serde_json::{Value, json};
    use shared::testing::call;

    use crate::testing::authenticator::recovery_codes;
    use crate::testing::{App, PASSWORD};

    #[tokio::test]
    async fn a_code_puts_the_factor_in_force_and_ends_the_other_sessions() {
        let app = App::new().await;
        app.register("alice").await;
        let [here, elsewhere] = [app.token("alice").await, app.token("alice").await];
        let authenticator = app.enrol(&here).await;
        let body = json!({"code": authenticator.code()});
        let answer = app.post_as(&here, "/totp/confirm", &body).await.expect(StatusCode::OK);

        let codes = recovery_codes(&answer);
        assert_eq!(codes.iter().collect::<BTreeSet<_>>().len(), 10);
        assert!(codes.iter().all(|code| code.len() == 29), "{codes:?}");
        let sessions = call(Method::GET, "/sessions").token(&here).send(&app.router).await;
        let sessions = sessions.expect(StatusCode::OK).json["items"].as_array().unwrap().clone();
        let elsewhere = app.verifier.verify(&elsewhere).await.unwrap().sid.to_string();
        assert!(sessions.len() == 1 && sessions[0]["id"] != elsewhere, "{sessions:?}");
        let told = app.database.items::<Value>("AuthOutboxTable").await;
        assert!(told.iter().any(|item| item["event"]["change"] == "enabled"), "{told:?}");

        let login = json!({"username": "alice", "password": PASSWORD});
        let answer = app.post("/login", &login).await.expect(StatusCode::UNAUTHORIZED);
        assert_eq!(answer.json["type"], "urn:problem-type:second-factor-required");
    }

    #[tokio::test]
    async fn neither_codes_nor_their_secret_are_in_any_other_answer_or_table_than_they_must() {
        let app = App::new().await;
        let member = app.register_with_factor("alice").await;
        let tables = ["AuthTable", "AuthOutboxTable", "RevocationTable", "UserTable"];
        for table in tables {
            let items = format!("{:?}", app.database.items::<Value>(table).await);
            for code in &member.recovery_codes {
                assert!(!items.contains(code) && !items.contains(&code.replace('-', "")), "{table}");
            }
            let secret = member.app.secret();
            assert_eq!(items.contains(&secret), table == "AuthTable", "{table}");
        }
        let sessions = call(Method::GET, "/sessions").token(&member.token).send(&app.router).await;
        assert!(!sessions.json.to_string().contains(&member.app.secret()));
    }

    /// Whoever enrolled may have been thrown out by the change.
    #[tokio::test]
    async fn an_enrolment_ends_with_the_password_and_with_the_session() {
        let app = App::new().await;
        app.register("alice").await;
        let [thief, owner] = [app.token("alice").await, app.token("alice").await];
        let authenticator = app.enrol(&thief).await;
        let body = json!({"code": authenticator.code()});
        let id = app.verifier.verify(&thief).await.unwrap().sid;
        let _ended = app.send(Method::DELETE, &format!("/sessions/{id}"), &owner).await;
        let _no_session = app.post_as(&thief, "/totp/confirm", &body).await.expect(StatusCode::UNAUTHORIZED);

        let change = json!({"current_password": PASSWORD, "new_password": "another correct horse"});
        let changed = app.post_as(&owner, "/password/change", &change).await;
        let _changed = changed.expect(StatusCode::NO_CONTENT);
        let answer = app.post_as(&owner, "/totp/confirm", &body).await.expect(StatusCode::CONFLICT);
        assert_eq!(answer.json["type"], "urn:problem-type:factor-not-enrolled");
    }

    #[tokio::test]
    async fn a_wrong_code_changes_nothing() {
        let app = App::new().await;
        app.register("alice").await;
        let token = app.token("alice").await;
        let authenticator = app.enrol(&token).await;
        for code in [authenticator.wrong_code(), authenticator.code_at(2), authenticator.code_at(-2)] {
            let answer = app.post_as(&token, "/totp/confirm", &json!({"code": code})).await;
            let answer = answer.expect(StatusCode::FORBIDDEN);
            assert_eq!(answer.json["type"], "urn:problem-type:reauthentication-failed");
        }
        app.token("alice").await;
        let body = json!({"code": authenticator.code()});
        let _right = app.post_as(&token, "/totp/confirm", &body).await.expect(StatusCode::OK);
    }

    #[tokio::test]
    async fn there_is_nothing_to_confirm_without_an_enrolment_or_after_a_quarter_of_an_hour() {
        let app = App::new().await;
        app.register("alice").await;
        let token = app.token("alice").await;
        let answer = app.post_as(&token, "/totp/confirm", &json!({"code": "123456"})).await;
        assert_eq!(answer.expect(StatusCode::CONFLICT).json["type"], "urn:problem-type:factor-not-enrolled");

        let authenticator = app.enrol(&token).await;
        app.clock.advance(SignedDuration::from_mins(15));
        let token = app.token("alice").await;
        let answer = app.post_as(&token, "/totp/confirm", &json!({"code": authenticator.code()})).await;
        assert_eq!(answer.expect(StatusCode::CONFLICT).json["type"], "urn:problem-type:factor-not-enrolled");
    }

    /// Otherwise the codes of one answer would be void, and its reader would not know.
    #[tokio::test]
    async fn of_simultaneous_confirmations_one_wins_and_its_recovery_codes_are_the_ones() {
        let app = App::new().await;
        app.register("alice").await;
        let token = app.token("alice").await;
        let authenticator = app.enrol(&token).await;
        let body = json!({"code": authenticator.code()});
        let confirm = || app.post_as(&token, "/totp/confirm", &body);
        let answers: [_; 3] = tokio::join!(confirm(), confirm(), confirm()).into();
        let (won, lost): (Vec<_>, Vec<_>) =
            answers.into_iter().partition(|answer| answer.status == StatusCode::OK);
        assert_eq!(won.len(), 1);
        for answer in lost {
            assert_eq!(answer.json["type"], "urn:problem-type:factor-enabled", "{}", answer.json);
        }
        let code = recovery_codes(&won[0]).remove(0);
        let login = json!({"username": "alice", "password": PASSWORD, "recovery_code": code});
        let _right = app.post("/login", &login).await.expect(StatusCode::OK);
    }

    /// The user sees no recovery codes then, and gets others.
    #[tokio::test]
    async fn a_confirmation_whose_answer_is_lost_is_one() {
        let app = App::new().await;
        app.register("alice").await;
        let token = app.token("alice").await;
        let authenticator = app.enrol(&token).await;
        app.database.lose_answers("TransactWriteItems", 0..10);
        let body = json!({"code": authenticator.code()});
        let _lost = app.post_as(&token, "/totp/confirm", &body).await.expect(StatusCode::SERVICE_UNAVAILABLE);
        app.database.lose_answers("TransactWriteItems", 0..0);
        let _again = app.post_as(&token, "/totp/confirm", &body).await.expect(StatusCode::CONFLICT);
        let body = json!({"password": PASSWORD, "code": authenticator.next_code()});
        let answer = app.post_as(&token, "/totp/recovery-codes", &body).await.expect(StatusCode::OK);
        assert_eq!(recovery_codes(&answer).len(), 10);
    }

    /// Whoever logs in without a code while the factor comes into force has no session afterwards.
    #[tokio::test]
    async fn no_login_without_a_code_slips_through() {
        let app = App::new().await;
        app.register("alice").await;
        let token = app.token("alice").await;
        let authenticator = app.enrol(&token).await;
        let body = json!({"code": authenticator.code()});
        let login = json!({"username": "alice", "password": PASSWORD});
        let attempt = || app.post("/login", &login);
        let (confirmed, ..) = tokio::join!(
            app.post_as(&token, "/totp/confirm", &body),
            attempt(),
            attempt(),
            attempt(),
            attempt(),
        );
        let _confirmed = confirmed.expect(StatusCode::OK);
        let sessions = call(Method::GET, "/sessions").token(&token).send(&app.router).await;
        assert_eq!(sessions.json["items"].as_array().unwrap().len(), 1, "{}", sessions.json);
    }
}
