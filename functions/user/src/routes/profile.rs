//! `GET` and `PATCH /profile`.

use axum::extract::State;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Deserializer};
use shared::http::Json;
use shared::problem::Problem;
use shared::text::Text;
use shared::token::Caller;

use crate::State as App;
use crate::model::{Email, Locale, Phone, Profile};
use crate::store::ProfileChange;

/// How long ago the login may be that another address for mail needs.
const RECENTLY: SignedDuration = SignedDuration::from_mins(10);
/// How often a change is tried whose profile changed under it.
const ATTEMPTS: u32 = 5;

/// A JSON Merge Patch (RFC 7396): a member that is absent stays as it is, `null` removes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::option_option, reason = "absent, null and a value are three things in a merge patch")]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub(crate) struct Patch {
    #[serde(default, deserialize_with = "present")]
    #[cfg_attr(feature = "openapi", schemars(with = "Email"))]
    email: Option<Email>,
    #[serde(default, deserialize_with = "present")]
    phone: Option<Option<Phone>>,
    #[serde(default, deserialize_with = "present")]
    name: Option<Option<Text<100>>>,
    #[serde(default, deserialize_with = "present")]
    locale: Option<Option<Locale>>,
}

/// Tells `null` from absent: a member that is there is `Some`, whatever its value.
fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

fn no_profile() -> Problem {
    Problem::not_found("The caller has no profile")
}

/// The caller's profile.
pub(crate) async fn get(State(app): State<App>, caller: Caller) -> Result<Json<Profile>, Problem> {
    app.users.profile(caller.user_id).await?.map(Json).ok_or_else(no_profile)
}

/// Changes the caller's profile. Another address for mail needs a recent login (RFC 9470), because whoever reads the
/// mail there can reset the password, and a stolen access token must not be enough for that.
pub(crate) async fn patch(
    State(app): State<App>,
    caller: Caller,
    Json(patch): Json<Patch>,
) -> Result<Json<Profile>, Problem> {
    let now = app.clock.now();
    let change = ProfileChange { phone: patch.phone, name: patch.name, locale: patch.locale };
    if let Some(email) = patch.email
        && change_email(&app, &caller, &email, &change, now).await?
    {
        return get(State(app), caller).await;
    }
    let changed = app.users.change_profile(caller.user_id, &change, now).await?;
    changed.map(Json).ok_or_else(no_profile)
}

/// Changes the address and all the rest; false, and nothing is done, where it is the caller's address already.
async fn change_email(
    app: &App,
    caller: &Caller,
    email: &Email,
    change: &ProfileChange,
    now: Timestamp,
) -> Result<bool, Problem> {
    for _ in 0..ATTEMPTS {
        let before = app.users.profile(caller.user_id).await?.ok_or_else(no_profile)?;
        if before.email == *email {
            return Ok(false);
        }
        caller.authenticated_within(RECENTLY, now)?;
        if app.users.change_email(&before, email, change, now).await? {
            return Ok(true);
        }
    }
    Err(Problem::unavailable(1))
}

#[cfg(test)]
mod tests {
    use http::{Method, StatusCode};
    use jiff::SignedDuration;
    use serde_json::{Value, json};
    use shared::testing::{Answer, call, issuer};
    use uuid::Uuid;

    use crate::model::{Email, Profile};
    use crate::routes::testing::App;
    use crate::store::ProfileChange;

    const MAHINDRA: Uuid = Uuid::from_u128(1);
    const ADDRESS: &str = "mahindra@example.com";

    async fn patch(app: &App, body: Value) -> Answer {
        call(Method::PATCH, "/profile").token(&app.token).json(&body).send(&app.router).await
    }

    async fn profile(app: &App) -> Profile {
        app.users.profile(MAHINDRA).await.unwrap().unwrap()
    }

    #[tokio::test]
    async fn a_user_sees_the_own_profile_and_no_other() {
        let app = App::new().await;
        let answer = call(Method::GET, "/profile").token(&app.token).send(&app.router).await;
        let answer = answer.expect(StatusCode::OK);
        assert_eq!(answer.json["username"], "mahindra");
        assert_eq!(answer.json["created_at"], "2026-01-01T00:00:00Z");

        let stranger = app.stranger();
        let answer = call(Method::GET, "/profile").token(&stranger).send(&app.router).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn a_merge_patch_changes_what_it_names_and_removes_what_is_null() {
        let app = App::new().await;
        let patch = |body: Value| {
            let call = call(Method::PATCH, "/profile").token(&app.token);
            call.header("content-type", "application/merge-patch+json")
                .body(body.to_string())
                .send(&app.router)
        };
        let changed = patch(json!({"name": "Mahindra", "phone": null})).await.expect(StatusCode::OK).json;
        assert_eq!(changed["name"], "Mahindra");
        assert_eq!(changed.get("phone"), None);
        assert_eq!(changed["email"], "mahindra@example.com");

        let read = call(Method::GET, "/profile").token(&app.token).send(&app.router).await;
        assert_eq!(read.json, changed);
    }

    #[tokio::test]
    async fn a_locale_is_kept_in_its_recommended_form_until_it_is_removed() {
        let app = App::new().await;
        let changed = patch(&app, json!({"locale": "PT-br"})).await.expect(StatusCode::OK).json;
        assert_eq!(changed["locale"], "pt-BR");
        let read = call(Method::GET, "/profile").token(&app.token).send(&app.router).await.json;
        assert_eq!(read, changed);
        let named = patch(&app, json!({"name": "M"})).await.expect(StatusCode::OK).json;
        assert_eq!(named["locale"], "pt-BR");
        let removed = patch(&app, json!({"locale": null})).await.expect(StatusCode::OK).json;
        assert_eq!(removed.get("locale"), None);
    }

    #[tokio::test]
    async fn a_bad_patch_names_the_field_and_changes_nothing() {
        let app = App::new().await;
        let before = call(Method::GET, "/profile").token(&app.token).send(&app.router).await.json;
        for (body, field) in [
            (json!({"email": null}), "email"),
            (json!({"email": "nobody"}), "email"),
            (json!({"phone": "123"}), "phone"),
            (json!({"name": ""}), "name"),
            (json!({"name": 5}), "name"),
            (json!({"locale": "english"}), "locale"),
            (json!({"locale": 5}), "locale"),
        ] {
            let call = call(Method::PATCH, "/profile").token(&app.token).json(&body);
            let answer = call.send(&app.router).await.expect(StatusCode::BAD_REQUEST);
            assert_eq!(answer.json["field"], field, "{body}");
        }
        for body in [json!({"username": "root"}), json!([]), json!("x")] {
            let call = call(Method::PATCH, "/profile").token(&app.token).json(&body);
            let _refused = call.send(&app.router).await.expect(StatusCode::BAD_REQUEST);
        }
        let after = call(Method::GET, "/profile").token(&app.token).send(&app.router).await.json;
        assert_eq!(before, after);
    }

    #[tokio::test]
    async fn two_patches_at_once_both_last() {
        let app = App::new().await;
        let patch =
            |body: Value| call(Method::PATCH, "/profile").token(&app.token).json(&body).send(&app.router);
        let (name, phone) = tokio::join!(patch(json!({"name": "M"})), patch(json!({"phone": "+4930123456"})));
        assert_eq!((name.status, phone.status), (StatusCode::OK, StatusCode::OK));
        let read = call(Method::GET, "/profile").token(&app.token).send(&app.router).await.json;
        assert_eq!((read["name"].as_str(), read["phone"].as_str()), (Some("M"), Some("+4930123456")));
    }

    #[tokio::test]
    async fn another_address_needs_a_recent_login_and_nothing_else_does() {
        let app = App::new().await;
        app.clock.advance(SignedDuration::from_mins(10));
        let _recent = patch(&app, json!({"email": "second@example.com"})).await.expect(StatusCode::OK);

        app.clock.advance(SignedDuration::from_secs(1));
        let before = profile(&app).await;
        let answer = patch(&app, json!({"email": "thief@example.com", "name": "Thief"})).await;
        let answer = answer.expect(StatusCode::UNAUTHORIZED);
        assert_eq!(answer.json["type"], "urn:problem-type:insufficient-user-authentication");
        assert_eq!(
            answer.headers["www-authenticate"],
            "Bearer error=\"insufficient_user_authentication\", max_age=\"600\""
        );
        assert_eq!(profile(&app).await, before);

        let same = json!({"email": "second@example.com", "name": "Mahindra"});
        let answer = patch(&app, same).await.expect(StatusCode::OK);
        assert_eq!(
            (&answer.json["name"], &answer.json["email"]),
            (&json!("Mahindra"), &json!("second@example.com"))
        );

        let mut claims = issuer().claims(MAHINDRA, "mahindra", app.clock.now());
        claims.auth_time = None;
        let token = issuer().sign(&issuer().header(), &claims);
        let call = call(Method::PATCH, "/profile").token(&token).json(&json!({"email": "thief@example.com"}));
        let _unknown = call.send(&app.router).await.expect(StatusCode::UNAUTHORIZED);
    }

    #[tokio::test]
    async fn a_user_sees_whether_the_address_is_verified() {
        let app = App::new().await;
        assert_eq!(patch(&app, json!({})).await.json["email_verified"], false);
        assert!(app.verify(MAHINDRA, ADDRESS).await);
        assert_eq!(patch(&app, json!({})).await.json["email_verified"], true);
        let _refused = patch(&app, json!({"email_verified": true})).await.expect(StatusCode::BAD_REQUEST);
    }

    #[tokio::test]
    async fn an_address_that_a_user_leaves_is_free_and_the_new_one_is_not_verified() {
        let app = App::new().await;
        assert!(app.verify(MAHINDRA, ADDRESS).await);
        let body = json!({"email": "new@example.com", "phone": null});
        let answer = patch(&app, body).await.expect(StatusCode::OK);
        assert_eq!(
            (&answer.json["email"], &answer.json["email_verified"]),
            (&json!("new@example.com"), &json!(false))
        );
        assert_eq!(answer.json.get("phone"), None);
        let left = ADDRESS.to_owned().try_into().unwrap();
        assert_eq!(app.users.verified_owner(&left).await.unwrap(), None);
        // Until the new one is verified, the user is told at the one of before, however often it changes meanwhile.
        let _again = patch(&app, json!({"email": "newer@example.com"})).await.expect(StatusCode::OK);
        assert_eq!(profile(&app).await.proven_email(), Some(&left));
        assert!(app.verify(MAHINDRA, "newer@example.com").await);
        let verified = profile(&app).await;
        assert_eq!(verified.proven_email().map(Email::as_str), Some("newer@example.com"));
        assert_eq!(verified.former_email, None);
    }

    #[tokio::test]
    async fn of_two_new_addresses_at_once_one_stays_and_no_claim_is_left() {
        let app = App::new().await;
        assert!(app.verify(MAHINDRA, ADDRESS).await);
        let (first, second) = tokio::join!(
            patch(&app, json!({"email": "first@example.com"})),
            patch(&app, json!({"email": "second@example.com"}))
        );
        assert_eq!((first.status, second.status), (StatusCode::OK, StatusCode::OK));
        let after = profile(&app).await;
        assert!(
            !after.email_verified
                && ["first@example.com", "second@example.com"].contains(&after.email.as_str())
        );
        assert_eq!(after.former_email.as_ref().map(Email::as_str), Some(ADDRESS));
        assert_eq!(app.database.items::<Value>("UserTable").await.len(), 1, "the profile, and no claim");
    }

    /// A claim without a verified profile would keep an address from everybody.
    #[tokio::test]
    async fn an_address_that_is_verified_while_it_changes_leaves_no_claim_behind() {
        let app = App::new().await;
        let read = profile(&app).await;
        assert!(app.verify(MAHINDRA, ADDRESS).await);
        let (email, now) = ("new@example.com".to_owned().try_into().unwrap(), app.clock.now());
        let change = ProfileChange::default();
        assert!(!app.users.change_email(&read, &email, &change, now).await.unwrap(), "it was read before");
        assert!(profile(&app).await.email_verified);

        let _changed = patch(&app, json!({"email": email.as_str()})).await.expect(StatusCode::OK);
        assert_eq!(app.database.items::<Value>("UserTable").await.len(), 1, "the profile, and no claim");
    }
}
