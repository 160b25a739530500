//! Extractors whose rejections are problems that say which field is wrong.

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{MAX_BODY_LIMIT, too_large};
use crate::problem::Problem;

/// A JSON body, in and out. 415 for another content type, 413 over the limit of the route, 400 for anything that is not `T`.
#[derive(Debug, Clone)]
pub struct Json<T>(pub T);

/// A JSON body that may be left out altogether.
#[derive(Debug, Clone)]
pub struct OptionalJson<T>(pub Option<T>);

/// Path parameters; 400 where they are not `T`.
#[derive(Debug, Clone)]
pub struct Path<T>(pub T);

/// The query string; 400 where it is not `T`.
#[derive(Debug, Clone)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let is_json = is_json(request.headers());
        let bytes = read(request.into_body()).await?;
        parse(is_json, &bytes).map(Self)
    }
}

impl<T: DeserializeOwned, S: Sync> FromRequest<S> for OptionalJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let is_json = is_json(request.headers());
        let bytes = read(request.into_body()).await?;
        if bytes.is_empty() { Ok(Self(None)) } else { parse(is_json, &bytes).map(Some).map(Self) }
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(rejection) => Err(Problem::bad_request(rejection.body_text())),
        }
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Query::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(Problem::bad_request(rejection.body_text())),
        }
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

/// The route has looked at the size.
pub(crate) async fn read(body: Body) -> Result<axum::body::Bytes, Problem> {
    to_bytes(body, MAX_BODY_LIMIT).await.map_err(|_| too_large(MAX_BODY_LIMIT))
}

fn parse<T: DeserializeOwned>(is_json: bool, bytes: &[u8]) -> Result<T, Problem> {
    if !is_json {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported-media-type",
            "The content type is not supported",
        )
        .detail("Send JSON with Content-Type: application/json"));
    }
    if bytes.is_empty() {
        return Err(Problem::bad_request("The request needs a JSON body"));
    }
    // serde takes an array for a struct, fields by position; every body of ours is an object. The structs
    // within it see to it themselves, by `json::object`.
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Err(Problem::bad_request("The body must be a JSON object"));
    }
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(malformed)?;
    deserializer.end().map_err(|error| Problem::bad_request(error.to_string()))?;
    Ok(value)
}

/// What a part of a body says, where the parts are read one by one; 400 where it is no object, or not `T`.
pub fn read_part<T: DeserializeOwned>(part: Value) -> Result<T, Problem> {
    if !part.is_object() {
        return Err(Problem::bad_request("expected a JSON object"));
    }
    serde_path_to_error::deserialize(part).map_err(malformed)
}

fn malformed(error: serde_path_to_error::Error<serde_json::Error>) -> Problem {
    let path = error.path().to_string();
    let problem = Problem::bad_request(error.into_inner().to_string());
    if path == "." { problem } else { problem.with("field", path) }
}

/// `application/json` or any `+json` (RFC 6838 §4.2.8), parameters aside.
fn is_json(headers: &HeaderMap) -> bool {
    let essence = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .map(|essence| essence.trim().to_ascii_lowercase());
    essence.is_some_and(|essence| {
        essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
    })
}
