//! `GET` and `PATCH /profile`.

use axum::extract::State;
use serde::{Deserialize, Deserializer};
use shared::http::Json;
use shared::problem::Problem;
use shared::text::Text;
use shared::token::Caller;

use crate::State as App;
use crate::model::{Email, Phone, Profile};
use crate::store::ProfileChange;

/// A JSON Merge Patch (RFC 7396): a member that is absent stays as it is, `null` removes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::option_option, reason = "absent, null and a value are three things in a merge patch")]
pub(crate) struct Patch {
    #[serde(default, deserialize_with = "present")]
    email: Option<Email>,
    #[serde(default, deserialize_with = "present")]
    phone: Option<Option<Phone>>,
    #[serde(default, deserialize_with = "present")]
    name: Option<Option<Text<100>>>,
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

/// Changes the caller's profile.
pub(crate) async fn patch(
    State(app): State<App>,
    caller: Caller,
    Json(patch): Json<Patch>,
) -> Result<Json<Profile>, Problem> {
    let change = ProfileChange { email: patch.email, phone: patch.phone, name: patch.name };
    let changed = app.users.change_profile(caller.user_id, &change, app.clock.now()).await?;
    changed.map(Json).ok_or_else(no_profile)
}

#[cfg(test)]
mod tests {
    use http::{Method, StatusCode};
    use serde_json::{Value, json};
    use shared::testing::call;

    use crate::routes::testing::App;

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
    async fn a_bad_patch_names_the_field_and_changes_nothing() {
        let app = App::new().await;
        let before = call(Method::GET, "/profile").token(&app.token).send(&app.router).await.json;
        for (body, field) in [
            (json!({"email": null}), "email"),
            (json!({"email": "nobody"}), "email"),
            (json!({"phone": "123"}), "phone"),
            (json!({"name": ""}), "name"),
            (json!({"name": 5}), "name"),
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
}
