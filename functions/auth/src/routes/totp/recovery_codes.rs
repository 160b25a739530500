//! `POST /totp/recovery-codes`.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use shared::http::{ClientAddress, Json};
use shared::problem::Problem;
use shared::token::Caller;

use crate::State as App;
use crate::factors::{self, Owner, recovery_codes};
use crate::model::factor::Proof;
use crate::model::recovery_code::RecoveryCode;
use crate::model::totp::Code;
use crate::model::{Factor, Password};
use crate::outbox::FactorChange;
use crate::security::Event;

/// Who wants new ones.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub(crate) struct Body {
    password: Password,
    code: Code,
}

/// The caller's recovery codes, to be kept where the app is not. Not `Debug`: they must not be printed.
#[derive(Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub(crate) struct RecoveryCodes {
    recovery_codes: Vec<RecoveryCode>,
}

impl RecoveryCodes {
    pub(super) fn new(recovery_codes: Vec<RecoveryCode>) -> Self {
        Self { recovery_codes }
    }
}

/// Replaces the caller's recovery codes, used ones and unused ones.
pub(crate) async fn post(
    State(app): State<App>,
    caller: Caller,
    address: ClientAddress,
    Json(body): Json<Body>,
) -> Result<Json<RecoveryCodes>, Problem> {
    let owner = Owner::new(&app, caller, address).await?;
    let verified = owner.verify(&app, body.password).await?;
    let (codes, proof) = (recovery_codes(&app), Proof::Code(body.code));
    factors::change(&app, &owner.username, |account| {
        let mut factor = owner.use_up(&app, account, &verified, &proof)?;
        factor.recovery_codes = codes.iter().map(RecoveryCode::hash).collect();
        account.factor = Some(Factor::Enabled(factor));
        Ok(vec![owner.notice(&app, FactorChange::RecoveryCodesReplaced)?])
    })
    .await?;
    owner.done(Event::RecoveryCodesReplaced).await;
    Ok(Json(RecoveryCodes::new(codes)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use http::StatusCode;
    use serde_json::{Value, json};

    use crate::testing::authenticator::recovery_codes;
    use crate::testing::{App, PASSWORD};

    async fn login(app: &App, recovery_code: &str) -> StatusCode {
        let body = json!({"username": "alice", "password": PASSWORD, "recovery_code": recovery_code});
        app.post("/login", &body).await.status
    }

    #[tokio::test]
    async fn new_codes_replace_the_old_ones() {
        let app = App::new().await;
        let member = app.register_with_factor("alice").await;
        let body = json!({"password": PASSWORD, "code": member.app.next_code()});
        let answer = app.post_as(&member.token, "/totp/recovery-codes", &body).await.expect(StatusCode::OK);
        let new = recovery_codes(&answer);
        assert_eq!(new.iter().chain(&member.recovery_codes).collect::<BTreeSet<_>>().len(), 20);
        assert_eq!(login(&app, &member.recovery_codes[0]).await, StatusCode::UNAUTHORIZED);
        assert_eq!(login(&app, &new[0]).await, StatusCode::OK);
        let told = app.database.items::<Value>("AuthOutboxTable").await;
        assert!(told.iter().any(|item| item["event"]["change"] == "recovery_codes_replaced"), "{told:?}");
    }

    #[tokio::test]
    async fn it_takes_the_password_and_a_code_that_was_not_used() {
        let app = App::new().await;
        let member = app.register_with_factor("alice").await;
        let code = member.app.next_code();
        let body = json!({"username": "alice", "password": PASSWORD, "otp": code});
        let _used = app.post("/login", &body).await.expect(StatusCode::OK);
        for (password, code) in [
            (PASSWORD, code),
            (PASSWORD, member.app.wrong_code()),
            ("wrong password", member.app.next_code()),
        ] {
            let body = json!({"password": password, "code": code});
            let answer = app.post_as(&member.token, "/totp/recovery-codes", &body).await;
            let _refused = answer.expect(StatusCode::FORBIDDEN);
        }
        assert_eq!(login(&app, &member.recovery_codes[0]).await, StatusCode::OK, "they are what they were");
    }

    #[tokio::test]
    async fn one_code_replaces_them_once() {
        let app = App::new().await;
        let member = app.register_with_factor("alice").await;
        let body = json!({"password": PASSWORD, "code": member.app.next_code()});
        let replace = || app.post_as(&member.token, "/totp/recovery-codes", &body);
        let answers: [_; 3] = tokio::join!(replace(), replace(), replace()).into();
        let (won, lost): (Vec<_>, Vec<_>) =
            answers.into_iter().partition(|answer| answer.status == StatusCode::OK);
        assert_eq!((won.len(), lost.len()), (1, 2));
        assert!(lost.iter().all(|answer| answer.status == StatusCode::FORBIDDEN));
        assert_eq!(login(&app, &recovery_codes(&won[0])[0]).await, StatusCode::OK);
    }

    #[tokio::test]
    async fn without_a_factor_there_are_none() {
        let app = App::new().await;
        app.register("alice").await;
        let token = app.token("alice").await;
        app.enrol(&token).await;
        let body = json!({"password": PASSWORD, "code": "123456"});
        let answer = app.post_as(&token, "/totp/recovery-codes", &body).await.expect(StatusCode::CONFLICT);
        assert_eq!(answer.json["type"], "urn:problem-type:factor-not-enabled");
    }
}
