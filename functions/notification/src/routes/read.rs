//! `POST /notifications/{id}/read` and `POST /notifications/read`.

use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use shared::http::{Json, OptionalJson, Path};
use shared::problem::Problem;
use shared::token::Caller;
use uuid::Uuid;

use crate::State as App;

/// Which notifications.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub(crate) struct Which {
    /// The newest that the caller has seen; what came after stays unread. All, where it is left out.
    until: Option<Uuid>,
}

/// What is left.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub(crate) struct Left {
    unread: u64,
}

/// Marks one of the caller's notifications as read.
pub(crate) async fn post(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<StatusCode, Problem> {
    if app.notifications.mark_read(caller.user_id, id, app.clock.now()).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found("The caller has no such notification"))
    }
}

/// Marks all of the caller's notifications as read, or all up to one.
pub(crate) async fn post_all(
    State(app): State<App>,
    caller: Caller,
    OptionalJson(which): OptionalJson<Which>,
) -> Result<Json<Left>, Problem> {
    let until = which.and_then(|which| which.until);
    app.notifications.mark_all_read(caller.user_id, until, app.clock.now()).await?;
    Ok(Json(Left { unread: app.notifications.unread(caller.user_id).await? }))
}

#[cfg(test)]
mod tests {
    use http::{Method, StatusCode};
    use order::model::Status;
    use serde_json::{Value, json};
    use shared::testing::{Answer, call};
    use uuid::Uuid;

    use crate::testing::{App, life};

    async fn list(app: &App) -> Value {
        call(Method::GET, "/notifications")
            .token(&app.token)
            .send(&app.router)
            .await
            .expect(StatusCode::OK)
            .json
    }

    async fn post(app: &App, token: &str, path: &str) -> Answer {
        call(Method::POST, &format!("/notifications/{path}")).token(token).send(&app.router).await
    }

    fn read(list: &Value) -> Vec<bool> {
        list["items"].as_array().unwrap().iter().map(|item| item.get("read_at").is_some()).collect()
    }

    #[tokio::test]
    async fn one_is_marked_once_however_often_it_is_asked_for() {
        let app = App::new().await;
        app.deliver(life(&[Status::Paid])).await;
        let before = list(&app).await;
        let path = format!("{}/read", before["items"][1]["id"].as_str().unwrap());
        let (one, two) = tokio::join!(post(&app, &app.token, &path), post(&app, &app.token, &path));
        for answer in [one, two, post(&app, &app.token, &path).await] {
            assert_eq!(answer.status, StatusCode::NO_CONTENT);
        }
        let after = list(&app).await;
        assert_eq!((read(&after), &after["unread"]), (vec![false, true], &json!(1)));
        app.deliver(life(&[Status::Paid])).await;
        assert_eq!(list(&app).await, after, "the events come again");
    }

    #[tokio::test]
    async fn all_are_marked_or_all_up_to_one() {
        let app = App::new().await;
        app.deliver(life(&[Status::Paid, Status::Packed, Status::Shipped, Status::Delivered])).await;
        let before = list(&app).await;
        let until = json!({ "until": before["items"][2]["id"] });
        let call = call(Method::POST, "/notifications/read").token(&app.token).json(&until);
        assert_eq!(call.send(&app.router).await.expect(StatusCode::OK).json, json!({ "unread": 2 }));
        assert_eq!(read(&list(&app).await), [false, false, true, true]);
        let (one, two) = tokio::join!(post(&app, &app.token, "read"), post(&app, &app.token, "read"));
        for answer in [one, two] {
            let _both = answer.expect(StatusCode::OK);
        }
        let after = list(&app).await;
        assert_eq!((read(&after), &after["unread"]), (vec![true; 4], &json!(0)));
    }

    #[tokio::test]
    async fn nobody_elses_can_be_marked() {
        let app = App::new().await;
        app.deliver(life(&[])).await;
        let before = list(&app).await;
        let id = before["items"][0]["id"].as_str().unwrap();
        assert_eq!(post(&app, &app.stranger(), &format!("{id}/read")).await.status, StatusCode::NOT_FOUND);
        let absent = format!("{}/read", Uuid::from_u128(5));
        assert_eq!(post(&app, &app.token, &absent).await.status, StatusCode::NOT_FOUND);
        let _none = post(&app, &app.stranger(), "read").await.expect(StatusCode::OK);
        assert_eq!(list(&app).await, before);
        assert_eq!(post(&app, &app.token, "x/read").await.status, StatusCode::BAD_REQUEST);
    }
}
