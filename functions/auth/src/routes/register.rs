//! `POST /register`.

use axum::extract::State;
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shared::db::TransactionError;
use shared::http::{ClientAddress, Json};
use shared::problem::Problem;
use user::model::{Email, Phone, Profile, Username};
use uuid::Uuid;

use crate::State as App;
use crate::model::{Account, CUSTOMER, NewPassword};
use crate::outbox;
use crate::security::Event;
use crate::throttle::{Kind, Subject};

/// Who wants an account.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub(crate) struct Registration {
    username: Username,
    password: NewPassword,
    email: Email,
    #[serde(default)]
    phone: Option<Phone>,
}

/// Who has one now. Not the e-mail address: nothing here tells an old one from a new one.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub(crate) struct Registered {
    user_id: Uuid,
    username: Username,
    created_at: Timestamp,
}

fn taken() -> Problem {
    Problem::conflict("username-taken", "The user name is taken", "Choose another user name")
}

/// Makes the account, the profile, and the events of the registration and of the mail that verifies the address, all or
/// nothing. User names are unique, e-mail addresses are not: whether one is known here is nobody's business.
pub(crate) async fn post(
    State(app): State<App>,
    address: ClientAddress,
    Json(registration): Json<Registration>,
) -> Result<(StatusCode, Json<Registered>), Problem> {
    app.throttle.take(Kind::Registration, Subject::Address(address)).await?;
    let Registration { username, password, email, phone } = registration;
    let about = vec![username.as_str().to_owned(), email.as_str().to_owned()];
    let password_hash = app.passwords.choose("password", password, about, app.ids.bytes()).await?;
    let now = app.clock.now();
    let user_id = app.ids.uuid(now);
    let account = Account {
        user_id,
        username: username.clone(),
        password_hash: Some(password_hash),
        roles: vec![CUSTOMER.to_owned()],
        demo: false,
        activated: false,
        session_changes: 0,
        factor: None,
        devices: Vec::new(),
        created_at: now,
    };
    let profile = Profile {
        user_id,
        username: username.clone(),
        email,
        email_verified: false,
        former_email: None,
        phone,
        name: None,
        locale: None,
        created_at: now,
        updated_at: now,
    };
    let mut transaction = app.accounts.transaction();
    let account = transaction.add(app.accounts.create_write(&account)?);
    transaction.add(app.users.create_write(&profile)?);
    let registered = outbox::Event::UserRegistered { user_id };
    let verification = outbox::Event::EmailVerificationRequested { user_id };
    for event in [registered, verification] {
        transaction.add(app.accounts.event_write(&event, app.ids.uuid(now), now)?);
    }
    match transaction.run().await {
        Ok(()) => {
            Event::Registered.of(user_id).log();
            Ok((StatusCode::CREATED, Json(Registered { user_id, username, created_at: now })))
        }
        Err(TransactionError::Cancelled(cancelled)) if cancelled.failed(account) => Err(taken()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use http::{Method, StatusCode};
    use jiff::SignedDuration;
    use serde_json::{Value, json};
    use shared::testing::call;

    use super::*;
    use crate::testing::{App, PASSWORD};

    fn body() -> Value {
        json!({"username": "Mahindra", "password": PASSWORD, "email": "m@example.com", "phone": "+4930123456"})
    }

    #[tokio::test]
    async fn account_and_profile_are_written_and_no_secret_comes_back() {
        let app = App::new().await;
        let answer = app.post("/register", &body()).await.expect(StatusCode::CREATED);
        assert_eq!(answer.json["username"], "Mahindra");
        assert_eq!(answer.json["created_at"], "2026-01-01T00:00:00Z");
        let text = answer.json.to_string();
        assert!(
            !text.contains("example.com") && !text.contains(PASSWORD) && !text.contains("argon2"),
            "{text}"
        );

        let user_id: Uuid = answer.json["user_id"].as_str().unwrap().parse().unwrap();
        let profile = app.users.profile(user_id).await.unwrap().unwrap();
        assert_eq!((profile.username.as_str(), profile.email.as_str()), ("Mahindra", "m@example.com"));
        assert_eq!(profile.phone.as_ref().map(Phone::as_str), Some("+4930123456"));
        let account = app.accounts.account(&profile.username).await.unwrap().unwrap();
        assert_eq!((account.user_id, account.demo, account.activated), (user_id, false, false));
        assert_eq!(account.roles, [CUSTOMER]);
        assert!(!format!("{:?}", app.database.items::<Value>("AuthTable").await).contains(PASSWORD));
    }

    #[tokio::test]
    async fn a_name_is_taken_in_any_case_and_an_email_never() {
        let app = App::new().await;
        let _first = app.post("/register", &body()).await.expect(StatusCode::CREATED);
        let mut second = body();
        second["username"] = "mAHINDRA".into();
        let answer = app.post("/register", &second).await.expect(StatusCode::CONFLICT);
        assert_eq!(answer.json["type"], "urn:problem-type:username-taken");
        assert_eq!(app.database.items::<Value>("UserTable").await.len(), 1, "no profile without an account");

        second["username"] = "somebody-else".into();
        let _same_email = app.post("/register", &second).await.expect(StatusCode::CREATED);
    }

    #[tokio::test]
    async fn of_simultaneous_registrations_of_a_name_one_wins_and_the_others_leave_nothing() {
        let app = App::new().await;
        let body = body();
        let register = || app.post("/register", &body);
        let answers = tokio::join!(register(), register(), register(), register(), register(), register());
        let answers: [_; 6] = answers.into();
        let count = |status| answers.iter().filter(|answer| answer.status == status).count();
        assert_eq!((count(StatusCode::CREATED), count(StatusCode::CONFLICT)), (1, 5));
        let ids = |items: Vec<Value>| -> HashSet<String> {
            items.iter().filter_map(|item| item["user_id"].as_str()).map(ToOwned::to_owned).collect()
        };
        let accounts = ids(app.database.items("AuthTable").await);
        assert_eq!(accounts, ids(app.database.items("UserTable").await));
        assert_eq!(accounts.len(), 1);
    }

    #[tokio::test]
    async fn a_registration_whose_profile_cannot_be_written_makes_no_account() {
        let app = App::new().await;
        // The counting generator's next id, found by asking for it, and taken by somebody else's profile.
        let _first = app.post("/register", &body()).await.expect(StatusCode::CREATED);
        let ids = shared::id::Generator::counting();
        let _used: [[u8; 16]; 5] = [ids.bytes(), ids.bytes(), ids.bytes(), ids.bytes(), ids.bytes()];
        let next = ids.uuid(app.clock.now());
        let mut profile = app.users.profile(first_user(&app).await).await.unwrap().unwrap();
        profile.user_id = next;
        app.users.put_profile(&profile).await.unwrap();

        let mut second = body();
        second["username"] = "unlucky".into();
        let _failed = app.post("/register", &second).await.expect(StatusCode::INTERNAL_SERVER_ERROR);
        let unlucky = "unlucky".to_owned().try_into().unwrap();
        assert_eq!(app.accounts.account(&unlucky).await.unwrap(), None);
    }

    async fn first_user(app: &App) -> Uuid {
        let items: Vec<Value> = app.database.items("AuthTable").await;
        items.iter().find_map(|item| item["user_id"].as_str()).unwrap().parse().unwrap()
    }

    #[tokio::test]
    async fn bad_registrations_name_the_field_cost_no_hash_and_write_nothing() {
        let app = App::new().await;
        for (field, value) in [
            ("username", json!("ab")),
            ("username", json!("a b c")),
            ("username", json!(7)),
            ("password", json!("seven77")),
            ("password", json!("a".repeat(129))),
            ("password", json!(12_345_678)),
            ("password", Value::Null),
            ("email", json!("nobody")),
            ("email", Value::Null),
            ("phone", json!("030 123")),
            ("roles", json!(["admin"])),
        ] {
            let mut body = body();
            body[field] = value.clone();
            let answer = app.post("/register", &body).await.expect(StatusCode::BAD_REQUEST);
            assert_eq!(answer.json["field"], field, "{value}");
        }
        for field in ["username", "password", "email"] {
            let mut body = body();
            body.as_object_mut().unwrap().remove(field);
            let answer = app.post("/register", &body).await.expect(StatusCode::BAD_REQUEST);
            assert!(answer.json["detail"].as_str().unwrap().contains(field), "{field}: {}", answer.json);
        }
        assert!(app.passwords.computed.lock().unwrap().is_empty());
        for table in ["AuthTable", "UserTable"] {
            assert!(app.database.items::<Value>(table).await.is_empty());
        }
    }

    #[tokio::test]
    async fn a_password_that_is_easy_to_guess_is_refused_with_advice_and_is_not_repeated() {
        let app = App::new().await;
        for password in
            ["trustno1", "mAHINDRA", "m@example.com", "ｔｒｕｓｔｎｏ１", "trustno1trustno1trustno1"]
        {
            let mut body = body();
            body["password"] = password.into();
            let answer = app.post("/register", &body).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
            assert_eq!(answer.json["type"], "urn:problem-type:weak-password");
            assert_eq!(answer.json["field"], "password");
            assert!(answer.json["detail"].as_str().unwrap().contains("15 characters"), "{}", answer.json);
            assert!(!answer.json["suggestions"].as_array().unwrap().is_empty(), "{}", answer.json);
            assert!(!answer.json.to_string().to_lowercase().contains(&password.to_lowercase()));
        }
        assert!(app.passwords.computed.lock().unwrap().is_empty());
        assert!(app.database.items::<Value>("UserTable").await.is_empty());
    }

    #[tokio::test]
    async fn an_address_registers_many_users_and_then_some_more_each_minute() {
        let app = App::new().await;
        let register = async |address: &str| {
            // Whatever becomes of it, it counts; this one costs no hash.
            let mut body = body();
            body["password"] = "trustno1".into();
            call(Method::POST, "/register").from(address).json(&body).send(&app.router).await
        };
        for _ in 0..200 {
            let _counted = register("192.0.2.1").await.expect(StatusCode::UNPROCESSABLE_ENTITY);
        }
        let answer = register("192.0.2.1").await.expect(StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(answer.json["type"], "urn:problem-type:too-many-attempts");
        assert_eq!(answer.headers["retry-after"], "15");
        let _another_address = register("192.0.2.2").await.expect(StatusCode::UNPROCESSABLE_ENTITY);
        app.clock.advance(SignedDuration::from_secs(15));
        let _counted = register("192.0.2.1").await.expect(StatusCode::UNPROCESSABLE_ENTITY);
        let _again = register("192.0.2.1").await.expect(StatusCode::TOO_MANY_REQUESTS);
    }

    #[tokio::test]
    async fn bodies_that_are_no_registration_at_all_are_refused() {
        let app = App::new().await;
        let huge = json!({"username": "a".repeat(70_000)}).to_string();
        let json = "application/json";
        for (content_type, bytes, status) in [
            (json, "".as_bytes(), StatusCode::BAD_REQUEST),
            (json, b"{", StatusCode::BAD_REQUEST),
            (json, b"[]", StatusCode::BAD_REQUEST),
            (json, b"null", StatusCode::BAD_REQUEST),
            (json, b"{\"username\": \"\xff\xfe\"}", StatusCode::BAD_REQUEST),
            (json, huge.as_bytes(), StatusCode::PAYLOAD_TOO_LARGE),
            ("text/plain", b"{}", StatusCode::UNSUPPORTED_MEDIA_TYPE),
            ("application/x-www-form-urlencoded", b"username=a", StatusCode::UNSUPPORTED_MEDIA_TYPE),
        ] {
            for path in ["/register", "/login"] {
                let call = call(Method::POST, path).header("content-type", content_type).body(bytes.to_vec());
                let answer = call.send(&app.router).await;
                assert_eq!(
                    answer.status,
                    status,
                    "{path} {:?}",
                    String::from_utf8_lossy(&bytes[..bytes.len().min(30)])
                );
            }
        }
    }
}
