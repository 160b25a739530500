//! A client of the running system.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, Method};
use local::system::Background;
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::id::Generator;
use shared::testing::Issuer;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::{directory, system};

/// How long a condition may take to come true on a busy machine; schedules come every minute.
const PATIENCE: Duration = Duration::from_mins(2);

/// What a service answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) json: Value,
}

impl Answer {
    /// The body, when the status is the expected one.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.json);
        self.json
    }

    /// Every error is a problem+json with its status, the request's id and no internals; or, where the protocol is OAuth's,
    /// what RFC 6749 §5.2 says.
    #[track_caller]
    pub(crate) fn assert_problem(&self, what: &str) {
        assert!((400..500).contains(&self.status), "{what}: {} {}", self.status, self.json);
        if self.json["error"].is_string() {
            assert!([400, 401].contains(&self.status), "{what}: {} {}", self.status, self.json);
            assert_eq!(self.headers[CONTENT_TYPE], "application/json", "{what}");
            assert_eq!(self.json.as_object().map(serde_json::Map::len), Some(2), "{what}: {}", self.json);
            return;
        }
        assert_eq!(self.headers[CONTENT_TYPE], "application/problem+json", "{what}");
        assert_eq!(self.json["status"], self.status, "{what}");
        assert!(
            self.json["request_id"].is_string() && self.json["title"].is_string(),
            "{what}: {}",
            self.json
        );
    }
}

/// HTTP to the services' own ports.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    /// The URL of each service.
    services: BTreeMap<String, String>,
    /// Where the system keeps its keys.
    keys: PathBuf,
}

impl Client {
    /// A client of the one system of this test run.
    pub(crate) fn new() -> Self {
        Self::of(system(), &directory())
    }

    /// A client of the system that was started in this directory.
    pub(crate) fn of(system: &Background, directory: &Path) -> Self {
        Self {
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            services: system.addresses.services.clone(),
            keys: directory.join("keys"),
        }
    }

    /// Signs with the private key of the running system.
    pub(crate) fn issuer(&self) -> Issuer {
        let pem = std::fs::read_to_string(self.keys.join("private.pem")).unwrap();
        Issuer::from_pem(&pem).named(&self.services["auth"])
    }

    /// A token with the role `admin`.
    pub(crate) fn admin_token(&self) -> String {
        self.issuer().admin_token(Uuid::from_u128(0xad), Clock::system().now())
    }

    /// A request to a service's own port.
    pub(crate) fn request(&self, method: Method, service: &str, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.services[service]))
    }

    /// A request to anywhere else.
    pub(crate) fn to(&self, method: Method, url: &str) -> RequestBuilder {
        self.http.request(method, url)
    }

    /// Sends a request; the answer's body must be JSON or empty, or say that it is a page.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Answer {
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let content_type =
            headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let is_page =
            ["text/html", "text/css", "text/javascript"].iter().any(|kind| content_type.starts_with(kind));
        let text = response.text().await.expect("a whole answer");
        let json = if text.is_empty() {
            Value::Null
        } else if is_page {
            text.into()
        } else {
            serde_json::from_str(&text)
                .unwrap_or_else(|_| panic!("{status} with a body that is not JSON: {text}"))
        };
        Answer { status, headers, json }
    }

    /// A call with a token and maybe a JSON body.
    pub(crate) async fn call(
        &self,
        method: Method,
        service: &str,
        path: &str,
        token: &str,
        body: Option<Value>,
    ) -> Answer {
        let request = self.request(method, service, path).bearer_auth(token);
        self.send(match body {
            Some(body) => request.json(&body),
            None => request,
        })
        .await
    }

    pub(crate) async fn get(&self, service: &str, path: &str, token: &str) -> Answer {
        self.call(Method::GET, service, path, token, None).await
    }

    pub(crate) async fn post(&self, service: &str, path: &str, token: &str, body: Option<Value>) -> Answer {
        self.call(Method::POST, service, path, token, body).await
    }

    pub(crate) async fn put(&self, service: &str, path: &str, token: &str, body: Value) -> Answer {
        self.call(Method::PUT, service, path, token, Some(body)).await
    }

    /// Registers a new user, by the front door, and logs in.
    pub(crate) async fn new_user(&self) -> User {
        self.new_user_at("", "example.com").await
    }

    /// One whose e-mail address begins and ends so.
    pub(crate) async fn new_user_at(&self, prefix: &str, domain: &str) -> User {
        let unique = Generator::system().uuid(Clock::system().now()).simple().to_string();
        let username = format!("u-{}", &unique[12..]);
        let password = "correct horse battery staple";
        let phone =
            format!("+1555{}", 1_000_000 + u32::from_str_radix(&unique[26..], 16).unwrap() % 9_000_000);
        let email = format!("{prefix}{username}@{domain}");
        let body = json!({"username": username, "password": password, "email": email, "phone": phone});
        let registered = self.send(self.request(Method::POST, "auth", "/register").json(&body)).await;
        let id = registered.expect(201)["user_id"].as_str().unwrap().parse().unwrap();
        let token = self.login(&username, password).await;
        User { id, username, password: password.to_owned(), email, phone, token }
    }

    /// The access token of a login.
    pub(crate) async fn login(&self, username: &str, password: &str) -> String {
        let answer = self.start_session(username, password).await;
        answer.expect(200)["access_token"].as_str().unwrap().to_owned()
    }

    /// What a login answers.
    pub(crate) async fn start_session(&self, username: &str, password: &str) -> Answer {
        let body = json!({"username": username, "password": password});
        self.send(self.request(Method::POST, "auth", "/login").json(&body)).await
    }

    /// Puts a product of `stock` units at 10.00 EUR into the catalogue.
    pub(crate) async fn new_product(&self, stock: u32) -> String {
        let unique = Generator::system().uuid(Clock::system().now()).simple().to_string();
        let id = format!("p-{unique}");
        let product = json!({
            "name": "Test product",
            "description": "Made by a test",
            "price": {"amount": 1000, "currency": "EUR"},
            "stock": stock,
        });
        let answer = self.put("cart", &format!("/products/{id}"), &self.admin_token(), product).await;
        assert!((200..300).contains(&answer.status), "{} {}", answer.status, answer.json);
        id
    }

    /// Orders `quantity` of a product.
    pub(crate) async fn order(&self, user: &User, product: &str, quantity: u32) -> Answer {
        let item = format!("/cart/items/{product}");
        let put = self.put("cart", &item, &user.token, json!({"quantity": quantity})).await;
        assert_eq!(put.status, 200, "{}", put.json);
        self.post("order", "/orders", &user.token, None).await
    }

    /// What `ask` answers once it answers something; fails when that takes too long.
    pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(
        &self,
        what: &str,
        mut ask: impl FnMut() -> F,
    ) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            assert!(Instant::now() < deadline, "{what} did not come true in {PATIENCE:?}");
            sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Makes many calls, a bounded number of them at once; fails when one does.
pub(crate) async fn in_parallel(calls: impl IntoIterator<Item = impl Future<Output = ()> + Send + 'static>) {
    const AT_ONCE: usize = 16;
    let mut under_way = JoinSet::new();
    for call in calls {
        if under_way.len() == AT_ONCE {
            under_way.join_next().await.unwrap().unwrap();
        }
        under_way.spawn(call);
    }
    while let Some(done) = under_way.join_next().await {
        done.unwrap();
    }
}

/// A registered user.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) id: Uuid,
    pub(crate) username: String,
    pub(crate) password: String,
    pub(crate) email: String,
    pub(crate) phone: String,
    pub(crate) token: String,
}

/// Signs with the private key of the one system of this test run.
pub(crate) fn issuer() -> Issuer {
    Client::new().issuer()
}

/// A token with the role `admin`.
pub(crate) fn admin_token() -> String {
    Client::new().admin_token()
}
