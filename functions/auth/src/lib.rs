//! Auth: who somebody is. Owns the accounts (user name, password hash, roles), and is the only one that signs access
//! tokens; every other service verifies them by the keys that Auth publishes.

pub mod bootstrap;
mod clients;
mod factors;
pub mod keys;
pub mod mailer;
mod mails;
pub mod model;
#[cfg(feature = "openapi")]
pub mod openapi;
pub mod operator;
pub mod outbox;
mod passwords;
mod presented;
mod published;
pub mod rotation;
mod routes;
mod secrets;
mod security;
mod sessions;
mod signing;
pub mod store;
mod throttle;
mod tokens;
mod unverified;

#[cfg(test)]
mod cost_tests;
#[cfg(test)]
mod secrecy;
#[cfg(test)]
mod testing;

use std::sync::Arc;

use axum::Router;
use shared::aws::Aws;
use shared::clock::Clock;
use shared::config::{ConfigError, Env};
use shared::db::Table;
use shared::id::Generator;
use shared::routes::{Access, Routes, Service};
use shared::run::Failure;
use shared::token::{RevocationLog, Verifier};
use user::store::UserStore;

use passwords::Passwords;
use routes::{
    email_verification, email_verify, health, introspect, jwks, login, logout, logout_all, metadata,
    openapi_json, password_change, password_forgot, password_reset, refresh, register, revoke, session,
    sessions as session_list, token, totp,
};
use signing::Signer;
use store::AuthStore;
use throttle::Throttle;

/// What the handlers work with.
#[derive(Debug, Clone)]
pub struct State {
    /// This service's tables.
    pub accounts: AuthStore,
    /// User's table: a registration writes the profile too.
    pub users: UserStore,
    /// The keys that tokens are verified by, with their issuer and audience.
    pub verifier: Arc<Verifier>,
    /// Time.
    pub clock: Clock,
    /// Ids and salts.
    pub ids: Generator,
    signer: Arc<Signer>,
    passwords: Passwords,
    throttle: Throttle,
    demo_login: bool,
    require_verified_email: bool,
}

impl State {
    /// The state of a running function: the tables that `AUTH_TABLE` and `USER_TABLE` name, and the keys in the secrets
    /// that `SIGNING_KEY_SECRET` and `VERIFICATION_KEYS_SECRET` name.
    pub async fn new(env: &Env, aws: &Aws) -> Result<Self, Failure> {
        let demo_login = demo_login(env, aws)?;
        let require_verified_email = switch(env, "REQUIRE_VERIFIED_EMAIL")?;
        let table = |name| Ok::<_, ConfigError>(Table::new(aws.dynamodb(), env.required(name)?));
        let revocations = RevocationLog::new(table("REVOCATION_TABLE")?);
        let accounts = AuthStore::new(table("AUTH_TABLE")?, table("AUTH_OUTBOX_TABLE")?, revocations);
        let users = table("USER_TABLE")?;
        let clock = Clock::system();
        let verifier = Arc::new(Verifier::load(env, aws, clock.clone()).await?);
        let signer = Signer::load(env, aws.secrets_manager(), Arc::clone(&verifier), clock.clone()).await?;
        let throttle = Throttle::new(accounts.clone(), clock.clone());
        Ok(Self {
            accounts,
            users: UserStore::new(users),
            verifier,
            clock,
            ids: Generator::system(),
            signer: Arc::new(signer),
            passwords: Passwords::default(),
            throttle,
            demo_login,
            require_verified_email,
        })
    }
}

/// Whether demo users may log in without a password: `DEMO_LOGIN`, and only where no AWS is in reach.
fn demo_login(env: &Env, aws: &Aws) -> Result<bool, ConfigError> {
    let enabled = switch(env, "DEMO_LOGIN")?;
    if enabled && !aws.endpoint_is_loopback() {
        let reason = "`enabled` is for the local run, whose AWS endpoint is on loopback; this one is not";
        return Err(ConfigError::Invalid { name: "DEMO_LOGIN".to_owned(), reason: reason.to_owned() });
    }
    Ok(enabled)
}

/// A variable that is `enabled` or `disabled`; absent, it is the latter.
fn switch(env: &Env, name: &str) -> Result<bool, ConfigError> {
    match env.optional(name) {
        None | Some("disabled") => Ok(false),
        Some("enabled") => Ok(true),
        Some(_) => Err(ConfigError::Invalid {
            name: name.to_owned(),
            reason: "it must be `enabled` or `disabled`".to_owned(),
        }),
    }
}

/// The front door.
pub fn routes() -> Routes<State> {
    Routes::new("auth")
        .post("/register", Access::Public, register::post)
        .post("/login", Access::Public, login::post)
        .post("/refresh", Access::Public, refresh::post)
        .post("/logout", Access::Caller, logout::post)
        .post("/logout/all", Access::Caller, logout_all::post)
        .post("/password/change", Access::Caller, password_change::post)
        .get("/sessions", Access::Caller, session_list::get)
        .delete("/sessions/{id}", Access::Caller, session::delete)
        .post("/password/forgot", Access::Public, password_forgot::post)
        .post("/password/reset", Access::Public, password_reset::post)
        .post("/email/verification", Access::Caller, email_verification::post)
        .post("/email/verify", Access::Public, email_verify::post)
        .post("/totp", Access::Caller, totp::post)
        .post("/totp/confirm", Access::Caller, totp::confirm::post)
        .post("/totp/recovery-codes", Access::Caller, totp::recovery_codes::post)
        .post("/totp/disable", Access::Caller, totp::disable::post)
        .get("/.well-known/jwks.json", Access::Public, jwks::get)
        .post("/token", Access::Public, token::post)
        .post("/revoke", Access::Public, revoke::post)
        .post("/introspect", Access::Public, introspect::post)
        .get("/.well-known/openid-configuration", Access::Public, metadata::get)
        .get("/.well-known/oauth-authorization-server", Access::Public, metadata::get)
        .get("/health", Access::Public, health::get)
        .get("/openapi.json", Access::Public, openapi_json::get)
}

/// The function's router.
pub fn router(state: State, service: Service) -> Router {
    routes().into_router(state, service)
}

#[cfg(test)]
mod tests {
    use http::{Method, StatusCode};
    use serde_json::json;
    use shared::testing::call;

    use super::*;
    use crate::testing::{App, FakeAws, PASSWORD, aws_env, log};

    #[test]
    fn the_demo_login_is_for_loopback_only_and_off_unless_asked_for() {
        let local = "http://127.0.0.1:4566";
        for (setting, endpoint, outcome) in [
            (None, Some(local), Ok(false)),
            (Some("disabled"), Some(local), Ok(false)),
            (Some("disabled"), None, Ok(false)),
            (Some("enabled"), Some(local), Ok(true)),
            (Some("enabled"), None, Err("DEMO_LOGIN")),
            (Some("enabled"), Some("https://dynamodb.eu-west-1.amazonaws.com"), Err("DEMO_LOGIN")),
            (Some("true"), Some(local), Err("DEMO_LOGIN")),
        ] {
            let mut vars = Vec::new();
            vars.extend(setting.map(|value| ("DEMO_LOGIN", value)));
            vars.extend(endpoint.map(|value| ("AWS_ENDPOINT_URL", value)));
            let env = aws_env(vars);
            let is = demo_login(&env, &Aws::new(&env).unwrap());
            match outcome {
                Ok(enabled) => assert_eq!(is.unwrap(), enabled, "{setting:?} {endpoint:?}"),
                Err(name) => assert!(is.unwrap_err().to_string().contains(name), "{setting:?} {endpoint:?}"),
            }
        }
    }

    #[tokio::test]
    async fn a_function_with_the_demo_login_does_not_start_against_aws() {
        let fake = FakeAws::with_good_keys().await;
        let env = fake.env([("DEMO_LOGIN", "enabled")]);
        State::new(&env, &Aws::new(&env).unwrap()).await.unwrap();

        let env = fake.env([
            ("DEMO_LOGIN", "enabled"),
            ("AWS_ENDPOINT_URL_DYNAMODB", "https://dynamodb.eu-west-1.amazonaws.com"),
        ]);
        let error = State::new(&env, &Aws::new(&env).unwrap()).await.unwrap_err();
        assert!(error.to_string().contains("DEMO_LOGIN"), "{error}");
    }

    #[tokio::test]
    async fn the_log_holds_no_password_no_email_and_no_token() {
        let app = App::new().await;
        log::start();
        app.register("alice").await;
        let bad = json!({"username": "alice", "password": "secret7", "email": "someone@example.com"});
        let _refused = app.post("/register", &bad).await.expect(StatusCode::BAD_REQUEST);
        let wrong = json!({"username": "alice", "password": "secret7!"});
        let _refused = app.post("/login", &wrong).await.expect(StatusCode::UNAUTHORIZED);
        let typed_as_name = json!({"username": "secret7-as-name", "password": PASSWORD});
        for _ in 0..11 {
            let _refused = app.post("/login", &typed_as_name).await;
        }
        let weak = json!({"username": "bob", "password": "secret77", "email": "someone@example.com"});
        let _refused = app.post("/register", &weak).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
        let right = json!({"username": "alice", "password": PASSWORD});
        let answer = app.post("/login", &right).await.expect(StatusCode::OK);
        let token = answer.json["access_token"].as_str().unwrap();
        for (current, new) in
            [("secret7!", "secret7 other one"), (PASSWORD, "secret77"), (PASSWORD, "secret7 purple monkey")]
        {
            let change = json!({"current_password": current, "new_password": new});
            let call = call(Method::POST, "/password/change").token(token).json(&change);
            let _answer = call.send(&app.router).await;
        }

        let lines = log::lines();
        assert!(lines.iter().filter(|line| line["message"] == "answered").count() >= 4);
        for event in ["login_failed", "throttled", "password_changed"] {
            assert!(lines.iter().any(|line| line["event"] == event), "{event}");
        }
        let log = log::everything();
        for secret in [PASSWORD, "secret7", "someone@example.com", "argon2id", token] {
            assert!(!log.contains(secret), "{secret} in {log}");
        }
    }
}
