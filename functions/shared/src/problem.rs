//! Errors as clients see them: `application/problem+json` (RFC 9457).

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One error answer. It says what the caller can do about it and never an internal detail.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Problem {
    #[serde(with = "crate::idempotency::status")]
    status: StatusCode,
    kind: Cow<'static, str>,
    title: Cow<'static, str>,
    detail: Option<Box<str>>,
    fields: Map<String, Value>,
    #[serde(skip)]
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A problem whose type is `urn:problem-type:{kind}` and whose title is the same for every occurrence.
    pub fn new(status: StatusCode, kind: &'static str, title: &'static str) -> Self {
        Self {
            status,
            kind: kind.into(),
            title: title.into(),
            detail: None,
            fields: Map::new(),
            headers: Vec::new(),
        }
    }

    /// What happened this time.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into().into_boxed_str());
        self
    }

    /// An extension member (RFC 9457 §3.2).
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(name.to_owned(), value.into());
        self
    }

    /// A response header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// When the client may try again, in seconds.
    #[must_use]
    pub fn retry_after(self, seconds: u64) -> Self {
        self.header(RETRY_AFTER, seconds.into())
    }

    /// 400: the request is malformed.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "bad-request", "The request is malformed").detail(detail)
    }

    /// 401: a valid access token is needed. `error` is `invalid_token` where one was sent (RFC 6750 §3.1). Where none was,
    /// the challenge names a realm, because it must have a parameter (§3) and no error.
    pub fn unauthorized(error: Option<&'static str>) -> Self {
        let (detail, challenge) = match error {
            None => {
                ("Send an access token: Authorization: Bearer <token>", "Bearer realm=\"api\"".to_owned())
            }
            Some(error) => ("The access token is not valid", format!("Bearer error=\"{error}\"")),
        };
        let problem = Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "A valid access token is required")
            .detail(detail);
        match HeaderValue::try_from(challenge) {
            Ok(challenge) => problem.header(WWW_AUTHENTICATE, challenge),
            Err(_) => problem,
        }
    }

    /// 401: the access token is valid, but the login that it comes from is longer ago than `max_age` (RFC 9470 §3).
    pub fn insufficient_authentication(max_age: SignedDuration) -> Self {
        let seconds = max_age.as_secs();
        let problem = Self::new(
            StatusCode::UNAUTHORIZED,
            "insufficient-user-authentication",
            "A more recent login is required",
        )
        .detail(format!("Log in again, and repeat the request within {} minutes", seconds / 60))
        .with("max_age", seconds);
        let challenge = format!("Bearer error=\"insufficient_user_authentication\", max_age=\"{seconds}\"");
        match HeaderValue::try_from(challenge) {
            Ok(challenge) => problem.header(WWW_AUTHENTICATE, challenge),
            Err(_) => problem,
        }
    }

    /// 403: the caller is known and may not do this.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "The caller may not do this").detail(detail)
    }

    /// 404: there is no such thing, or not for this caller.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "There is no such resource").detail(detail)
    }

    /// 409: the state of things does not allow it.
    pub fn conflict(kind: &'static str, title: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, kind, title).detail(detail)
    }

    /// 422: well-formed, yet not acceptable.
    pub fn unprocessable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid-content", "The content is not acceptable")
            .detail(detail)
    }

    /// 503: the same request may succeed in `retry_after` seconds.
    pub fn unavailable(retry_after: u64) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "The service cannot answer right now")
            .detail("Try again shortly")
            .retry_after(retry_after)
    }

    /// 500: logs the error with all its causes; the client learns only that it happened.
    pub fn internal(error: &(dyn Error + 'static)) -> Self {
        tracing::error!(error = %Chain(error), "internal error");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something went wrong on our side")
    }

    /// What happened this time, where it says so.
    pub fn what(&self) -> Option<&str> {
        self.detail.as_deref()
    }

    /// The extension member of this name.
    pub fn member(&self, name: &str) -> Option<&Value> {
        self.fields.get(name)
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    fn body(&self, request_id: Option<&str>) -> Vec<u8> {
        let mut body = self.fields.clone();
        body.insert("type".to_owned(), format!("urn:problem-type:{}", self.kind).into());
        body.insert("title".to_owned(), self.title.as_ref().into());
        body.insert("status".to_owned(), self.status.as_u16().into());
        if let Some(detail) = &self.detail {
            body.insert("detail".to_owned(), detail.as_ref().into());
        }
        if let Some(request_id) = request_id {
            body.insert("request_id".to_owned(), request_id.into());
        }
        Value::Object(body).to_string().into_bytes()
    }

    /// The answer with the request's id in it. [`crate::http::finish`] does this for every problem.
    pub(crate) fn respond(&self, request_id: Option<&str>) -> Response {
        let mut response = (self.status, self.body(request_id)).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        for (name, value) in &self.headers {
            headers.insert(name, value.clone());
        }
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.respond(None);
        response.extensions_mut().insert(self);
        response
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.status.as_u16(), self.title)?;
        self.detail.as_ref().map_or(Ok(()), |detail| write!(f, ": {detail}"))
    }
}

impl Error for Problem {}

/// An error with all its causes, on one line.
pub struct Chain<'a>(pub &'a (dyn Error + 'static));

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}
