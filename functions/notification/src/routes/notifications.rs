//! `GET /notifications`.

use axum::extract::State;
use shared::http::{Json, Query};
use shared::page::{Page, PageQuery};
use shared::problem::Problem;
use shared::token::Caller;

use crate::State as App;
use crate::model::Notification;

/// What the caller was told, of the newest event first.
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Notification>>, Problem> {
    Ok(Json(app.notifications.notifications(caller.user_id, &page).await?))
}

#[cfg(test)]
mod tests {
    use http::{Method, StatusCode};
    use order::model::Status;
    use serde_json::{Value, json};
    use shared::testing::{Answer, call};

    use crate::testing::{App, ORDER_ID, life};

    async fn list(app: &App, token: &str, query: &str) -> Answer {
        call(Method::GET, &format!("/notifications{query}")).token(token).send(&app.router).await
    }

    fn events(answer: &Answer) -> Vec<&str> {
        let items = answer.json["items"].as_array().unwrap();
        items.iter().map(|item| item["event"].as_str().unwrap()).collect()
    }

    #[tokio::test]
    async fn what_was_sent_is_listed_newest_first_without_addresses() {
        let app = App::new().await;
        app.deliver(life(&[Status::Paid, Status::Packed, Status::Shipped])).await;
        let answer = list(&app, &app.token, "").await.expect(StatusCode::OK);
        // By SMS and by e-mail: the same event.
        assert_eq!(events(&answer), ["order_shipped", "order_shipped", "order_paid", "order_placed"]);
        assert_eq!(
            answer.json["items"][2],
            json!({
                "event": "order_paid",
                "channel": "email",
                "order_id": ORDER_ID,
                "subject": "Your order 00000007 is paid",
                "status": "SENT",
                "at": "2026-01-01T01:00:00Z",
            })
        );
        let stored = Value::from(app.items().await).to_string();
        assert!(!stored.contains("example.com") && !stored.contains("5551234567"), "{stored}");
    }

    #[tokio::test]
    async fn pages_follow_each_other_and_show_nobody_elses() {
        let app = App::new().await;
        app.deliver(life(&[Status::Paid, Status::Packed, Status::Shipped])).await;
        let first = list(&app, &app.token, "?limit=3").await.expect(StatusCode::OK);
        let cursor = first.json["next_cursor"].as_str().unwrap();
        let query = format!("?limit=3&cursor={cursor}");
        let second = list(&app, &app.token, &query).await.expect(StatusCode::OK);
        assert_eq!(events(&second), ["order_placed"]);
        assert_eq!(second.json.get("next_cursor"), None);
        assert_eq!(events(&list(&app, &app.stranger(), "").await), [""; 0]);
        assert_eq!(events(&list(&app, &app.stranger(), &query).await), [""; 0], "another user's cursor");
    }

    #[tokio::test]
    async fn bad_pages_are_refused() {
        let app = App::new().await;
        // `UFJFRkVSRU5DRVM` is base64url for PREFERENCES.
        for query in ["?cursor=!", "?cursor=UFJFRkVSRU5DRVM", "?cursor=", "?limit=0", "?limit=101", "?page=1"]
        {
            assert_eq!(list(&app, &app.token, query).await.status, StatusCode::BAD_REQUEST, "{query}");
        }
    }
}
