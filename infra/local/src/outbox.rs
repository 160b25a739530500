//! The page that shows what was sent: mail and SMS, as the AWS emulator took them. It exists only in the local run, on
//! Notification's port.
//!
//! Mails are made of what strangers typed, so they are shown as hostile ones would have to be: everything is escaped, and the HTML
//! part stands in a sandboxed frame whose own policy lets nothing run, load or be sent.

mod sent;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use axum::routing::get;
use minijinja::Environment;
use minijinja::value::Serde;
use reqwest::Client;
use serde_json::json;
use tracing::warn;

use self::sent::{Mail, Sms};

/// The service on whose port the page is.
pub const SERVICE: &str = "notification";

/// What a page of ours may do: nothing but show itself and a mail in its frame.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'; base-uri 'none'; \
                           form-action 'none'; frame-ancestors 'none'";
/// What a mail may do, opened by itself too.
const MAIL_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; sandbox; base-uri 'none'; form-action 'none'; \
                           frame-ancestors 'self'";
/// The emulator answers at once or is gone.
const PATIENCE: Duration = Duration::from_secs(5);

struct Outbox {
    client: Client,
    emulator: String,
    templates: Environment<'static>,
}

/// Why there is no page.
enum Refusal {
    NoSuchMail,
    Unavailable(anyhow::Error),
}

impl From<anyhow::Error> for Refusal {
    fn from(error: anyhow::Error) -> Self {
        Self::Unavailable(error)
    }
}

/// The pages over the emulator at this URL: `/`, `/outbox` and what they link to.
pub fn pages(emulator: &str) -> Result<Router> {
    let client = Client::builder().no_proxy().timeout(PATIENCE).build();
    let mut templates = Environment::new();
    for (name, source) in [
        ("layout.html", include_str!("outbox/layout.html")),
        ("list.html", include_str!("outbox/list.html")),
        ("mail.html", include_str!("outbox/mail.html")),
        ("problem.html", include_str!("outbox/problem.html")),
    ] {
        templates.add_template(name, source).with_context(|| format!("{name} is no template"))?;
    }
    let outbox = Outbox {
        client: client.context("cannot make an HTTP client")?,
        emulator: emulator.trim_end_matches('/').to_owned(),
        templates,
    };
    Ok(Router::new()
        .route("/", get(list))
        .route("/outbox", get(list))
        .route("/outbox/mail/{key}", get(mail))
        .route("/outbox/mail/{key}/html", get(html))
        .with_state(Arc::new(outbox)))
}

async fn list(State(outbox): State<Arc<Outbox>>) -> Response {
    let page = async {
        let (mails, sms) = tokio::try_join!(outbox.mails(), outbox.sms())?;
        outbox.page("list.html", &json!({ "mails": mails, "sms": sms }))
    };
    page.await.unwrap_or_else(|refusal| outbox.refusal(refusal))
}

async fn mail(State(outbox): State<Arc<Outbox>>, Path(key): Path<String>) -> Response {
    let page = async {
        let mail = outbox.mail(&key).await?;
        outbox.page("mail.html", &json!({ "mail": mail, "headers": mail.headers() }))
    };
    page.await.unwrap_or_else(|refusal| outbox.refusal(refusal))
}

/// The HTML part alone, for the frame.
async fn html(State(outbox): State<Arc<Outbox>>, Path(key): Path<String>) -> Response {
    match outbox.mail(&key).await {
        Ok(mail) => response(StatusCode::OK, MAIL_POLICY, mail.html),
        Err(refusal) => outbox.refusal(refusal),
    }
}

impl Outbox {
    async fn answer(&self, path: &str) -> Result<serde_json::Value> {
        let answer = self.client.get(format!("{}{path}", self.emulator)).send().await;
        let answer =
            answer.and_then(reqwest::Response::error_for_status).context("the AWS emulator does not answer");
        answer?.json().await.context("the AWS emulator answers with something that is not JSON")
    }

    async fn mails(&self) -> Result<Vec<Mail>> {
        Ok(sent::mails(&self.answer("/_ministack/ses/messages").await?))
    }

    async fn sms(&self) -> Result<Vec<Sms>> {
        Ok(sent::sms(&self.answer("/_ministack/sns/sms-messages").await?))
    }

    async fn mail(&self, key: &str) -> Result<Mail, Refusal> {
        self.mails().await?.into_iter().find(|mail| mail.key == key).ok_or(Refusal::NoSuchMail)
    }

    fn page(&self, template: &str, values: &serde_json::Value) -> Result<Response, Refusal> {
        let page = self.templates.get_template(template).and_then(|template| template.render(Serde(values)));
        Ok(response(StatusCode::OK, PAGE_POLICY, page.context("cannot render the page")?))
    }

    fn refusal(&self, refusal: Refusal) -> Response {
        let (status, title, detail) = match refusal {
            Refusal::NoSuchMail => (
                StatusCode::NOT_FOUND,
                "No such mail",
                "It may have gone with `cargo local --reset`.".to_owned(),
            ),
            Refusal::Unavailable(error) => {
                warn!("the outbox cannot be shown: {error:#}");
                (StatusCode::BAD_GATEWAY, "The outbox cannot be shown", format!("{error:#}"))
            }
        };
        let page = self.page("problem.html", &json!({ "title": title, "detail": detail }));
        let mut page = page.unwrap_or_else(|_| response(status, PAGE_POLICY, title.to_owned()));
        *page.status_mut() = status;
        page
    }
}

fn response(status: StatusCode, policy: &'static str, body: String) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    for (name, value) in [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, policy),
        // Mails carry tokens.
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "no-referrer"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
