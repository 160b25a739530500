//! What is secret stays out of the log, whatever endpoint it passes and however the call ends.

use std::collections::BTreeSet;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use shared::testing::{Answer, call};

use crate::testing::authenticator::{Authenticator, recovery_codes};
use crate::testing::mailbox::Mailbox;
use crate::testing::{App, log};

const USERNAME: &str = "gwendolyn-typed-this";
const EMAIL: &str = "gwendolyn.reads.mail@example.com";
const PHONE: &str = "+4915901234567";
const PASSWORD: &str = "wobbly gherkin tangerine 83";
const WRONG_PASSWORD: &str = "wobbly gherkin tangerine 38";
const NEW_PASSWORD: &str = "quiet umbrella saxophone 59";
const NEWER_PASSWORD: &str = "velvet hedgehog parliament 17";

/// Calls endpoints, and remembers which, and the secrets that went in and came out.
struct Driver {
    app: App,
    driven: BTreeSet<String>,
    secrets: BTreeSet<String>,
}

impl Driver {
    async fn new() -> Self {
        let given =
            [USERNAME, EMAIL, PHONE, PASSWORD, WRONG_PASSWORD, NEW_PASSWORD, NEWER_PASSWORD, "argon2id"];
        let secrets = given.map(str::to_owned).into();
        Self { app: App::with_demo_login().await, driven: BTreeSet::new(), secrets }
    }

    /// Calls `route`, whose path has no parameters; the answer must have this status.
    async fn post(&mut self, route: &str, token: &str, body: &Value, status: StatusCode) -> Answer {
        let mut call = call(Method::POST, route).json(body);
        if !token.is_empty() {
            call = call.token(token);
        }
        let answer = call.send(&self.app.router).await.expect(status);
        self.remember(&Method::POST, route, &answer);
        answer
    }

    async fn form(&mut self, route: &str, parameters: &[(&str, &str)], status: StatusCode) {
        let answer = self.app.form(route, parameters).await;
        assert_eq!(answer.status, status, "{}", answer.json);
        self.remember(&Method::POST, route, &answer);
    }

    fn remember(&mut self, method: &Method, route: &str, answer: &Answer) {
        self.driven.insert(format!("{method} {route}"));
        for member in ["access_token", "refresh_token", "secret", "otpauth_uri"] {
            self.secrets.extend(answer.json[member].as_str().map(str::to_owned));
        }
        if answer.json["recovery_codes"].is_array() {
            self.secrets.extend(recovery_codes(answer));
        }
    }

    /// Logs in; access token and refresh token.
    async fn log_in(&mut self, body: &Value) -> (String, String) {
        let answer = self.post("/login", "", body, StatusCode::OK).await;
        let member = |name: &str| answer.json[name].as_str().unwrap().to_owned();
        (member("access_token"), member("refresh_token"))
    }

    /// A code, which is a secret from now on.
    fn secret(&mut self, secret: String) -> String {
        self.secrets.insert(secret.clone());
        secret
    }
}

#[tokio::test]
async fn no_secret_is_in_the_log() {
    log::start();
    let mut driver = Driver::new().await;
    everything_that_succeeds(&mut driver).await;
    everything_that_fails(&driver).await;

    let routes: BTreeSet<String> =
        crate::routes().list().iter().map(|route| format!("{} {}", route.method, route.path)).collect();
    let not_driven: Vec<_> = routes.difference(&driver.driven).collect();
    assert_eq!(
        not_driven,
        ["GET /auth/ready", "GET /openapi.json"],
        "they have no secret, and no other endpoint may be left out"
    );

    let lines: Vec<String> = log::lines()
        .into_iter()
        .map(|mut line| {
            // Digits that change from run to run, and might be a code's.
            line.as_object_mut().unwrap().remove("timestamp");
            line.as_object_mut().unwrap().remove("duration_ms");
            for id in ["trace_id", "span_id"] {
                line["span"].as_object_mut().and_then(|span| span.remove(id));
            }
            line.to_string()
        })
        .collect();
    assert!(lines.len() > 2 * routes.len(), "the log is what is looked at");
    for secret in &driver.secrets {
        assert!(secret.len() >= 6, "{secret}");
        for line in &lines {
            assert!(!line.contains(secret.as_str()), "{secret} in {line}");
        }
        // What other threads wrote, with time stamps that may hold any six digits.
        assert!(secret.len() < 8 || !log::everything().contains(secret.as_str()), "{secret}");
    }
}

async fn everything_that_succeeds(driver: &mut Driver) {
    const OK: StatusCode = StatusCode::OK;
    const NO_CONTENT: StatusCode = StatusCode::NO_CONTENT;
    let register = json!({"username": USERNAME, "password": PASSWORD, "email": EMAIL, "phone": PHONE});
    driver.post("/register", "", &register, StatusCode::CREATED).await;
    let login = json!({"username": USERNAME, "password": PASSWORD});
    let (access, refresh) = driver.log_in(&login).await;

    // Mails with tokens.
    driver.post("/email/verification", &access, &json!({}), StatusCode::ACCEPTED).await;
    let mailbox = Mailbox::of(&driver.app);
    mailbox.deliver(&driver.app).await;
    let token = driver.secret(mailbox.tokens(EMAIL).pop().unwrap());
    driver.post("/email/verify", "", &json!({"token": token}), NO_CONTENT).await;
    driver.post("/password/forgot", "", &json!({"email": EMAIL}), StatusCode::ACCEPTED).await;
    let mailbox = Mailbox::of(&driver.app);
    mailbox.deliver(&driver.app).await;
    let token = driver.secret(mailbox.tokens(EMAIL).pop().unwrap());
    let reset = json!({"token": token, "new_password": NEW_PASSWORD});
    driver.post("/password/reset", "", &reset, NO_CONTENT).await;
    driver.post("/refresh", "", &json!({"refresh_token": refresh}), StatusCode::UNAUTHORIZED).await;

    // Sessions.
    let login = json!({"username": USERNAME, "password": NEW_PASSWORD});
    let (access, refresh) = driver.log_in(&login).await;
    driver.post("/refresh", "", &json!({"refresh_token": refresh}), OK).await;
    driver.post("/refresh", "", &json!({"refresh_token": refresh}), OK).await;
    let change = json!({"current_password": NEW_PASSWORD, "new_password": NEWER_PASSWORD});
    driver.post("/password/change", &access, &change, NO_CONTENT).await;
    let login = json!({"username": USERNAME, "password": NEWER_PASSWORD});
    let (other, _) = driver.log_in(&login).await;
    let answer = driver.app.send(Method::GET, "/sessions", &access).await.expect(OK);
    driver.remember(&Method::GET, "/sessions", &answer);
    let other = driver.app.verifier.verify(&other).await.unwrap().sid;
    let answer = driver.app.send(Method::DELETE, &format!("/sessions/{other}"), &access).await;
    driver.remember(&Method::DELETE, "/sessions/{id}", &answer.expect(NO_CONTENT));
    let (leaving, _) = driver.log_in(&login).await;
    driver.post("/logout", &leaving, &json!({}), NO_CONTENT).await;

    // The second factor.
    let password = json!({"password": NEWER_PASSWORD});
    let answer = driver.post("/totp", &access, &password, OK).await;
    let app = Authenticator::read(&driver.app, &answer);
    let code = driver.secret(app.code());
    let answer = driver.post("/totp/confirm", &access, &json!({"code": code}), OK).await;
    let recovery_code = recovery_codes(&answer).remove(0);
    let mut with_code = |field: &str, code: String| {
        let mut body = password.clone();
        body[field] = driver.secret(code).into();
        body
    };
    let (replace, refused) = (with_code("code", app.next_code()), with_code("code", app.wrong_code()));
    let disable = with_code("recovery_code", recovery_code.clone());
    driver.post("/totp/recovery-codes", &access, &replace, OK).await;
    driver.post("/totp/disable", &access, &disable, StatusCode::FORBIDDEN).await;
    driver.post("/totp/disable", &access, &refused, StatusCode::FORBIDDEN).await;
    let mut with_otp = login.clone();
    with_otp["otp"] = driver.secret(app.next_code()).into();
    let (_, fresh) = driver.log_in(&with_otp).await;
    driver.post("/login", "", &with_otp, StatusCode::UNAUTHORIZED).await;
    driver.post("/login", "", &login, StatusCode::UNAUTHORIZED).await;

    // OAuth clients.
    let client_secret = driver.app.client("warehouse").await;
    let client_secret = driver.secret(client_secret);
    let client = [("client_id", "warehouse"), ("client_secret", client_secret.as_str())];
    let wrong = [("client_id", "warehouse"), ("client_secret", WRONG_PASSWORD)];
    let token = ("token", access.as_str());
    driver.form("/introspect", &[client[0], client[1], token], OK).await;
    driver.form("/introspect", &[wrong[0], wrong[1], token], StatusCode::UNAUTHORIZED).await;
    let ours = ("client_id", "shop");
    let grant = [("grant_type", "refresh_token"), ("refresh_token", fresh.as_str())];
    driver.form("/token", &[grant[0], grant[1], client[0], client[1]], StatusCode::UNAUTHORIZED).await;
    driver.form("/token", &[grant[0], grant[1], ours], OK).await;
    driver
        .form("/revoke", &[("token", fresh.as_str()), client[0], client[1]], StatusCode::UNAUTHORIZED)
        .await;
    driver.form("/revoke", &[("token", fresh.as_str()), ours], OK).await;

    driver.post("/logout/all", &access, &json!({}), NO_CONTENT).await;
    let wrong = json!({"username": USERNAME, "password": WRONG_PASSWORD});
    driver.post("/login", "", &wrong, StatusCode::UNAUTHORIZED).await;
    for path in [
        "/.well-known/jwks.json",
        "/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server",
        "/health",
    ] {
        let answer = driver.app.get(path).await.expect(OK);
        driver.remember(&Method::GET, path, &answer);
    }
}

/// Secrets where they do not belong: in the wrong member, type, encoding, path, query and header.
async fn everything_that_fails(driver: &Driver) {
    for route in crate::routes().list() {
        for secret in &driver.secrets {
            let bodies = [
                json!({ secret.as_str(): secret }).to_string(),
                json!({"username": {secret.as_str(): 1}, "password": [secret], "token": [secret]})
                    .to_string(),
                json!({"code": secret.len(), "refresh_token": {"a": secret}}).to_string(),
                format!("{{\"password\": \"{secret}"),
                format!("password={secret}&token={secret}"),
            ];
            for (body, kind) in bodies.into_iter().zip([
                "application/json",
                "application/json",
                "application/json",
                "application/json",
                "application/x-www-form-urlencoded",
            ]) {
                let path = format!("{}?{}", route.path.replace("{id}", "x"), "token=here");
                let call = call(route.method.clone(), &path).token(&secret.replace(' ', "")).body(body);
                let answer = call.header("content-type", kind).send(&driver.app.router).await;
                assert!(!answer.status.is_server_error(), "{}", answer.json);
            }
        }
    }
    for secret in
        driver.secrets.iter().filter(|secret| secret.bytes().all(|byte| byte.is_ascii_alphanumeric()))
    {
        for path in [format!("/{secret}"), format!("/sessions/{secret}"), format!("/health?token={secret}")] {
            let _answer = driver.app.get(&path).await;
        }
    }
}
