//! `GET` and `POST /notifications/unsubscribe/{token}`, by the link in a mail and without logging in.
//!
//! A `GET` changes nothing, because mail scanners follow links: it shows a page with a button. The `POST` of that button, or of a
//! mail program whose user pressed "unsubscribe" (RFC 8058 §3.2), ends mails about the link's topic, or about everything.

use axum::body::Bytes;
use axum::extract::State;
use axum::response::{Html, IntoResponse, Response};
use http::header::CONTENT_SECURITY_POLICY;
use http::{HeaderName, HeaderValue, StatusCode};
use shared::http::Path;
use shared::problem::Problem;

use crate::State as App;
use crate::model::Topic;
use crate::unsubscribe::Unsubscribe;

/// What the button for everything adds to the form.
const EVERYTHING: (&str, &str) = ("scope", "everything");

const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The page that asks.
pub(crate) async fn get(State(app): State<App>, Path(token): Path<String>) -> Result<Response, Problem> {
    let Unsubscribe { topic, .. } = link(&app, &token).await?;
    let body = format!(
        "<h1>No more mail like this?</h1><p>You get an e-mail when {what}. You can have it stopped, for this or for everything \
         about your orders. Mail about the safety of your account always comes.</p>\
         <form method=\"post\"><button>Stop e-mail when {what}</button></form>\
         <form method=\"post\"><input type=\"hidden\" name=\"{name}\" value=\"{value}\"><button>Stop all e-mail about orders</button></form>",
        what = when(topic),
        name = EVERYTHING.0,
        value = EVERYTHING.1,
    );
    Ok(page("Unsubscribe", &body))
}

/// Ends the mails. The same answer however often it is asked for.
pub(crate) async fn post(
    State(app): State<App>,
    Path(token): Path<String>,
    body: Bytes,
) -> Result<Response, Problem> {
    let Unsubscribe { user_id, topic } = link(&app, &token).await?;
    let everything =
        form_urlencoded::parse(&body).any(|pair| pair == (EVERYTHING.0.into(), EVERYTHING.1.into()));
    let topics = if everything { &Topic::ALL[..] } else { &[topic] };
    app.notifications.unsubscribe(user_id, topics, app.clock.now()).await?;
    let what = if everything { "about your orders".to_owned() } else { format!("when {}", when(topic)) };
    let body = format!(
        "<h1>Done</h1><p>You get no more e-mail {what}. You can change that at any time in your notification settings.</p>"
    );
    Ok(page("Unsubscribed", &body))
}

async fn link(app: &App, token: &str) -> Result<Unsubscribe, Problem> {
    Unsubscribe::verify(token, &*app.link_keys.get().await)
        .ok_or_else(|| Problem::not_found("This link is not one of ours, or was cut off"))
}

fn when(topic: Topic) -> &'static str {
    match topic {
        Topic::OrderPlaced => "you place an order",
        Topic::OrderPaid => "an order is paid",
        Topic::OrderShipped => "an order is shipped",
        Topic::OrderDelivered => "an order is delivered",
        Topic::OrderCancelled => "an order is cancelled",
        Topic::OrderExpired => "an order expires",
        Topic::OrderRefunded => "you get money back",
    }
}

/// Nothing that anybody typed is on these pages.
fn page(title: &str, body: &str) -> Response {
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><meta name=\"color-scheme\" content=\"light dark\">\
         <style>body{{font:1.1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:10vh auto;padding:0 1rem}}\
         button{{font:inherit;padding:.6rem 1rem;margin:.4rem 0;cursor:pointer}}</style></head><body><main>{body}</main></body></html>"
    );
    let headers = [
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (HeaderName::from_static("referrer-policy"), HeaderValue::from_static("no-referrer")),
        (HeaderName::from_static("x-robots-tag"), HeaderValue::from_static("noindex")),
    ];
    (StatusCode::OK, headers, Html(html)).into_response()
}

#[cfg(test)]
mod tests {
    use http::{Method, StatusCode};
    use serde_json::json;
    use shared::db::Key;
    use shared::testing::{Answer, call};
    use tokio::task::JoinSet;
    use uuid::Uuid;

    use crate::model::{Channel, Topic};
    use crate::testing::App;
    use crate::unsubscribe::Unsubscribe;

    async fn path(app: &App, topic: Topic) -> String {
        let keys = app.worker.link_keys.get().await;
        let token = Unsubscribe { user_id: Uuid::from_u128(1), topic }.sign(&keys);
        format!("/notifications/unsubscribe/{token}")
    }

    async fn post(app: &App, path: &str, form: &[(&str, &str)]) -> Answer {
        call(Method::POST, path).form(form).send(&app.router).await
    }

    async fn wanted(app: &App) -> Vec<Topic> {
        let preferences = app.worker.notifications.preferences(Uuid::from_u128(1)).await.unwrap();
        Topic::ALL.into_iter().filter(|topic| preferences.want(*topic, Channel::Email)).collect()
    }

    #[tokio::test]
    async fn one_click_ends_mail_of_its_topic_and_nothing_else() {
        let app = App::new().await;
        let path = path(&app, Topic::OrderPaid).await;
        let looked = call(Method::GET, &path).send(&app.router).await.expect(StatusCode::OK);
        assert!(looked.headers["content-type"].to_str().unwrap().starts_with("text/html"));
        assert_eq!(wanted(&app).await, Topic::ALL, "looking changes nothing");
        for _ in 0..2 {
            // What RFC 8058 has mail programs send.
            let _page = post(&app, &path, &[("List-Unsubscribe", "One-Click")]).await.expect(StatusCode::OK);
            let others = Topic::ALL.into_iter().filter(|topic| *topic != Topic::OrderPaid);
            assert_eq!(wanted(&app).await, others.collect::<Vec<_>>());
        }
        let preferences = app.worker.notifications.preferences(Uuid::from_u128(1)).await.unwrap();
        assert!(preferences.want(Topic::OrderShipped, Channel::Sms), "SMS stay");
    }

    #[tokio::test]
    async fn links_at_the_same_time_all_count() {
        let app = App::new().await;
        let mut clicks = JoinSet::new();
        for topic in Topic::ALL {
            let (router, path) = (app.router.clone(), path(&app, topic).await);
            clicks.spawn(async move { call(Method::POST, &path).send(&router).await.status });
        }
        assert!(clicks.join_all().await.into_iter().all(|status| status == StatusCode::OK));
        assert_eq!(wanted(&app).await, []);
    }

    /// Which had no version, and not all topics.
    #[tokio::test]
    async fn preferences_that_an_earlier_version_wrote_are_changed_too() {
        let app = App::new().await;
        let none = json!({ "email": false, "sms": false });
        let all = json!({ "email": true, "sms": true });
        let mut preferences = serde_json::Map::new();
        for topic in &Topic::ALL[..5] {
            let channels = if *topic == Topic::OrderPlaced { &none } else { &all };
            preferences.insert(topic.as_str().to_owned(), channels.clone());
        }
        let user_id = Uuid::from_u128(1);
        let key = Key::new(format!("USER#{user_id}"), "PREFERENCES");
        app.database
            .table("NotificationTable")
            .put(&key, &json!({ "preferences": preferences }))
            .await
            .unwrap();
        let _page = post(&app, &path(&app, Topic::OrderPaid).await, &[]).await.expect(StatusCode::OK);
        assert_eq!(wanted(&app).await, Topic::ALL[2..]);
    }

    #[tokio::test]
    async fn the_other_button_ends_all_mail() {
        let app = App::new().await;
        let _page = post(&app, &path(&app, Topic::OrderPaid).await, &[("scope", "everything")])
            .await
            .expect(StatusCode::OK);
        assert_eq!(wanted(&app).await, []);
    }

    #[tokio::test]
    async fn a_forged_link_is_no_path_and_changes_nothing() {
        let app = App::new().await;
        let good = path(&app, Topic::OrderPaid).await;
        let other_user = good.replace("0001.", "0002.");
        let other_topic = good.replace("order_paid", "order_placed");
        for forged in [
            &other_user,
            &other_topic,
            &format!("{good}x"),
            "/notifications/unsubscribe/x",
            "/notifications/unsubscribe/%00",
        ] {
            for method in [Method::GET, Method::POST] {
                let answer = call(method, forged).send(&app.router).await.expect(StatusCode::NOT_FOUND);
                assert_eq!(answer.json["status"], json!(404));
            }
        }
        assert!(app.items().await.is_empty());
    }
}
