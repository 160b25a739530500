//! An authenticator app, and a user who has one.

use http::{Method, StatusCode};
use jiff::SignedDuration;
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::testing::{Answer, call};
use totp_rs::Totp;

use super::{App, PASSWORD};

/// One time step of an app.
pub(crate) const STEP: SignedDuration = SignedDuration::from_secs(30);

/// An app that read an `otpauth` URI.
pub(crate) struct Authenticator {
    totp: Totp,
    clock: Clock,
}

/// A user whose second factor is in force. The code of this moment is used up.
pub(crate) struct Member {
    pub(crate) app: Authenticator,
    pub(crate) recovery_codes: Vec<String>,
    /// An access token of before the factor.
    pub(crate) token: String,
}

impl Authenticator {
    /// What it shows now, `steps` later or, if negative, earlier.
    pub(crate) fn code_at(&self, steps: i32) -> String {
        let time = self.clock.now() + STEP * steps;
        self.totp.generate(time.as_second().try_into().unwrap()).to_string()
    }

    /// The secret in base32.
    pub(crate) fn secret(&self) -> String {
        self.totp.secret().to_base32()
    }

    /// What it shows now.
    pub(crate) fn code(&self) -> String {
        self.code_at(0)
    }

    /// What it shows one step from now, which has not been used before.
    pub(crate) fn next_code(&self) -> String {
        self.clock.advance(STEP);
        self.code()
    }

    /// Six digits that are no code of these moments.
    pub(crate) fn wrong_code(&self) -> String {
        let codes = [-2, -1, 0, 1, 2].map(|steps| self.code_at(steps));
        ["000000", "111111", "222222", "333333", "444444", "555555"]
            .into_iter()
            .find(|wrong| !codes.iter().any(|code| code == wrong))
            .unwrap()
            .to_owned()
    }
}

impl App {
    pub(crate) async fn post_as(&self, token: &str, path: &str, body: &Value) -> Answer {
        call(Method::POST, path).token(token).json(body).send(&self.router).await
    }

    /// Logs in with [`PASSWORD`] and nothing else; the access token.
    pub(crate) async fn token(&self, username: &str) -> String {
        let body = json!({"username": username, "password": PASSWORD});
        let answer = self.post("/login", &body).await.expect(StatusCode::OK);
        answer.json["access_token"].as_str().unwrap().to_owned()
    }

    /// Begins a second factor.
    pub(crate) async fn enrol(&self, token: &str) -> Authenticator {
        let answer = self.post_as(token, "/totp", &json!({"password": PASSWORD})).await;
        let uri = answer.expect(StatusCode::OK).json["otpauth_uri"].as_str().unwrap().to_owned();
        Authenticator { totp: Totp::from_url(uri).unwrap(), clock: self.clock.clone() }
    }

    /// Registers a user and puts a second factor in force.
    pub(crate) async fn register_with_factor(&self, username: &str) -> Member {
        self.register(username).await;
        let token = self.token(username).await;
        let app = self.enrol(&token).await;
        let answer = self.post_as(&token, "/totp/confirm", &json!({"code": app.code()})).await;
        Member { recovery_codes: recovery_codes(&answer.expect(StatusCode::OK)), app, token }
    }
}

/// The recovery codes in an answer.
pub(crate) fn recovery_codes(answer: &Answer) -> Vec<String> {
    serde_json::from_value(answer.json["recovery_codes"].clone()).unwrap()
}
