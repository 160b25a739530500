//! A client of the running system, by the one origin that a page has.

use http::Method;
use local::operator::grant_admin;
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::id::Generator;

use crate::system;

/// Of every user here.
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// Somebody who is registered and logged in.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) name: String,
    token: String,
}

/// An id or a name that nobody has yet.
pub(crate) fn unique(prefix: &str) -> String {
    let id = Generator::system().uuid(Clock::system().now()).simple().to_string();
    format!("{prefix}-{}", &id[14..])
}

/// The URL of a service, whose port answers all services' paths.
pub(crate) fn origin(service: &str) -> &'static str {
    &system().addresses.services[service]
}

async fn send(method: Method, path: &str, token: Option<&str>, body: Option<&Value>) -> (u16, Value) {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut request = http.request(method, format!("{}{path}", origin("analytics")));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    if let Some(body) = body {
        request = request.json(body);
    }
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::Null))
}

/// Does something that succeeds; without a user, as a stranger.
pub(crate) async fn act(user: Option<&User>, method: Method, path: &str, body: &Value) -> Value {
    let body = (!body.is_null()).then_some(body);
    let (status, answer) = send(method, path, user.map(|user| user.token.as_str()), body).await;
    assert!((200..300).contains(&status), "{path}: {status} {answer}");
    answer
}

/// Reads something.
pub(crate) async fn get(user: &User, path: &str) -> Value {
    act(Some(user), Method::GET, path, &Value::Null).await
}

async fn log_in(name: &str) -> User {
    let login = json!({ "username": name, "password": PASSWORD });
    let answer = act(None, Method::POST, "/login", &login).await;
    User { name: name.to_owned(), token: answer["access_token"].as_str().unwrap().to_owned() }
}

async fn register() -> String {
    let name = unique("u");
    let body = json!({ "username": name, "password": PASSWORD, "email": format!("{name}@example.com") });
    act(None, Method::POST, "/register", &body).await;
    name
}

/// A new customer.
pub(crate) async fn customer() -> User {
    log_in(&register().await).await
}

/// A new admin.
pub(crate) async fn admin() -> User {
    let name = register().await;
    grant_admin(&system().addresses.environment, &name).await.unwrap();
    log_in(&name).await
}
