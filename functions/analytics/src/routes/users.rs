//! `DELETE /analytics/users/{id}`.

use axum::extract::State;
use serde::Serialize;
use shared::http::{Json, Path};
use shared::problem::Problem;
use uuid::Uuid;

use crate::State as App;

/// How many items one request removes at most: it must end before the gateway gives it up.
const AT_MOST: usize = 2_000;

/// How many items were removed, and whether that was all; where it was not, the request is to be sent again.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub(crate) struct Removed {
    removed: usize,
    complete: bool,
}

/// Removes what is known of a user. The figures stay: they are about nobody.
pub(crate) async fn delete(State(app): State<App>, Path(id): Path<Uuid>) -> Result<Json<Removed>, Problem> {
    let removal = app.analytics.remove_user(id, AT_MOST).await?;
    Ok(Json(Removed { removed: removal.removed, complete: removal.complete }))
}

#[cfg(test)]
mod tests {
    use http::{Method, StatusCode};
    use serde_json::{Value, json};
    use shared::testing::{Answer, call};
    use uuid::Uuid;

    use crate::testing::App;

    async fn remove(app: &App, user: u128, token: &str) -> Answer {
        let path = format!("/analytics/users/{}", Uuid::from_u128(user));
        call(Method::DELETE, &path).token(token).send(&app.router).await
    }

    async fn report(app: &App, token: Option<&str>, anonymous_id: &str) {
        let properties = json!({ "product_id": "mug", "who": anonymous_id });
        let event = json!({ "name": "product_view", "anonymous_id": anonymous_id, "properties": properties });
        let call = call(Method::POST, "/events").json(&event);
        let call = if let Some(token) = token { call.token(token) } else { call };
        let _accepted = call.send(&app.router).await.expect(StatusCode::ACCEPTED);
    }

    /// Whether anything in the table names one of these.
    async fn knows(app: &App, names: &[&str]) -> bool {
        let all = Value::from(app.items().await).to_string();
        names.iter().any(|name| all.contains(name))
    }

    /// The figures, without raw events and people.
    async fn figures(app: &App) -> Vec<Value> {
        let mut items = app.items().await;
        items.retain(|item| {
            ["TOTALS", "FUNNEL", "PRODUC"].contains(&item["sk"].as_str().unwrap().get(..6).unwrap_or(""))
        });
        items
    }

    #[tokio::test]
    async fn nothing_tells_of_a_removed_user_and_the_figures_stay() {
        let app = App::new().await;
        report(&app, None, "phone-of-1").await;
        report(&app, None, "phone-of-another").await;
        report(&app, Some(&app.token), "phone-of-1").await;
        report(&app, Some(&app.token), "laptop-of-1").await;
        let stream = app.stream().await;
        app.settle().await;
        let before = figures(&app).await;
        let user = Uuid::from_u128(1).to_string();
        let traces = [user.as_str(), "phone-of-1", "laptop-of-1"];
        assert!(knows(&app, &traces).await);

        // Three events, two aliases, one person.
        let answer = remove(&app, 1, &app.admin()).await.expect(StatusCode::OK);
        assert_eq!(answer.json, json!({ "removed": 6, "complete": true }));
        let answer = remove(&app, 1, &app.admin()).await.expect(StatusCode::OK);
        assert_eq!(answer.json, json!({ "removed": 0, "complete": true }));

        // Neither does the stream bring anything back, however late.
        app.aggregate(stream).await;
        assert!(!knows(&app, &traces).await);
        assert!(knows(&app, &["phone-of-another"]).await);
        assert_eq!(figures(&app).await, before);
    }

    #[tokio::test]
    async fn a_removal_before_events_are_counted_loses_no_figures_and_makes_nobody_known() {
        let app = App::new().await;
        report(&app, Some(&app.token), "phone-of-1").await;
        let stream = app.stream().await;
        let _removed = remove(&app, 1, &app.admin()).await.expect(StatusCode::OK);
        assert_eq!(app.aggregate(stream).await, json!({ "batchItemFailures": [] }));
        assert_eq!(figures(&app).await.len(), 6, "totals, funnel and product, of an hour and a day");
        let user = Uuid::from_u128(1).to_string();
        assert!(!knows(&app, &[user.as_str(), "phone-of-1"]).await);
    }

    #[tokio::test]
    async fn what_is_too_much_for_one_request_is_removed_by_the_next_ones() {
        let app = App::new().await;
        for _ in 0..3 {
            report(&app, None, "phone-of-1").await;
            report(&app, Some(&app.token), "phone-of-1").await;
        }
        app.settle().await;
        let user = Uuid::from_u128(1);
        let (mut removed, mut calls) = (0, 0);
        loop {
            calls += 1;
            let removal = app.analytics.remove_user(user, 2).await.unwrap();
            assert!(removal.removed <= 3);
            removed += removal.removed;
            if removal.complete {
                break;
            }
        }
        assert_eq!((removed, calls), (8, 4));
        assert!(!knows(&app, &[user.to_string().as_str(), "phone-of-1"]).await);
    }

    #[tokio::test]
    async fn only_an_admin_may() {
        let app = App::new().await;
        assert_eq!(remove(&app, 1, &app.token).await.status, StatusCode::FORBIDDEN);
        let answer = call(Method::DELETE, "/analytics/users/x").token(&app.admin()).send(&app.router).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    }
}
