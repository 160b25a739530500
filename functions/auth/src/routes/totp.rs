//! `POST /totp`.

pub(crate) mod confirm;
pub(crate) mod disable;
pub(crate) mod recovery_codes;

use axum::extract::State;
use http::Uri;
use serde::Deserialize;
use shared::http::{ClientAddress, Json};
use shared::problem::Problem;
use shared::token::Caller;

use crate::State as App;
use crate::factors::{self, Owner, already_enabled, same_password};
use crate::model::totp::{Enrolment, EnrolmentError};
use crate::model::{Factor, Password, PendingFactor, TotpSecret};
use crate::security::Event;

/// Who wants a second factor.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub(crate) struct Body {
    password: Password,
}

/// Gives the caller a secret for an authenticator app. It is not in force before `POST /totp/confirm`; until then, a new
/// one replaces it.
pub(crate) async fn post(
    State(app): State<App>,
    caller: Caller,
    address: ClientAddress,
    Json(body): Json<Body>,
) -> Result<Json<Enrolment>, Problem> {
    let owner = Owner::new(&app, caller, address).await?;
    let verified = owner.verify(&app, body.password).await?;
    let secret = TotpSecret::new(app.ids.bytes());
    let issuer = issuer(&app).await;
    let enrolment = secret.enrolment(&issuer, verified.username.as_str())?;
    factors::change(&app, &owner.username, |account| {
        same_password(account, &verified)?;
        if let Some(Factor::Enabled(_)) = account.factor {
            return Err(already_enabled());
        }
        account.factor = Some(Factor::Pending(PendingFactor::new(secret.clone(), app.clock.now())));
        Ok(Vec::new())
    })
    .await?;
    owner.done(Event::FactorEnrolled).await;
    Ok(Json(enrolment))
}

/// What the app shows beside the user's name: the issuer's host. A colon, as in an IPv6 address, would end it.
async fn issuer(app: &App) -> String {
    let issuer = app.verifier.keys().await.document().issuer.parse::<Uri>().ok();
    let host = issuer.as_ref().and_then(Uri::host).filter(|host| !host.contains(':'));
    host.unwrap_or("shop").to_owned()
}

impl From<EnrolmentError> for Problem {
    fn from(error: EnrolmentError) -> Self {
        Self::internal(&error)
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::{Value, json};

    use crate::testing::authenticator::STEP;
    use crate::testing::{App, PASSWORD, log};

    #[tokio::test]
    async fn an_enrolment_is_three_forms_of_one_secret_and_not_in_force() {
        let app = App::new().await;
        app.register("Mahindra").await;
        let token = app.token("mahindra").await;
        let answer =
            app.post_as(&token, "/totp", &json!({"password": PASSWORD})).await.expect(StatusCode::OK);
        assert_eq!(answer.headers["cache-control"], "no-store");
        let secret = answer.json["secret"].as_str().unwrap();
        assert_eq!(secret.len(), 32, "160 bits");
        assert_eq!(
            answer.json["otpauth_uri"],
            format!("otpauth://totp/localhost:Mahindra?secret={secret}&issuer=localhost")
        );
        assert!(answer.json["qr_code"].as_str().unwrap().contains("<svg "));
        app.token("mahindra").await;
    }

    #[tokio::test]
    async fn a_new_enrolment_replaces_one_that_was_not_confirmed() {
        let app = App::new().await;
        app.register("alice").await;
        let token = app.token("alice").await;
        let lost = app.enrol(&token).await;
        let kept = app.enrol(&token).await;
        let confirm = async |code: String| app.post_as(&token, "/totp/confirm", &json!({"code": code})).await;
        let _lost = confirm(lost.code()).await.expect(StatusCode::FORBIDDEN);
        let _kept = confirm(kept.code()).await.expect(StatusCode::OK);
    }

    #[tokio::test]
    async fn of_simultaneous_enrolments_one_can_be_confirmed() {
        let app = App::new().await;
        app.register("alice").await;
        let token = app.token("alice").await;
        let apps = tokio::join!(app.enrol(&token), app.enrol(&token));
        let mut confirmed = 0;
        for authenticator in [apps.0, apps.1] {
            let body = json!({"code": authenticator.code()});
            let answer = app.post_as(&token, "/totp/confirm", &body).await;
            confirmed += i32::from(answer.status == StatusCode::OK);
        }
        assert_eq!(confirmed, 1);
    }

    #[tokio::test]
    async fn there_is_one_factor_at_a_time() {
        let app = App::new().await;
        let member = app.register_with_factor("alice").await;
        let answer = app.post_as(&member.token, "/totp", &json!({"password": PASSWORD})).await;
        assert_eq!(answer.expect(StatusCode::CONFLICT).json["type"], "urn:problem-type:factor-enabled");
        let body = json!({"username": "alice", "password": PASSWORD, "otp": member.app.next_code()});
        let _still_this_one = app.post("/login", &body).await.expect(StatusCode::OK);
    }

    #[tokio::test]
    async fn it_takes_the_password_and_demo_users_have_none() {
        let app = App::with_demo_login().await;
        app.register("alice").await;
        app.seed_demo("mahindra", &[]).await;
        let demo = app.post("/login", &json!({"username": "mahindra"})).await.expect(StatusCode::OK);
        let alice = app.token("alice").await;
        log::start();
        for (token, password) in [
            (alice.as_str(), "wrong password"),
            (demo.json["access_token"].as_str().unwrap(), PASSWORD),
            (demo.json["access_token"].as_str().unwrap(), ""),
        ] {
            let answer = app.post_as(token, "/totp", &json!({"password": password})).await;
            let answer = answer.expect(StatusCode::FORBIDDEN);
            assert_eq!(answer.json["type"], "urn:problem-type:reauthentication-failed");
            let refused = log::lines_of("factor_refused").pop().unwrap();
            assert_eq!(refused["reason"], "wrong_password");
            assert_eq!(refused["user_id"], app.verifier.verify(token).await.unwrap().sub.to_string());
        }
        for item in app.database.items::<Value>("AuthTable").await {
            assert_eq!(item.get("factor"), None);
        }
    }

    /// A stolen access token must not be a way to guess passwords or codes for as long as one likes.
    #[tokio::test]
    async fn wrong_attempts_count_like_wrong_logins() {
        let app = App::new().await;
        let member = app.register_with_factor("alice").await;
        let body = json!({"password": PASSWORD, "code": member.app.wrong_code()});
        for path in ["/totp/recovery-codes", "/totp/disable"] {
            let mut statuses = Vec::new();
            for _ in 0..40 {
                let answer = app.post_as(&member.token, path, &body).await;
                statuses.push(answer.status);
                if answer.status == StatusCode::TOO_MANY_REQUESTS {
                    assert!(answer.headers.contains_key("retry-after"));
                    break;
                }
            }
            assert_eq!(statuses.last(), Some(&StatusCode::TOO_MANY_REQUESTS), "{path}");
        }
        let login = json!({"username": "alice", "password": PASSWORD, "otp": member.app.next_code()});
        let _same_buckets = app.post("/login", &login).await.expect(StatusCode::TOO_MANY_REQUESTS);
    }

    #[tokio::test]
    async fn bad_bodies_name_the_field_and_cost_no_hash() {
        let app = App::new().await;
        let member = app.register_with_factor("alice").await;
        app.clock.advance(STEP);
        app.passwords.computed.lock().unwrap().clear();
        let code = json!("123456");
        let long = json!("1".repeat(60_000));
        let recovery_code = json!("AAAA-AAAA-AAAA-AAAA-AAAA-AAAA");
        for (path, body, field) in [
            ("/totp", json!({"password": 12_345_678}), "password"),
            ("/totp", json!({"password": null}), "password"),
            ("/totp", json!({"password": "a".repeat(129)}), "password"),
            ("/totp", json!({"password": PASSWORD, "code": code}), "code"),
            ("/totp/confirm", json!({"code": 123_456}), "code"),
            ("/totp/confirm", json!({"code": null}), "code"),
            ("/totp/confirm", json!({"code": ["123456"]}), "code"),
            ("/totp/confirm", json!({"code": ""}), "code"),
            ("/totp/confirm", json!({"code": "12345"}), "code"),
            ("/totp/confirm", json!({"code": "1234567"}), "code"),
            ("/totp/confirm", json!({"code": "１２３４５６"}), "code"),
            ("/totp/confirm", json!({"code": long}), "code"),
            ("/totp/confirm", json!({"code": code, "password": PASSWORD}), "password"),
            ("/totp/recovery-codes", json!({"password": PASSWORD, "code": "abcdef"}), "code"),
            (
                "/totp/recovery-codes",
                json!({"password": PASSWORD, "recovery_code": recovery_code}),
                "recovery_code",
            ),
            ("/totp/disable", json!({"password": PASSWORD, "code": 123_456}), "code"),
            ("/totp/disable", json!({"password": PASSWORD, "code": null}), "code"),
            (
                "/totp/disable",
                json!({"password": PASSWORD, "code": code, "recovery_code": null}),
                "recovery_code",
            ),
            ("/totp/disable", json!({"password": PASSWORD, "recovery_code": "AAAA"}), "recovery_code"),
            ("/totp/disable", json!({"password": PASSWORD, "recovery_code": long}), "recovery_code"),
            (
                "/totp/disable",
                json!({"password": PASSWORD, "code": code, "recovery_code": recovery_code}),
                "code",
            ),
            ("/totp/disable", json!({"password": PASSWORD}), "code"),
            ("/totp/disable", json!({"password": PASSWORD, "otp": code}), "otp"),
        ] {
            let answer = app.post_as(&member.token, path, &body).await.expect(StatusCode::BAD_REQUEST);
            assert_eq!(answer.json["field"], field, "{path} {body}");
            let detail = answer.json["detail"].to_string();
            assert!(!detail.contains("123456") && !detail.contains("12345678"), "{detail}");
        }
        for (path, body) in [
            ("/totp", json!({})),
            ("/totp/confirm", json!({})),
            ("/totp/recovery-codes", json!({"password": PASSWORD})),
            ("/totp/recovery-codes", json!({"code": code})),
            ("/totp/disable", json!({"code": code})),
            ("/totp/disable", json!([PASSWORD, code])),
        ] {
            let _refused = app.post_as(&member.token, path, &body).await.expect(StatusCode::BAD_REQUEST);
            let _anonymous = app.post(path, &body).await.expect(StatusCode::UNAUTHORIZED);
        }
        assert!(app.passwords.computed.lock().unwrap().is_empty());
        let body = json!({"username": "alice", "password": PASSWORD, "otp": member.app.code()});
        let _still_enabled = app.post("/login", &body).await.expect(StatusCode::OK);
    }
}
