//! `POST /password/change`.

use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use shared::http::{ClientAddress, Json};
use shared::problem::Problem;
use shared::token::Caller;
use user::model::Username;

use crate::State as App;
use crate::model::{NewPassword, Password};
use crate::outbox;
use crate::security::Event;
use crate::sessions::{self, EndAllError};

/// How often a change is tried anew whose account got another hash meanwhile.
const ATTEMPTS: u32 = 3;

/// The password of now, and the one that is wanted (ASVS 5.0 §6.2.3).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub(crate) struct Change {
    current_password: Password,
    new_password: NewPassword,
}

/// 403 and not 401: the access token is fine, and clients answer a 401 by renewing it.
fn wrong_password() -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "wrong-password", "The current password is wrong")
        .with("field", "current_password")
}

fn same_password() -> Problem {
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "same-password", "The new password is the current one")
        .with("field", "new_password")
}

/// Sets another password, and ends all sessions of the caller but this one, in one transaction. Guesses at the current
/// password are limited as those at a login are, and counted together with them.
pub(crate) async fn post(
    State(app): State<App>,
    caller: Caller,
    address: ClientAddress,
    Json(change): Json<Change>,
) -> Result<StatusCode, Problem> {
    let Change { current_password, new_password } = change;
    let gone = || Problem::unauthorized(Some("invalid_token"));
    let username = Username::try_from(caller.username).map_err(|_| gone())?;
    let (permit, profile) =
        tokio::join!(app.throttle.login(username.as_str(), address), app.users.profile(caller.user_id));
    let (mut permit, profile) = (Some(permit?), profile?);
    let mut about = vec![username.as_str().to_owned()];
    about.extend(profile.map(|profile| profile.email.as_str().to_owned()));

    for _ in 0..ATTEMPTS {
        let account = app.accounts.account(&username).await?;
        let account = account.filter(|account| account.user_id == caller.user_id).ok_or_else(gone)?;
        let Some(verified) = account.password_hash else {
            return Err(Problem::forbidden("A demo user has no password"));
        };
        if !app.passwords.verify(current_password.clone(), Some(verified.clone())).await? {
            Event::LoginFailed.of(caller.user_id).from(address.0).because("wrong_current_password").log();
            return Err(wrong_password());
        }
        if let Some(permit) = permit.take() {
            permit.give_back().await;
        }
        if new_password == current_password {
            return Err(same_password());
        }
        let salt = app.ids.bytes();
        let hash = app.passwords.choose("new_password", new_password.clone(), about.clone(), salt).await?;
        let now = app.clock.now();
        let changed = outbox::Event::PasswordChanged { user_id: caller.user_id };
        let told = app.accounts.event_write(&changed, app.ids.uuid(now), now)?;
        let outcome = sessions::end_all(
            &app,
            &username,
            Some(caller.session_id),
            |account| {
                let unchanged = account.password_hash.as_ref() == Some(&verified);
                account.choose_password(hash.clone());
                if unchanged { Ok(vec![told.clone()]) } else { Err(()) }
            },
            "password_changed",
        );
        match outcome.await {
            Ok(_) => {
                let event = Event::PasswordChanged.of(caller.user_id).session(caller.session_id);
                event.from(address.0).log();
                return Ok(StatusCode::NO_CONTENT);
            }
            Err(EndAllError::Unknown) => return Err(gone()),
            // Another password meanwhile, or a new hash of the same: is the one that was sent still right?
            Err(EndAllError::Refused(())) => {}
            Err(EndAllError::Condition(_)) => return Err(Problem::unavailable(1)),
            Err(EndAllError::Failed(problem)) => return Err(problem),
        }
    }
    Err(Problem::unavailable(1))
}

#[cfg(test)]
mod tests {
    use http::Method;
    use jiff::SignedDuration;
    use serde_json::{Value, json};
    use shared::testing::{Answer, call};

    use super::*;
    use crate::testing::{App, PASSWORD};

    const NEW: &str = "purple monkey dishwasher";

    async fn login(app: &App, password: &str) -> Answer {
        app.post("/login", &json!({"username": "alice", "password": password})).await
    }

    /// A session's access token and refresh token.
    async fn session(app: &App) -> (String, String) {
        let answer = login(app, PASSWORD).await.expect(StatusCode::OK);
        let member = |name: &str| answer.json[name].as_str().unwrap().to_owned();
        (member("access_token"), member("refresh_token"))
    }

    async fn refresh(app: &App, token: &str) -> StatusCode {
        app.post("/refresh", &json!({"refresh_token": token})).await.status
    }

    async fn change(app: &App, token: &str, body: &Value) -> Answer {
        call(Method::POST, "/password/change").token(token).json(body).send(&app.router).await
    }

    fn body(current: &str, new: &str) -> Value {
        json!({"current_password": current, "new_password": new})
    }

    async fn app() -> App {
        let app = App::new().await;
        app.register("alice").await;
        app
    }

    #[tokio::test]
    async fn the_new_password_opens_the_account_and_all_other_sessions_end() {
        let app = app().await;
        let (this, others) = (session(&app).await, [session(&app).await, session(&app).await]);
        let answer = change(&app, &this.0, &body(PASSWORD, NEW)).await.expect(StatusCode::NO_CONTENT);
        assert_eq!(answer.json, Value::Null);

        assert_eq!(refresh(&app, &this.1).await, StatusCode::OK);
        for (_, token) in &others {
            assert_eq!(refresh(&app, token).await, StatusCode::UNAUTHORIZED);
        }
        assert_eq!(app.database.items::<Value>("RevocationTable").await.len(), 2, "their access tokens too");
        let _old = login(&app, PASSWORD).await.expect(StatusCode::UNAUTHORIZED);
        let _new = login(&app, NEW).await.expect(StatusCode::OK);
        let told = json!(app.database.items::<Value>("AuthOutboxTable").await).to_string();
        assert!(told.contains("password_changed"), "the owner is told: {told}");
    }

    #[tokio::test]
    async fn a_wrong_current_password_changes_nothing_and_counts_as_a_guess() {
        let app = app().await;
        let (this, other) = (session(&app).await, session(&app).await);
        for _ in 0..10 {
            let answer =
                change(&app, &this.0, &body("wrong password", NEW)).await.expect(StatusCode::FORBIDDEN);
            assert_eq!(answer.json["type"], "urn:problem-type:wrong-password");
            assert_eq!(answer.json["field"], "current_password");
        }
        let answer = change(&app, &this.0, &body(PASSWORD, NEW)).await.expect(StatusCode::TOO_MANY_REQUESTS);
        let _login = login(&app, PASSWORD).await.expect(StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(refresh(&app, &other.1).await, StatusCode::OK);

        let seconds: i64 = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
        app.clock.advance(SignedDuration::from_secs(seconds));
        let _changed = change(&app, &this.0, &body(PASSWORD, NEW)).await.expect(StatusCode::NO_CONTENT);
    }

    #[tokio::test]
    async fn a_bad_new_password_is_refused_and_costs_no_attempt() {
        let app = app().await;
        let (token, _) = session(&app).await;
        for _ in 0..3 {
            for (new, kind) in [
                ("trustno1", "weak-password"),
                ("Alice2026", "weak-password"),
                ("someone@example.com", "weak-password"),
                (PASSWORD, "same-password"),
                ("correct horse\u{a0}battery", "same-password"),
            ] {
                let answer = change(&app, &token, &body(PASSWORD, new)).await;
                assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{new}");
                assert_eq!(answer.json["type"], format!("urn:problem-type:{kind}"), "{new}");
                assert_eq!(answer.json["field"], "new_password");
                assert!(!answer.json.to_string().contains(new));
            }
        }
        let _unchanged = login(&app, PASSWORD).await.expect(StatusCode::OK);
    }

    #[tokio::test]
    async fn malformed_changes_name_the_field_and_cost_no_hash() {
        let app = app().await;
        let (token, _) = session(&app).await;
        app.passwords.computed.lock().unwrap().clear();
        for (field, body) in [
            ("new_password", body(PASSWORD, "seven77")),
            ("new_password", body(PASSWORD, &"a".repeat(129))),
            ("new_password", json!({"current_password": PASSWORD, "new_password": 12_345_678})),
            ("current_password", body(&"a".repeat(129), NEW)),
            ("current_password", json!({"current_password": null, "new_password": NEW})),
            ("username", json!({"current_password": PASSWORD, "new_password": NEW, "username": "bob"})),
        ] {
            let answer = change(&app, &token, &body).await.expect(StatusCode::BAD_REQUEST);
            assert_eq!(answer.json["field"], field, "{body}");
            assert!(!answer.json.to_string().contains("12345678"));
        }
        let _missing =
            change(&app, &token, &json!({"new_password": NEW})).await.expect(StatusCode::BAD_REQUEST);
        assert!(app.passwords.computed.lock().unwrap().is_empty());
    }

    #[tokio::test]
    async fn of_simultaneous_changes_one_wins_and_its_session_is_left() {
        let app = app().await;
        let (one, other) = (session(&app).await, session(&app).await);
        let (mine, theirs) = (body(PASSWORD, NEW), body(PASSWORD, "zwölf Boxkämpfer jagen"));
        let (first, second) = tokio::join!(change(&app, &one.0, &mine), change(&app, &other.0, &theirs));
        let mut statuses = [first.status, second.status];
        statuses.sort();
        assert_eq!(statuses, [StatusCode::NO_CONTENT, StatusCode::FORBIDDEN]);
        let (winner, loser) =
            if first.status == StatusCode::NO_CONTENT { (one, other) } else { (other, one) };
        assert_eq!(refresh(&app, &winner.1).await, StatusCode::OK);
        assert_eq!(refresh(&app, &loser.1).await, StatusCode::UNAUTHORIZED);
    }

    #[tokio::test]
    async fn a_login_with_the_old_password_at_the_same_time_leaves_no_session() {
        let app = app().await;
        let (token, _) = session(&app).await;
        let request = body(PASSWORD, NEW);
        let (changed, ..) = tokio::join!(
            change(&app, &token, &request),
            login(&app, PASSWORD),
            login(&app, PASSWORD),
            login(&app, PASSWORD)
        );
        let _changed = changed.expect(StatusCode::NO_CONTENT);
        let list =
            call(Method::GET, "/sessions").token(&token).send(&app.router).await.expect(StatusCode::OK);
        assert_eq!(list.json["items"].as_array().unwrap().len(), 1, "{}", list.json);
    }

    #[tokio::test]
    async fn a_lost_answer_leaves_a_whole_change() {
        let app = app().await;
        let (this, other) = (session(&app).await, session(&app).await);
        app.database.lose_answers("TransactWriteItems", 0..100);
        let answer = change(&app, &this.0, &body(PASSWORD, NEW)).await;
        let _unknown = answer.expect(StatusCode::SERVICE_UNAVAILABLE);
        app.database.lose_answers("TransactWriteItems", 0..0);
        assert_eq!(refresh(&app, &other.1).await, StatusCode::UNAUTHORIZED);
        let _new = login(&app, NEW).await.expect(StatusCode::OK);
    }

    #[tokio::test]
    async fn a_demo_user_has_no_password_to_change() {
        let app = App::with_demo_login().await;
        app.seed_demo("mahindra", &[]).await;
        let answer = app.post("/login", &json!({"username": "mahindra"})).await.expect(StatusCode::OK);
        let token = answer.json["access_token"].as_str().unwrap();
        let _refused = change(&app, token, &body("anything at all", NEW)).await.expect(StatusCode::FORBIDDEN);
    }
}
