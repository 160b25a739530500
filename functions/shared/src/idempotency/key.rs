//! The header, and what the request is that it names.

use aws_lc_rs::digest::{SHA256, digest};
use axum::body::Body;
use axum::extract::{FromRequest, MatchedPath, Request};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderName};
use uuid::Uuid;

use crate::db::Key;
use crate::http::read;
use crate::problem::Problem;

const HEADER: HeaderName = HeaderName::from_static("idempotency-key");

/// The most characters of a key.
const MAX_LENGTH: usize = 255;

/// A body, extracted by `T`, and the key that the request came with.
#[derive(Debug)]
pub struct Keyed<T>(pub RequestKey, pub T);

/// The `Idempotency-Key` of a request, where it has one.
#[derive(Debug)]
pub struct RequestKey(pub(super) Option<Given>);

/// A key with what it stands for.
#[derive(Debug)]
pub(super) struct Given {
    /// Method and pattern of the path.
    route: String,
    key: String,
    /// SHA-256 of method, path and body.
    pub(super) fingerprint: String,
}

impl Given {
    pub(super) fn record_key(&self, user_id: Uuid) -> Key {
        Key::new(format!("IDEMPOTENCY#{user_id}"), format!("{}#{}", self.route, self.key))
    }
}

impl<T: FromRequest<S, Rejection = Problem>, S: Send + Sync> FromRequest<S> for Keyed<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let Some(key) = key(request.headers())? else {
            return Ok(Self(RequestKey(None), T::from_request(request, state).await?));
        };
        let (parts, body) = request.into_parts();
        let body = read(body).await?;
        let (method, path) = (&parts.method, parts.uri.path());
        let route = parts.extensions.get::<MatchedPath>().map_or(path, MatchedPath::as_str);
        let given = Given {
            route: format!("{method} {route}"),
            key,
            fingerprint: fingerprint(method.as_str(), path, &body),
        };
        let request = Request::from_parts(parts, Body::from(body));
        Ok(Self(RequestKey(Some(given)), T::from_request(request, state).await?))
    }
}

/// 1 to [`MAX_LENGTH`] printable ASCII characters, taken as they are: the draft's quotation marks are part of the key.
fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut sent = headers.get_all(HEADER).iter();
    let (Some(key), None) = (sent.next(), sent.next()) else {
        return if headers.contains_key(HEADER) { Err(bad()) } else { Ok(None) };
    };
    let printable = key.as_bytes().iter().all(|byte| matches!(byte, b' '..=b'~'));
    let key = key.to_str().map_err(|_| bad())?.trim();
    let named = !key.trim_matches('"').is_empty();
    if printable && named && key.len() <= MAX_LENGTH { Ok(Some(key.to_owned())) } else { Err(bad()) }
}

fn bad() -> Problem {
    Problem::bad_request(format!(
        "Idempotency-Key must be sent once, with 1 to {MAX_LENGTH} printable ASCII characters"
    ))
    .with("header", "Idempotency-Key")
}

fn fingerprint(method: &str, path: &str, body: &[u8]) -> String {
    // Neither method nor path contains a line break, so no two requests run together to the same bytes.
    let whole = [method.as_bytes(), path.as_bytes(), body].join(&b'\n');
    URL_SAFE_NO_PAD.encode(digest(&SHA256, &whole))
}
