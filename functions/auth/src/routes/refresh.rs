//! `POST /refresh`.

use axum::extract::State;
use http::StatusCode;
use http::header::WWW_AUTHENTICATE;
use serde::Deserialize;
use shared::http::Json;
use shared::problem::Problem;

use super::login::CHALLENGE;
use crate::State as App;
use crate::sessions::{self, RefreshError};
use crate::tokens::{CLIENT, Tokens};

/// Who wants new tokens. Not `Debug`: it must not be printed.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub(crate) struct Refresh {
    refresh_token: String,
}

impl From<RefreshError> for Problem {
    fn from(error: RefreshError) -> Self {
        match error {
            // One answer, whatever is wrong with the token.
            RefreshError::Invalid => {
                Self::new(StatusCode::UNAUTHORIZED, "invalid-refresh-token", "The refresh token is not valid")
                    .detail("Log in again")
                    .header(WWW_AUTHENTICATE, CHALLENGE)
            }
            RefreshError::Failed(problem) => problem,
        }
    }
}

/// Exchanges a refresh token for an access token and the next refresh token.
pub(crate) async fn post(
    State(app): State<App>,
    Json(refresh): Json<Refresh>,
) -> Result<Json<Tokens>, Problem> {
    Ok(Json(sessions::refresh(&app, &refresh.refresh_token, CLIENT).await?))
}

#[cfg(test)]
mod tests {
    use http::Method;
    use jiff::SignedDuration;
    use serde_json::{Value, json};
    use shared::testing::Answer;

    use super::*;
    use crate::model::session::GRACE;
    use crate::model::{ADMIN, CUSTOMER};
    use crate::testing::{App, LoggedIn, log};

    async fn logged_in() -> (App, LoggedIn) {
        let app = App::with_demo_login().await;
        app.seed_demo("mahindra", &[]).await;
        let login = app.log_in_demo("mahindra").await;
        (app, login)
    }

    async fn refresh(app: &App, token: &str) -> Answer {
        app.post("/refresh", &json!({ "refresh_token": token })).await
    }

    async fn refreshed(app: &App, token: &str) -> LoggedIn {
        LoggedIn::of(&refresh(app, token).await.expect(StatusCode::OK))
    }

    async fn refused(app: &App, token: &str) {
        let answer = refresh(app, token).await.expect(StatusCode::UNAUTHORIZED);
        assert_eq!(answer.json["type"], "urn:problem-type:invalid-refresh-token");
        assert_eq!(answer.headers["www-authenticate"], CHALLENGE);
    }

    /// How many sessions there are, and how many were revoked.
    async fn count(app: &App) -> (usize, usize) {
        let items: Vec<Value> = app.database.items("AuthTable").await;
        let sessions = items.iter().filter(|item| item["sk"].as_str().unwrap().starts_with("SESSION#"));
        (sessions.count(), app.database.items::<Value>("RevocationTable").await.len())
    }

    #[tokio::test]
    async fn a_refresh_gives_a_new_pair_of_the_same_session() {
        let (app, login) = logged_in().await;
        let first = app.verifier.verify(&login.access).await.unwrap();
        app.clock.advance(SignedDuration::from_mins(14));
        let answer = refresh(&app, &login.refresh).await.expect(StatusCode::OK);
        assert_eq!((&answer.json["token_type"], &answer.json["scope"]), (&json!("Bearer"), &json!("api")));
        assert_eq!(
            (&answer.json["expires_in"], &answer.headers["cache-control"]),
            (&json!(900), &"no-store".parse().unwrap())
        );
        let next = LoggedIn::of(&answer);
        assert_ne!(next.refresh, login.refresh);
        let second = app.verifier.verify(&next.access).await.unwrap();
        assert_eq!((second.sid, second.sub, second.auth_time), (first.sid, first.sub, first.auth_time));
        assert_eq!((second.iat - first.iat, second.exp - second.iat), (14 * 60, 900));
        assert_ne!(second.jti, first.jti);

        let third = refreshed(&app, &next.refresh).await;
        assert_ne!(third.refresh, next.refresh);
        assert_eq!(count(&app).await, (1, 0));
    }

    #[tokio::test]
    async fn a_client_that_lost_the_answer_gets_it_again() {
        log::start();
        let (app, login) = logged_in().await;
        let lost = refreshed(&app, &login.refresh).await;
        for _ in 0..3 {
            app.clock.advance(SignedDuration::from_secs(9));
            assert_eq!(refreshed(&app, &login.refresh).await.refresh, lost.refresh);
        }
        let _next = refreshed(&app, &lost.refresh).await;
        assert_eq!(
            log::events(),
            [
                "login_succeeded",
                "refreshed",
                "refresh_repeated",
                "refresh_repeated",
                "refresh_repeated",
                "refreshed"
            ]
        );
    }

    #[tokio::test]
    async fn a_used_token_that_comes_after_the_grace_ends_the_session() {
        log::start();
        let (app, login) = logged_in().await;
        let next = refreshed(&app, &login.refresh).await;
        app.clock.advance(GRACE);
        refused(&app, &login.refresh).await;
        assert_eq!(count(&app).await, (0, 1));
        refused(&app, &next.refresh).await;
        assert_eq!(
            log::events(),
            ["login_succeeded", "refreshed", "refresh_reused", "session_revoked", "refresh_refused"]
        );
        let text = log::everything();
        assert!(
            ![&login, &next].iter().any(|used| text.contains(&used.refresh) || text.contains(&used.access))
        );
    }

    #[tokio::test]
    async fn an_older_ancestor_ends_the_session_at_once() {
        let (app, login) = logged_in().await;
        let second = refreshed(&app, &login.refresh).await;
        let third = refreshed(&app, &second.refresh).await;
        refused(&app, &login.refresh).await;
        for token in [&second.refresh, &third.refresh] {
            refused(&app, token).await;
        }
        assert_eq!(count(&app).await, (0, 1));
    }

    #[tokio::test]
    async fn of_parallel_refreshes_one_lineage_survives() {
        let (app, login) = logged_in().await;
        let one = || refreshed(&app, &login.refresh);
        let answers: [LoggedIn; 6] = tokio::join!(one(), one(), one(), one(), one(), one()).into();
        assert!(answers.iter().all(|answer| answer.refresh == answers[0].refresh));
        refreshed(&app, &answers[0].refresh).await;
        assert_eq!(count(&app).await, (1, 0));
    }

    #[tokio::test]
    async fn a_rotation_that_the_table_breaks_leaves_a_token_that_works() {
        let (app, login) = logged_in().await;
        // The SDK tries the write again, which finds it done.
        app.database.lose_answers("PutItem", 0..1);
        let second = refreshed(&app, &login.refresh).await;
        // Nobody hears that it is done.
        app.database.lose_answers("PutItem", 0..100);
        let _unknown = refresh(&app, &second.refresh).await.expect(StatusCode::SERVICE_UNAVAILABLE);
        let third = refreshed(&app, &second.refresh).await;
        // Nothing was done.
        app.database.lose_answers("GetItem", 0..100);
        let _nothing = refresh(&app, &third.refresh).await.expect(StatusCode::SERVICE_UNAVAILABLE);
        app.database.lose_answers("GetItem", 0..0);
        let fourth = refreshed(&app, &third.refresh).await;
        refreshed(&app, &fourth.refresh).await;
        assert_eq!(count(&app).await, (1, 0));
    }

    #[tokio::test]
    async fn a_reuse_whose_revocation_is_not_heard_of_ends_the_session_all_the_same() {
        let (app, login) = logged_in().await;
        let next = refreshed(&app, &login.refresh).await;
        app.clock.advance(GRACE);
        app.database.lose_answers("TransactWriteItems", 0..100);
        let _unknown = refresh(&app, &login.refresh).await.expect(StatusCode::SERVICE_UNAVAILABLE);
        app.database.lose_answers("TransactWriteItems", 0..0);
        refused(&app, &next.refresh).await;
        assert_eq!(count(&app).await, (0, 1));
    }

    #[tokio::test]
    async fn a_session_ends_by_time_and_no_access_token_outlives_it() {
        let (app, login) = logged_in().await;
        let day = SignedDuration::from_hours(24);
        let mut token = login.refresh;
        for _ in 0..4 {
            app.clock.advance(day * 22);
            token = refreshed(&app, &token).await.refresh;
        }
        app.clock.advance(day * 2 - SignedDuration::from_secs(300));
        let answer = refresh(&app, &token).await.expect(StatusCode::OK);
        assert_eq!(answer.json["expires_in"], 300);
        let last = LoggedIn::of(&answer);
        app.verifier.verify(&last.access).await.unwrap();
        app.clock.advance(SignedDuration::from_secs(300));
        app.verifier.verify(&last.access).await.unwrap_err();
        refused(&app, &last.refresh).await;

        let idle = app.log_in_demo("mahindra").await;
        app.clock.advance(day * 30 - SignedDuration::from_secs(1));
        let idle = refreshed(&app, &idle.refresh).await;
        app.clock.advance(day * 30);
        refused(&app, &idle.refresh).await;
    }

    #[tokio::test]
    async fn after_logout_no_token_of_the_session_refreshes_and_others_do() {
        let (app, login) = logged_in().await;
        let other = app.log_in_demo("mahindra").await;
        let next = refreshed(&app, &login.refresh).await;
        let _out = app.send(Method::POST, "/logout", &next.access).await.expect(StatusCode::NO_CONTENT);
        for token in [&login.refresh, &next.refresh] {
            refused(&app, token).await;
        }
        refreshed(&app, &other.refresh).await;
        assert_eq!(count(&app).await, (1, 1));
    }

    #[tokio::test]
    async fn a_logout_while_a_refresh_is_under_way_ends_the_session() {
        for head_start in 0..6 {
            let (app, login) = logged_in().await;
            let logout = async {
                for _ in 0..head_start {
                    tokio::task::yield_now().await;
                }
                app.send(Method::POST, "/logout", &login.access).await.expect(StatusCode::NO_CONTENT)
            };
            let (answer, _out) = tokio::join!(refresh(&app, &login.refresh), logout);
            if answer.status == StatusCode::OK {
                refused(&app, &LoggedIn::of(&answer).refresh).await;
            }
            refused(&app, &login.refresh).await;
            assert_eq!(count(&app).await, (0, 1));
        }
    }

    /// Whoever knows ids only, or guesses, learns nothing and ends nothing.
    #[tokio::test]
    async fn tokens_that_are_none_are_refused_alike_and_end_nothing() {
        let (app, login) = logged_in().await;
        let good = &login.refresh;
        let mut bad: Vec<String> = [
            "",
            "null",
            "a",
            &good[..106],
            &good[..53],
            &format!("{good}="),
            &format!("{good}AAAA"),
            &format!(" {good}"),
            &"A".repeat(107),
            &"A".repeat(60_000),
            &login.access,
            "\u{0}",
            "🔑",
        ]
        .map(str::to_owned)
        .to_vec();
        // User id, session id and family secret are the first 64 characters.
        for place in 0..64 {
            let other = if good.as_bytes()[place] == b'A' { "B" } else { "A" };
            bad.push(format!("{}{other}{}", &good[..place], &good[place + 1..]));
        }
        for token in &bad {
            refused(&app, token).await;
        }
        assert_eq!(count(&app).await, (1, 0));
        let next = refreshed(&app, good).await;
        // With the family secret and a wrong rest it was a token of the session: somebody had one.
        let forged = format!("{}{}", &next.refresh[..66], "A".repeat(41));
        refused(&app, &forged).await;
        assert_eq!(count(&app).await, (0, 1));
    }

    #[tokio::test]
    async fn a_session_of_nobody_is_refused_and_another_users_token_stays_their_own() {
        let (app, login) = logged_in().await;
        let key = shared::db::Key::new("ACCOUNT#mahindra", "ACCOUNT");
        app.database.table("AuthTable").delete(&key).await.unwrap();
        refused(&app, &login.refresh).await;
        // The name belongs to somebody else now.
        app.register("mahindra").await;
        refused(&app, &login.refresh).await;
    }

    #[tokio::test]
    async fn roles_are_those_of_the_account_at_the_refresh() {
        let app = App::new().await;
        app.register("alice").await;
        let login = app.log_in("alice").await;
        app.accounts.grant_role(&"alice".to_owned().try_into().unwrap(), ADMIN).await.unwrap();
        let next = refreshed(&app, &login.refresh).await;
        assert_eq!(app.verifier.verify(&next.access).await.unwrap().roles, [CUSTOMER, ADMIN]);
    }

    #[tokio::test]
    async fn bodies_that_are_none_name_the_field() {
        let app = App::new().await;
        for (body, field) in [
            (json!({}), Value::Null),
            (json!({"refresh_token": null}), json!("refresh_token")),
            (json!({"refresh_token": 12_345_678}), json!("refresh_token")),
            (json!({"refresh_token": "a", "scope": "api"}), json!("scope")),
        ] {
            let answer = app.post("/refresh", &body).await.expect(StatusCode::BAD_REQUEST);
            assert_eq!(answer.json["field"], field, "{body}");
        }
    }
}
