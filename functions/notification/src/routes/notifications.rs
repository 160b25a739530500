//! `GET /notifications`.

use axum::extract::State;
use serde::Serialize;
use shared::http::{Json, Query};
use shared::page::{Page, PageQuery};
use shared::problem::Problem;
use shared::token::Caller;

use crate::State as App;
use crate::model::{Channel, Notification, Status};
use crate::store::Stored;

/// A page of what the caller was told.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "Notifications"))]
pub(crate) struct List {
    #[serde(flatten)]
    page: Page<Told>,
    /// How many of all are unread, not only of this page.
    unread: u64,
}

#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
struct Told {
    #[serde(flatten)]
    notification: Notification,
    channels: Channels,
}

/// What became of the messages; a channel by which none was wanted is left out.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "NotificationChannels"))]
struct Channels {
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<Status>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sms: Option<Status>,
}

impl From<Stored> for Told {
    fn from(stored: Stored) -> Self {
        let status = |channel| stored.delivery(channel).map(|delivery| delivery.status);
        let channels = Channels { email: status(Channel::Email), sms: status(Channel::Sms) };
        Self { channels, notification: stored.notification }
    }
}

/// What the caller was told, of the newest event first.
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(page): Query<PageQuery>,
) -> Result<Json<List>, Problem> {
    let listed = app.notifications.list(caller.user_id, &page).await?;
    Ok(Json(List { page: listed.page.map(Told::from), unread: listed.unread }))
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
        assert_eq!(events(&answer), ["order_shipped", "order_paid", "order_placed"]);
        assert_eq!(answer.json["unread"], 3);
        let mut shown = answer.json["items"][0].clone();
        let subject = shown["subject"].take();
        assert!(subject.as_str().unwrap().contains(&ORDER_ID[28..]), "{subject}");
        assert_eq!(
            shown,
            json!({
                "id": shown["id"],
                "event": "order_shipped",
                "order_id": ORDER_ID,
                "subject": null,
                "at": "2026-01-01T03:00:00Z",
                "channels": { "email": "SENT", "sms": "SENT" },
            })
        );
        let stored = Value::from(app.items().await).to_string();
        assert!(!stored.contains("example.com") && !stored.contains("5551234567"), "{stored}");
    }

    #[tokio::test]
    async fn pages_follow_each_other_and_show_nobody_elses() {
        let app = App::new().await;
        app.deliver(life(&[Status::Paid, Status::Packed, Status::Shipped])).await;
        let first = list(&app, &app.token, "?limit=2").await.expect(StatusCode::OK);
        let cursor = first.json["next_cursor"].as_str().unwrap();
        let query = format!("?limit=2&cursor={cursor}");
        let second = list(&app, &app.token, &query).await.expect(StatusCode::OK);
        assert_eq!(events(&second), ["order_placed"]);
        assert_eq!(second.json["unread"], 3, "of all pages");
        assert_eq!(second.json.get("next_cursor"), None);
        let strangers = list(&app, &app.stranger(), "").await;
        assert_eq!((events(&strangers).len(), &strangers.json["unread"]), (0, &json!(0)));
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
