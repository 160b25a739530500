//! The shop's public API, as a browser uses it, and what became of each request.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::header::RETRY_AFTER;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use shared::id::Generator;
use tokio::time::sleep;
use uuid::Uuid;

use super::plan::{Ending, Product, Purchase};
use super::{Report, batch};

/// How often a request is sent that is told to come later.
const ATTEMPTS: u32 = 6;
/// The longest that a request waits for its turn.
const LONGEST_WAIT: Duration = Duration::from_mins(1);
/// The functions may have to start first.
const PATIENCE: Duration = Duration::from_mins(1);
/// What happens in any shop: somebody else bought the last piece, a card is refused.
const SOLD_OUT: &str = "urn:problem-type:insufficient-stock";
const DECLINED: &str = "urn:problem-type:payment-declined";

/// The running system.
pub(super) struct Shop {
    urls: BTreeMap<String, String>,
    tally: Mutex<Report>,
}

/// Somebody with a browser at an address of their own.
pub(super) struct Visitor {
    shop: Arc<Shop>,
    client: Client,
}

/// What a request led to.
enum Answer {
    Done(Value),
    /// A problem that was to be expected.
    Expected,
    /// Counted already.
    Failed,
}

impl Answer {
    fn done(self) -> Option<Value> {
        if let Self::Done(answer) = self { Some(answer) } else { None }
    }
}

impl Shop {
    pub(super) fn new(urls: BTreeMap<String, String>) -> Self {
        Self { urls, tally: Mutex::default() }
    }

    /// All products, or why there is no shop.
    pub(super) async fn products(&self) -> Result<Vec<Product>> {
        let url = self.url("cart", "/products");
        let client = Client::builder().no_proxy().timeout(PATIENCE).build()?;
        let mut products = Vec::new();
        let mut query = vec![("limit", "100".to_owned())];
        loop {
            let page = reqwest::Url::parse_with_params(&url, &query).context("the address is no URL")?;
            let answer = client.get(page).send().await;
            let answer =
                answer.with_context(|| format!("nothing answers at {url}: is `cargo local` running?"))?;
            if !answer.status().is_success() {
                bail!("{url} answers with status {}", answer.status());
            }
            let page: Value = answer.json().await.with_context(|| format!("{url} answers with no JSON"))?;
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            products.extend(page["items"].as_array().into_iter().flatten().map(|product| Product {
                id: text(&product["id"]),
                name: text(&product["name"]),
                available: product["available"] == true,
            }));
            match page["next_cursor"].as_str() {
                Some(cursor) => query = vec![("limit", "100".to_owned()), ("cursor", cursor.to_owned())],
                None => return Ok(products),
            }
        }
    }

    fn url(&self, service: &str, path: &str) -> String {
        format!("{}{path}", self.urls.get(service).map(String::as_str).unwrap_or_default())
    }

    fn with_tally<T>(&self, work: impl FnOnce(&mut Report) -> T) -> T {
        work(&mut self.tally.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn made(&self, what: &'static str, count: usize) {
        if count > 0 {
            self.with_tally(|tally| *tally.made.entry(what).or_default() += count);
        }
    }

    fn unplanned(&self, what: String, count: usize) {
        self.with_tally(|tally| *tally.unplanned.entry(what).or_default() += count);
    }

    pub(super) fn progress(&self) -> String {
        self.with_tally(|tally| {
            let count = |what| tally.made.get(what).copied().unwrap_or_default();
            let failed: usize = tally.unplanned.values().sum();
            let failed = if failed == 0 { String::new() } else { format!(", {failed} failures") };
            format!(
                "{} events, {} users, {} orders{failed}",
                count("events"),
                count("users"),
                count("orders placed")
            )
        })
    }

    pub(super) fn report(&self) -> Report {
        self.with_tally(std::mem::take)
    }
}

impl Visitor {
    /// A browser. Each has an address of its own, since the shop limits what one address may do.
    pub(super) fn new(shop: &Arc<Shop>, number: usize, browser: &str) -> Result<Self> {
        let mut client = Client::builder().no_proxy().timeout(PATIENCE).user_agent(browser);
        // Elsewhere 127.0.0.1 alone belongs to the machine, and whoever is throttled waits.
        if cfg!(target_os = "linux") {
            let [.., high, low] = u32::try_from(number)?.to_be_bytes();
            client = client.local_address(IpAddr::from(Ipv4Addr::new(127, 77, high, low.max(1))));
        }
        Ok(Self { shop: Arc::clone(shop), client: client.build().context("cannot make an HTTP client")? })
    }

    /// Sends events, which were accepted, seen before or rejected one by one.
    pub(super) async fn report(&self, events: &[Value], token: Option<&str>) {
        let answer =
            self.send(Method::POST, "analytics", "/events", token, Some(batch(events)), None, &[]).await;
        let Some(answer) = answer.done() else { return };
        let accepted = answer["accepted"].as_u64().and_then(|count| usize::try_from(count).ok());
        self.shop.made("events", accepted.unwrap_or_default());
        for result in answer["results"].as_array().into_iter().flatten() {
            if result["status"] != "accepted" {
                let why = result["detail"].as_str().or(result["status"].as_str()).unwrap_or_default();
                self.shop.unplanned(format!("event not taken: {why}"), 1);
            }
        }
    }

    /// Registers and logs in; the access token.
    pub(super) async fn register(&self, username: &str) -> Option<String> {
        let password = URL_SAFE_NO_PAD.encode(Generator::system().bytes::<18>());
        let email = format!("{username}@example.com");
        let body = json!({ "username": username, "password": password, "email": email });
        let _registered =
            self.send(Method::POST, "auth", "/register", None, Some(body), None, &[]).await.done()?;
        self.shop.made("users", 1);
        let body = json!({ "username": username, "password": password });
        let answer = self.send(Method::POST, "auth", "/login", None, Some(body), None, &[]).await.done()?;
        answer["access_token"].as_str().map(str::to_owned)
    }

    pub(super) async fn put_into_cart(&self, token: &str, product: &str, quantity: u32) -> Option<()> {
        let body = json!({ "quantity": quantity });
        let path = format!("/cart/items/{product}");
        self.send(Method::PUT, "cart", &path, Some(token), Some(body), None, &[]).await.done().map(drop)
    }

    /// Orders what is in the cart, and then does what was planned.
    pub(super) async fn order(&self, token: &str, purchase: &Purchase) -> Option<()> {
        let [order_key, first_key, second_key] = purchase.keys;
        let order = match self
            .send(Method::POST, "order", "/orders", Some(token), None, Some(order_key), &[SOLD_OUT])
            .await
        {
            Answer::Done(order) => order,
            Answer::Expected => {
                self.shop.made("orders refused: sold out", 1);
                return None;
            }
            Answer::Failed => return None,
        };
        let id = order["id"].as_str()?;
        self.shop.made("orders placed", 1);
        match purchase.ending {
            Ending::Paid => self.pay(token, id, "pm_card_visa", first_key).await,
            Ending::PaidByAnotherCard => {
                self.pay(token, id, "pm_card_declined", first_key).await?;
                self.pay(token, id, "pm_card_mastercard", second_key).await
            }
            Ending::Declined => self.pay(token, id, "pm_card_declined", first_key).await,
            Ending::Abandoned => Some(()),
            Ending::Cancelled => self.cancel(token, id).await,
            Ending::Returned => {
                self.pay(token, id, "pm_card_visa", first_key).await?;
                self.cancel(token, id).await
            }
        }
    }

    async fn pay(&self, token: &str, order_id: &str, method: &str, key: Uuid) -> Option<()> {
        let body = json!({ "order_id": order_id, "payment_method": method });
        match self
            .send(Method::POST, "payment", "/pay", Some(token), Some(body), Some(key), &[DECLINED])
            .await
        {
            Answer::Done(_) => self.shop.made("orders paid", 1),
            Answer::Expected => self.shop.made("payments declined", 1),
            Answer::Failed => return None,
        }
        Some(())
    }

    async fn cancel(&self, token: &str, order_id: &str) -> Option<()> {
        let path = format!("/orders/{order_id}/cancel");
        let _cancelled =
            self.send(Method::POST, "order", &path, Some(token), None, None, &[]).await.done()?;
        self.shop.made("orders cancelled", 1);
        Some(())
    }

    /// Sends a request until it is not told to come later, and counts what was not expected.
    #[expect(clippy::too_many_arguments, reason = "each is a part of a request")]
    async fn send(
        &self,
        method: Method,
        service: &str,
        path: &str,
        token: Option<&str>,
        body: Option<Value>,
        key: Option<Uuid>,
        expected: &[&str],
    ) -> Answer {
        let mut attempt = 1;
        loop {
            let mut request = self.client.request(method.clone(), self.shop.url(service, path));
            if let Some(token) = token {
                request = request.bearer_auth(token);
            }
            if let Some(key) = key {
                request = request.header("idempotency-key", key.to_string());
            }
            if let Some(body) = &body {
                request = request.json(body);
            }
            let failed = |why: String| {
                // Without ids: failures of one kind are one line.
                let path = path.split('/').nth(1).unwrap_or_default();
                self.shop.unplanned(format!("{method} /{path} ({service}): {why}"), 1);
                Answer::Failed
            };
            let response = match request.send().await {
                Ok(response) => response,
                Err(error) => return failed(format!("{:#}", anyhow::Error::from(error.without_url()))),
            };
            let status = response.status();
            let later = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE].contains(&status);
            if later && attempt < ATTEMPTS {
                attempt += 1;
                let seconds =
                    response.headers().get(RETRY_AFTER).and_then(|wait| wait.to_str().ok()?.parse().ok());
                sleep(Duration::from_secs(seconds.unwrap_or(1)).min(LONGEST_WAIT)).await;
                continue;
            }
            // Some answers have no body.
            let body: Value = response.json().await.unwrap_or_default();
            if status.is_success() {
                return Answer::Done(body);
            }
            let kind = body["type"].as_str().unwrap_or_default();
            if expected.contains(&kind) {
                return Answer::Expected;
            }
            return failed(format!(
                "{} {}",
                status.as_u16(),
                body["title"].as_str().unwrap_or("without a title")
            ));
        }
    }
}
