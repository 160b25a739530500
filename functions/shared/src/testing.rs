//! For the tests of every crate: an embedded DynamoDB, an issuer of good and bad tokens, records of streams, a caller of
//! routers, the log, counters.

mod attacks;
mod aws;
mod counts;
mod database;
pub mod log;
mod records;
mod tokens;

use axum::Router;
use axum::body::Body;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::Value;
use tower::ServiceExt as _;

use crate::http::ClientAddress;

pub use counts::Counts;
pub use database::{Capacity, Database, Faults, When};
pub use records::record;
pub use tokens::{AUDIENCE, ISSUER, Issuer, issuer};

/// A request to a router under test.
#[derive(Debug)]
pub struct Call {
    request: http::request::Builder,
    body: Body,
}

/// What the router answered.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as JSON; null where there is none, a string where it is of another type.
    pub json: Value,
}

/// `method path`, without a body.
pub fn call(method: Method, path: &str) -> Call {
    Call { request: Request::builder().method(method).uri(path), body: Body::empty() }
}

impl Call {
    /// With this access token.
    #[must_use]
    pub fn token(self, token: &str) -> Self {
        self.header(AUTHORIZATION.as_str(), &format!("Bearer {token}"))
    }

    /// With this header.
    #[must_use]
    pub fn header(self, name: &str, value: &str) -> Self {
        Self { request: self.request.header(name, value), ..self }
    }

    /// From this client address.
    ///
    /// # Panics
    /// When it is no IP address.
    #[must_use]
    pub fn from(self, address: &str) -> Self {
        let address = ClientAddress(Some(address.parse().expect("an IP address")));
        Self { request: self.request.extension(address), ..self }
    }

    /// With this JSON body.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.header(CONTENT_TYPE.as_str(), "application/json").body(body.to_string())
    }

    /// With this form as the body.
    #[must_use]
    pub fn form(self, parameters: &[(&str, &str)]) -> Self {
        let form = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        self.header(CONTENT_TYPE.as_str(), "application/x-www-form-urlencoded").body(form)
    }

    /// With this body, whatever it is.
    #[must_use]
    pub fn body(self, body: impl Into<Body>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// Sends it.
    ///
    /// # Panics
    /// When the answer's body is neither empty, nor JSON where it says so, nor text.
    pub async fn send(self, router: &Router) -> Answer {
        let request = self.request.body(self.body).expect("a valid request");
        let response = router.clone().oneshot(request).await.expect("routers do not fail");
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("a body in memory").to_bytes();
        let content_type =
            parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let json = if bytes.is_empty() {
            Value::Null
        } else if content_type.contains("json") {
            serde_json::from_slice(&bytes).expect("a JSON body")
        } else {
            String::from_utf8(bytes.to_vec()).expect("a text").into()
        };
        let answer = Answer { status: parts.status, headers: parts.headers, json };
        answer.check();
        answer
    }
}

impl Answer {
    /// Every error of every service is a problem+json with its status and without internals, or one of the OAuth protocol.
    fn check(&self) {
        if self.json["error"].is_string() {
            self.check_oauth();
        } else if self.status.is_client_error() || self.status.is_server_error() {
            assert_eq!(self.headers[CONTENT_TYPE], "application/problem+json", "{self:?}");
            assert_eq!(self.json["status"], self.status.as_u16(), "{self:?}");
            assert!(self.json["type"].as_str().is_some_and(|kind| kind.starts_with("urn:problem-type:")));
            assert!(self.json["title"].is_string() && self.json["request_id"].is_string(), "{self:?}");
        }
    }

    /// RFC 6749 §5.2.
    fn check_oauth(&self) {
        let unauthorized = self.json["error"] == "invalid_client";
        assert_eq!(self.status.as_u16(), if unauthorized { 401 } else { 400 }, "{self:?}");
        assert_eq!(self.headers.contains_key(WWW_AUTHENTICATE), unauthorized, "{self:?}");
        assert_eq!(self.headers[CONTENT_TYPE], "application/json", "{self:?}");
        assert_eq!(self.headers[CACHE_CONTROL], "no-store", "{self:?}");
        assert_eq!(self.json.as_object().map(serde_json::Map::len), Some(2), "{self:?}");
        let description = self.json["error_description"].as_str().expect("a description");
        let allowed = |byte: u8| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
        assert!(!description.is_empty() && description.bytes().all(allowed), "{self:?}");
    }

    /// The answer, which must have this status.
    ///
    /// # Panics
    /// When it has another.
    #[must_use]
    #[track_caller]
    pub fn expect(self, status: StatusCode) -> Self {
        assert_eq!(self.status, status, "{}", self.json);
        self
    }
}
