//! `POST /login`.

use axum::extract::State;
use http::HeaderName;
use http::header::{CACHE_CONTROL, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde::{Deserialize, Deserializer, Serialize};
use shared::http::Json;
use shared::problem::Problem;
use shared::token::{Claims, LIFETIME};
use user::model::Username;

use crate::State as App;
use crate::model::{Account, Password};
use crate::security::Event;

/// What every token may be used for: our API. Finer rights are `roles`.
pub(crate) const SCOPE: &str = "api";
/// `client_id` of tokens that users get directly from us: our own shop front.
const CLIENT: &str = "shop";
/// The challenge of a failed login: RFC 9110 §15.5.2 wants one with every 401, and no registered scheme means "in the
/// JSON body". Not `Bearer`, which clients answer by renewing a token, nor `Basic`, which browsers answer by a prompt.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Password realm=\"login\"");

/// Who wants a token.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Login {
    /// Any text: a name that nobody can have is an unknown user, not another error.
    username: String,
    #[serde(default, deserialize_with = "present")]
    password: Option<Password>,
}

/// A password that is `null` is none, and not the same as none at all.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Password>, D::Error> {
    Password::deserialize(deserializer).map(Some)
}

/// Who has one now (RFC 6749 §5.1). Not `Debug`: it must not be printed.
#[derive(Serialize)]
pub(crate) struct LoggedIn {
    access_token: String,
    token_type: &'static str,
    /// Seconds.
    expires_in: i64,
    scope: &'static str,
}

/// The one answer to every wrong pair, whatever is wrong with it.
fn invalid_credentials() -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, "invalid-credentials", "The user name or the password is wrong")
        .header(WWW_AUTHENTICATE, CHALLENGE)
}

/// Exchanges a user name and a password for an access token.
pub(crate) async fn post(
    State(app): State<App>,
    Json(login): Json<Login>,
) -> Result<([(HeaderName, &'static str); 1], Json<LoggedIn>), Problem> {
    let account = match login.password {
        Some(password) => by_password(&app, login.username, password).await?,
        None if app.demo_login => by_name(&app, login.username).await?,
        None => return Err(Problem::bad_request("missing field `password`").with("field", "password")),
    };
    let Some(account) = account else {
        return Err(invalid_credentials());
    };
    Event::LoginSucceeded.of(account.user_id).log();
    let token = issue(&app, account).await?;
    Ok(([(CACHE_CONTROL, "no-store")], Json(token)))
}

/// The account that name and password open. Whether the name exists or not, the work is one read and one hash; only for a
/// name that nobody can have there is nothing to read, which is no secret.
async fn by_password(app: &App, username: String, password: Password) -> Result<Option<Account>, Problem> {
    let account = find(app, username).await?;
    let stored = account.as_ref().and_then(|account| account.password_hash.clone());
    let matches = app.passwords.verify(password, stored).await?;
    match &account {
        Some(account) if !matches => Event::LoginFailed.of(account.user_id).because("wrong_password").log(),
        Some(_) => {}
        None => Event::LoginFailed.entry().because("unknown_user").log(),
    }
    Ok(account.filter(|_| matches))
}

/// The demo account of this name.
async fn by_name(app: &App, username: String) -> Result<Option<Account>, Problem> {
    let account = find(app, username).await?.filter(Account::opens_without_password);
    if account.is_none() {
        Event::LoginFailed.entry().because("no_demo_user").log();
    }
    Ok(account)
}

async fn find(app: &App, username: String) -> Result<Option<Account>, Problem> {
    match Username::try_from(username) {
        Ok(username) => Ok(app.accounts.account(&username).await?),
        Err(_) => Ok(None),
    }
}

async fn issue(app: &App, account: Account) -> Result<LoggedIn, Problem> {
    let keys = app.verifier.keys().await;
    let now = app.clock.now();
    let claims = Claims {
        iss: keys.document().issuer.clone(),
        sub: account.user_id,
        aud: keys.document().audience.as_str().into(),
        exp: (now + LIFETIME).as_second(),
        iat: now.as_second(),
        nbf: now.as_second(),
        jti: app.ids.uuid(now).to_string(),
        client_id: CLIENT.to_owned(),
        scope: SCOPE.to_owned(),
        auth_time: Some(now.as_second()),
        sid: app.ids.uuid(now),
        username: account.username.into(),
        roles: account.roles,
    };
    Ok(LoggedIn {
        access_token: app.signer.sign(&claims).await?,
        token_type: "Bearer",
        expires_in: LIFETIME.as_secs(),
        scope: SCOPE,
    })
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use serde_json::{Value, json};
    use shared::testing::{AUDIENCE, Answer, ISSUER};
    use shared::token::Refused;
    use uuid::Uuid;

    use super::*;
    use crate::model::ADMIN;
    use crate::testing::{App, PASSWORD};

    async fn login(app: &App, username: &str, password: &str) -> Answer {
        app.post("/login", &json!({"username": username, "password": password})).await
    }

    fn token(answer: &Answer) -> &str {
        answer.json["access_token"].as_str().unwrap()
    }

    #[tokio::test]
    async fn the_right_password_gets_a_token_that_every_service_accepts() {
        let app = App::new().await;
        app.register("Alice").await;
        let answer = login(&app, "aLICE", PASSWORD).await.expect(StatusCode::OK);
        assert_eq!(answer.headers["cache-control"], "no-store");
        assert_eq!(answer.json["token_type"], "Bearer");
        assert_eq!(answer.json["expires_in"], 900);

        let alice = app.accounts.account(&"alice".to_owned().try_into().unwrap()).await.unwrap().unwrap();
        let claims = app.verifier.verify(token(&answer)).await.unwrap();
        assert_eq!((claims.iss.as_str(), claims.aud), (ISSUER, AUDIENCE.into()));
        assert_eq!((claims.sub, claims.username.as_str()), (alice.user_id, "Alice"));
        assert_eq!((claims.nbf, claims.exp - claims.iat), (claims.iat, 900));
        assert_eq!(claims.scope, answer.json["scope"]);
        assert!(claims.roles.is_empty() && !claims.client_id.is_empty() && claims.sid != Uuid::nil());

        app.clock.advance(SignedDuration::from_secs(899));
        app.verifier.verify(token(&answer)).await.unwrap();
        app.clock.advance(SignedDuration::from_secs(1));
        assert_eq!(app.verifier.verify(token(&answer)).await.unwrap_err(), Refused::Expired);
    }

    #[tokio::test]
    async fn each_login_is_a_session_and_a_token_of_its_own() {
        let app = App::new().await;
        app.register("alice").await;
        let mut seen = Vec::new();
        for _ in 0..2 {
            let answer = login(&app, "alice", PASSWORD).await.expect(StatusCode::OK);
            let claims = app.verifier.verify(token(&answer)).await.unwrap();
            seen.extend([claims.jti, claims.sid.to_string()]);
        }
        seen.sort();
        seen.dedup();
        assert_eq!(seen.len(), 4);
    }

    #[tokio::test]
    async fn a_granted_role_is_in_the_next_token() {
        let app = App::new().await;
        app.register("alice").await;
        app.accounts.grant_role(&"alice".to_owned().try_into().unwrap(), ADMIN).await.unwrap();
        let answer = login(&app, "alice", PASSWORD).await.expect(StatusCode::OK);
        assert_eq!(app.verifier.verify(token(&answer)).await.unwrap().roles, [ADMIN]);
    }

    /// What an attacker who wants to know user names sees: the answer, and how long it took. The time is what argon2
    /// takes, so its runs and their parameters are compared.
    #[tokio::test]
    async fn nobody_can_tell_an_unknown_user_from_a_wrong_password() {
        let app = App::with_demo_login().await;
        app.register("alice").await;
        app.seed_demo("mahindra", &[]).await;
        let mut seen = Vec::new();
        for (username, password) in [
            ("alice", "wrong password"),
            ("alice", ""),
            ("nobody", PASSWORD),
            ("mahindra", PASSWORD),
            ("no such name can be", PASSWORD),
            ("", PASSWORD),
            ("ALICE\u{0}", PASSWORD),
            (&"a".repeat(5_000), PASSWORD),
        ] {
            app.passwords.computed.lock().unwrap().clear();
            let answer = login(&app, username, password).await.expect(StatusCode::UNAUTHORIZED);
            let mut headers: Vec<_> =
                answer.headers.iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
            headers.sort();
            seen.push((headers, answer.json.to_string(), app.passwords.computed.lock().unwrap().clone()));
        }
        let (headers, json, work) = &seen[0];
        assert!(headers.iter().any(|header| header.starts_with("www-authenticate")), "{headers:?}");
        assert!(json.contains("urn:problem-type:invalid-credentials"), "{json}");
        assert_eq!(work, &["m=19456,t=2,p=1"]);
        assert!(seen.iter().all(|other| *other == seen[0]), "{seen:#?}");
    }

    #[tokio::test]
    async fn the_demo_login_opens_seeded_demo_accounts_only() {
        let app = App::with_demo_login().await;
        app.seed_demo("mahindra", &[]).await;
        app.register("alice").await;
        let demo = |username: &str| {
            let body = json!({"username": username});
            let app = &app;
            async move { app.post("/login", &body).await }
        };
        let answer = demo("Mahindra").await.expect(StatusCode::OK);
        let claims = app.verifier.verify(token(&answer)).await.unwrap();
        assert_eq!((claims.username.as_str(), claims.roles.len()), ("mahindra", 0));

        for username in ["alice", "nobody", "no such name can be"] {
            let answer = demo(username).await.expect(StatusCode::UNAUTHORIZED);
            assert_eq!(answer.json["type"], "urn:problem-type:invalid-credentials");
        }
        app.seed_demo("mahindra", &[ADMIN]).await;
        let _an_admin = demo("mahindra").await.expect(StatusCode::UNAUTHORIZED);
    }

    #[tokio::test]
    async fn without_the_demo_login_a_missing_password_is_a_malformed_request() {
        let app = App::new().await;
        app.seed_demo("mahindra", &[]).await;
        let answer =
            app.post("/login", &json!({"username": "mahindra"})).await.expect(StatusCode::BAD_REQUEST);
        assert_eq!(
            (&answer.json["field"], &answer.json["detail"]),
            (&json!("password"), &json!("missing field `password`"))
        );
    }

    #[tokio::test]
    async fn malformed_logins_name_the_field_and_cost_no_hash() {
        for app in [App::new().await, App::with_demo_login().await] {
            app.seed_demo("mahindra", &[]).await;
            for (body, field) in [
                (json!({"username": 5, "password": PASSWORD}), "username"),
                (json!({"username": "mahindra", "password": null}), "password"),
                (json!({"username": "mahindra", "password": 12_345_678}), "password"),
                (json!({"username": "mahindra", "password": {"$ne": ""}}), "password"),
                (json!({"username": "mahindra", "password": "a".repeat(129)}), "password"),
                (json!({"username": "mahindra", "password": PASSWORD, "otp": 1}), "otp"),
            ] {
                let answer = app.post("/login", &body).await.expect(StatusCode::BAD_REQUEST);
                assert_eq!(answer.json["field"], field, "{body}");
                assert!(!answer.json["detail"].to_string().contains("12345678"));
            }
            for body in [json!({"password": PASSWORD}), json!({}), Value::Null, json!("mahindra")] {
                let _refused = app.post("/login", &body).await.expect(StatusCode::BAD_REQUEST);
            }
            assert!(app.passwords.computed.lock().unwrap().is_empty());
        }
    }
}
