//! `POST /totp/disable`.

use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use shared::http::{ClientAddress, Json};
use shared::json::present;
use shared::problem::Problem;
use shared::token::Caller;

use crate::State as App;
use crate::factors::Owner;
use crate::model::Password;
use crate::model::factor::Proof;
use crate::model::recovery_code::RecoveryCode;
use crate::model::totp::Code;
use crate::outbox::FactorChange;
use crate::security::Event;
use crate::sessions;

/// Who wants no second factor any more: the password, and one of the two codes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub(crate) struct Body {
    password: Password,
    #[serde(default, deserialize_with = "present")]
    #[cfg_attr(feature = "openapi", schemars(with = "Code"))]
    code: Option<Code>,
    #[serde(default, deserialize_with = "present")]
    #[cfg_attr(feature = "openapi", schemars(with = "RecoveryCode"))]
    recovery_code: Option<RecoveryCode>,
}

/// Takes the caller's second factor away, secret and recovery codes, and ends the caller's other sessions.
pub(crate) async fn post(
    State(app): State<App>,
    caller: Caller,
    address: ClientAddress,
    Json(body): Json<Body>,
) -> Result<StatusCode, Problem> {
    let proof = match (body.code, body.recovery_code) {
        (Some(code), None) => Proof::Code(code),
        (None, Some(code)) => Proof::RecoveryCode(code),
        _ => {
            let problem = Problem::bad_request("expected either `code` or `recovery_code`");
            return Err(problem.with("field", "code"));
        }
    };
    let owner = Owner::new(&app, caller, address).await?;
    let verified = owner.verify(&app, body.password).await?;
    sessions::end_all(
        &app,
        &owner.username,
        Some(owner.caller.session_id),
        |account| {
            owner.use_up(&app, account, &verified, &proof)?;
            account.factor = None;
            Ok(vec![owner.notice(&app, FactorChange::Disabled)?])
        },
        "factor_disabled",
    )
    .await?;
    owner.done(Event::FactorDisabled).await;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use http::{Method, StatusCode};
    use serde_json::{Value, json};
    use shared::testing::call;

    use crate::testing::{App, PASSWORD};

    #[tokio::test]
    async fn a_code_of_either_kind_disables_it_and_ends_the_other_sessions() {
        let app = App::new().await;
        for (username, by) in [("alice", "code"), ("bob", "recovery_code")] {
            let member = app.register_with_factor(username).await;
            let login = json!({"username": username, "password": PASSWORD, "otp": member.app.next_code()});
            let _elsewhere = app.post("/login", &login).await.expect(StatusCode::OK);
            let mut body = json!({"password": PASSWORD});
            body[by] = match by {
                "code" => member.app.next_code().into(),
                _ => member.recovery_codes[3].as_str().into(),
            };
            let answer = app.post_as(&member.token, "/totp/disable", &body).await;
            assert_eq!(answer.expect(StatusCode::NO_CONTENT).json, Value::Null);

            let sessions = call(Method::GET, "/sessions").token(&member.token).send(&app.router).await;
            assert_eq!(sessions.expect(StatusCode::OK).json["items"].as_array().unwrap().len(), 1);
            app.token(username).await;
            let account = app.accounts.account(&username.to_owned().try_into().unwrap()).await.unwrap();
            assert_eq!(account.unwrap().factor, None, "the secret is gone");
            let answer = app.post_as(&member.token, "/totp/disable", &body).await;
            let answer = answer.expect(StatusCode::CONFLICT);
            assert_eq!(answer.json["type"], "urn:problem-type:factor-not-enabled");
        }
        let told = app.database.items::<Value>("AuthOutboxTable").await;
        assert_eq!(told.iter().filter(|item| item["event"]["change"] == "disabled").count(), 2);
    }

    #[tokio::test]
    async fn without_both_factors_it_stays() {
        let app = App::new().await;
        let member = app.register_with_factor("alice").await;
        let wrong_recovery_code = "AAAA-AAAA-AAAA-AAAA-AAAA-AAAA";
        for body in [
            json!({"password": "wrong password", "code": member.app.code_at(1)}),
            json!({"password": "wrong password", "recovery_code": member.recovery_codes[0]}),
            json!({"password": PASSWORD, "code": member.app.wrong_code()}),
            json!({"password": PASSWORD, "code": member.app.code()}),
            json!({"password": PASSWORD, "recovery_code": wrong_recovery_code}),
        ] {
            let answer = app.post_as(&member.token, "/totp/disable", &body).await;
            let answer = answer.expect(StatusCode::FORBIDDEN);
            assert_eq!(answer.json["type"], "urn:problem-type:reauthentication-failed", "{body}");
        }
        let login = json!({"username": "alice", "password": PASSWORD});
        let _still = app.post("/login", &login).await.expect(StatusCode::UNAUTHORIZED);
    }
}
