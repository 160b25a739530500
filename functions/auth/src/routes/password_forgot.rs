//! `POST /password/forgot`.

use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use shared::http::{ClientAddress, Json};
use shared::problem::Problem;
use user::model::{Email, Username};

use crate::State as App;
use crate::outbox::{self, Whose};
use crate::security::Event;
use crate::throttle::{Kind, Subject};

/// Who forgot a password: the user name or the e-mail address.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub(crate) struct Forgotten {
    #[serde(default)]
    username: Option<Username>,
    #[serde(default)]
    email: Option<Email>,
}

/// The same for everybody.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub(crate) struct Accepted {
    detail: &'static str,
}

/// Records that somebody wants a mail with a reset token, and looks nothing up: answer, time and writes are the same
/// whether there is such a user or not. `auth-mailer` does the rest.
pub(crate) async fn post(
    State(app): State<App>,
    address: ClientAddress,
    Json(forgotten): Json<Forgotten>,
) -> Result<(StatusCode, Json<Accepted>), Problem> {
    let whose = match (forgotten.username, forgotten.email) {
        (Some(username), None) => Whose::Username(username),
        (None, Some(email)) => Whose::Email(email),
        _ => return Err(Problem::bad_request("expected either `username` or `email`")),
    };
    let name = match &whose {
        Whose::Username(username) => username.as_str(),
        Whose::Email(email) => email.as_str(),
    };
    app.throttle.take(Kind::PasswordForgotFrom, Subject::Address(address)).await?;
    app.throttle.take(Kind::PasswordForgot, Subject::Name(name)).await?;
    let now = app.clock.now();
    app.accounts.put_event(&outbox::Event::PasswordForgotten { whose }, app.ids.uuid(now), now).await?;
    Event::PasswordResetRequested.entry().from(address.0).log();
    let detail = "If there is such a user with a verified e-mail address, a mail is on its way";
    Ok((StatusCode::ACCEPTED, Json(Accepted { detail })))
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::{Value, json};

    use crate::testing::App;
    use crate::testing::mailbox::Mailbox;

    /// All that somebody sees who wants to know who has an account here: answer, headers, and by the clock the work.
    #[tokio::test]
    async fn known_unverified_and_unknown_users_get_one_answer_after_the_same_work() {
        let app = App::new().await;
        app.register("alice").await;
        Mailbox::of(&app).verify(&app, "someone@example.com").await;
        app.register("bob").await;
        app.seed_demo("mahindra", &[]).await;
        // An address that asks for the first time has no bucket yet.
        let _first = app.post("/password/forgot", &json!({"username": "stranger"})).await;
        let mut seen = Vec::new();
        for body in [
            json!({"username": "alice"}),
            json!({"username": "bob"}),
            json!({"username": "mahindra"}),
            json!({"username": "nobody"}),
            json!({"email": "someone@example.com"}),
            json!({"email": "nobody@example.com"}),
        ] {
            app.database.take_calls();
            let answer = app.post("/password/forgot", &body).await.expect(StatusCode::ACCEPTED);
            let mut headers: Vec<_> =
                answer.headers.iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
            headers.sort();
            seen.push((headers, answer.json.to_string(), app.database.take_calls()));
        }
        assert!(seen.iter().all(|other| *other == seen[0]), "{seen:#?}");
    }

    #[tokio::test]
    async fn a_request_names_the_user_or_the_address_and_not_both() {
        let app = App::new().await;
        for body in [
            json!({}),
            json!({"username": "alice", "email": "someone@example.com"}),
            json!({"username": null}),
            json!({"username": "alice", "password": "secret"}),
        ] {
            let _refused = app.post("/password/forgot", &body).await.expect(StatusCode::BAD_REQUEST);
        }
        for (body, field) in [(json!({"username": "a b"}), "username"), (json!({"email": "nobody"}), "email")]
        {
            let answer = app.post("/password/forgot", &body).await.expect(StatusCode::BAD_REQUEST);
            assert_eq!(answer.json["field"], field);
        }
        assert!(app.database.items::<Value>("AuthOutboxTable").await.is_empty());
    }

    #[tokio::test]
    async fn nobody_is_flooded_with_mails_whether_there_is_such_a_user_or_not() {
        let app = App::new().await;
        app.register("alice").await;
        let ask = async |body: Value| app.post("/password/forgot", &body).await.status;
        for name in ["alice", "nobody"] {
            for _ in 0..3 {
                assert_eq!(ask(json!({"username": name})).await, StatusCode::ACCEPTED);
            }
            assert_eq!(ask(json!({"username": name.to_uppercase()})).await, StatusCode::TOO_MANY_REQUESTS);
        }
        assert_eq!(app.database.items::<Value>("AuthOutboxTable").await.len(), 2 + 6);
    }
}
