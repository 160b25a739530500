//! The pages behind the gateway of Notification's port, over an emulator that a test plays.

use std::future::pending;
use std::time::Duration;

use axum::routing::any;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use super::*;
use crate::gateway::{self, Callee, Target};

/// Closes the attribute and the element that it may stand in, and would run if anything let it.
const HOSTILE: &str = "\"'></title></pre><script>alert(1)</script><img src=x onerror=alert(1)>";

struct Local {
    url: String,
    tasks: Vec<AbortHandle>,
}

impl Drop for Local {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

async fn serve(router: Router) -> (String, AbortHandle) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    (url, tokio::spawn(async move { axum::serve(listener, router).await.unwrap() }).abort_handle())
}

impl Local {
    /// A port whose function answers everything with 404, and an emulator that took these.
    async fn with(mails: Value, sms: Value) -> Self {
        let emulator = Router::new()
            .route(
                "/_ministack/ses/messages",
                get(move || async move { Json(json!({ "messages": { "000000000000": mails } })) }),
            )
            .route(
                "/_ministack/sns/sms-messages",
                get(move || async move { Json(json!({ "sms_messages": sms })) }),
            );
        let (emulator, task) = serve(emulator).await;
        let mut local = Self::over(&emulator).await;
        local.tasks.push(task);
        local
    }

    async fn over(emulator: &str) -> Self {
        let function = Router::new()
            .fallback(any(|| async { Json(json!({ "statusCode": 404, "body": "the function" })) }));
        let (watch_url, task) = serve(function).await;
        let listeners = gateway::listen(0).await.unwrap();
        let url = format!("http://{}", listeners[0].local_addr().unwrap());
        let target = Target {
            distribution: None,
            default: Callee { function: SERVICE.to_owned(), timeout: Duration::from_mins(1) },
            routes: Arc::default(),
            watch_url,
            doubt: Arc::default(),
            cors: None,
            pages: pages(emulator).unwrap(),
        };
        let gateway = tokio::spawn(gateway::serve(listeners, target, pending()));
        Self { url, tasks: vec![task, gateway.abort_handle()] }
    }

    async fn get(&self, path: &str) -> (StatusCode, String, String) {
        let response = reqwest::get(format!("{}{path}", self.url)).await.unwrap();
        let policy =
            response.headers().get(CONTENT_SECURITY_POLICY).map(|policy| policy.to_str().unwrap().to_owned());
        (response.status(), policy.unwrap_or_default(), response.text().await.unwrap())
    }
}

/// A mail as the emulator lists it.
fn sent(id: &str, at: f64, subject: &str) -> Value {
    json!({
        "MessageId": id,
        "Source": "shop@example.com",
        "To": ["ann@example.com"],
        "CC": [],
        "BCC": [],
        "Subject": subject,
        "BodyText": format!("text of {subject}"),
        "BodyHtml": format!("<p>html of {subject}</p>"),
        "Timestamp": at,
        "Type": "v2.SendEmail",
    })
}

#[tokio::test]
async fn what_was_sent_is_listed_newest_first() {
    let mails = json!([
        sent("1@x", 1_790_000_000.5, "Old"),
        sent("2@x", 1_790_000_100.0, "New"),
        sent("3@x", 1_790_000_100.0, "Newest")
    ]);
    let sms = json!({ "+49151": [
        { "PhoneNumber": "+49151", "Message": "earlier SMS" },
        { "PhoneNumber": "+49151", "Message": "later SMS" },
    ] });
    let local = Local::with(mails, sms).await;
    for path in ["/", "/outbox"] {
        let (status, policy, page) = local.get(path).await;
        assert_eq!(status, 200);
        assert_eq!(policy, PAGE_POLICY);
        let places = ["Newest</a>", "New</a>", "Old</a>", "later SMS", "earlier SMS"]
            .map(|text| page.find(text).expect(text));
        assert!(places.is_sorted(), "{page}");
        assert!(page.contains("ann@example.com") && page.contains("2026-09-21 14:13:20 UTC"), "{page}");
        assert!(page.contains("Mail (3)") && page.contains("SMS (2)"), "{page}");
    }
}

#[tokio::test]
async fn a_mail_opens_with_its_headers_its_text_and_its_html_in_a_frame() {
    let local = Local::with(json!([sent("a-1@email.example", 1_790_000_000.0, "Welcome")]), json!({})).await;
    let (_, _, list) = local.get("/").await;
    let path = "/outbox/mail/a-1_email_example";
    assert!(list.contains(&format!("href=\"{path}\"")), "{list}");
    let (status, policy, page) = local.get(path).await;
    assert_eq!((status, policy.as_str()), (StatusCode::OK, PAGE_POLICY));
    for part in
        ["shop@example.com", "ann@example.com", "a-1@email.example", "text of Welcome", "sandbox=\"\""]
    {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(page.contains(&format!("src=\"{path}/html\"")), "{page}");
    let (status, policy, html) = local.get(&format!("{path}/html")).await;
    assert_eq!((status, html.as_str()), (StatusCode::OK, "<p>html of Welcome</p>"));
    assert!(policy.starts_with("default-src 'none'; style-src 'unsafe-inline'; sandbox;"), "{policy}");
}

#[tokio::test]
async fn what_strangers_wrote_is_only_ever_text() {
    let mut hostile = sent(HOSTILE, 1.0, HOSTILE);
    for field in ["Source", "BodyText"] {
        hostile[field] = json!(HOSTILE);
    }
    hostile["To"] = json!([HOSTILE]);
    let local =
        Local::with(json!([hostile]), json!({ HOSTILE: [{ "PhoneNumber": HOSTILE, "Message": HOSTILE }] }))
            .await;
    let (_, _, list) = local.get("/").await;
    let start = list.find("/outbox/mail/").expect("the mail is linked");
    let path = list[start..].split('"').next().unwrap();
    let (status, _, page) = local.get(path).await;
    assert_eq!(status, 200);
    for page in [list, page] {
        assert!(!page.contains("<script") && !page.contains("<img"), "{page}");
        assert!(page.contains("&lt;script&gt;"), "{page}");
    }
}

#[tokio::test]
async fn an_empty_outbox_says_so() {
    let local = Local::with(json!([]), json!({})).await;
    let (status, _, page) = local.get("/").await;
    assert_eq!(status, 200);
    assert!(page.contains("No mail yet") && page.contains("No SMS yet"), "{page}");
}

#[tokio::test]
async fn a_mail_that_is_not_there_is_a_404() {
    let local = Local::with(json!([sent("1", 1.0, "A")]), json!({})).await;
    for path in ["/outbox/mail/2", "/outbox/mail/2/html"] {
        let (status, policy, page) = local.get(path).await;
        assert_eq!((status, policy.as_str()), (StatusCode::NOT_FOUND, PAGE_POLICY));
        assert!(page.contains("No such mail"), "{page}");
    }
}

#[tokio::test]
async fn without_the_emulator_the_page_says_why_it_is_empty() {
    let (emulator, task) = serve(Router::new()).await;
    let local = Local::over(&emulator).await;
    let (status, _, page) = local.get("/").await;
    assert_eq!(status, 502);
    assert!(page.contains("the AWS emulator does not answer"), "{page}");
    task.abort();
}

#[tokio::test]
async fn every_other_request_reaches_the_function() {
    let local = Local::with(json!([]), json!({})).await;
    for path in ["/notifications", "/outbox/else", "//"] {
        let (status, policy, body) = local.get(path).await;
        assert_eq!(
            (status, policy.as_str(), body.as_str()),
            (StatusCode::NOT_FOUND, "", "the function"),
            "{path}"
        );
    }
    let posted = Client::new().post(format!("{}/", local.url)).send().await.unwrap();
    assert_eq!(posted.text().await.unwrap(), "the function");
}
