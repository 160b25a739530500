//! What a function answers, to HTTP response.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// Made anew for the connection to the caller.
const NOT_FORWARDED: [&str; 4] = ["connection", "content-length", "keep-alive", "transfer-encoding"];

/// The response; `None` when the answer is not one. An answer without `statusCode` is itself the body of a 200, as on AWS.
pub(super) fn response(answer: &Value) -> Option<Response> {
    let Some(status) = answer.get("statusCode").filter(|status| !status.is_null()) else {
        let mut response = Response::new(Body::from(answer.to_string()));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        return Some(response);
    };
    let status = status.as_u64().or_else(|| status.as_str()?.parse().ok())?;
    let status = StatusCode::from_u16(u16::try_from(status).ok()?).ok()?;
    if status.is_informational() {
        return None;
    }
    let body = match &answer["body"] {
        Value::Null => Vec::new(),
        Value::String(text) if answer["isBase64Encoded"] == true => STANDARD.decode(text).ok()?,
        Value::String(text) => text.clone().into_bytes(),
        body => body.to_string().into_bytes(),
    };
    let mut headers = HeaderMap::new();
    for (name, value) in object(&answer["headers"]) {
        append(&mut headers, name, value)?;
    }
    let single = headers.clone();
    for (name, values) in object(&answer["multiValueHeaders"]) {
        if single.contains_key(name.as_str()) {
            continue;
        }
        for value in values.as_array()? {
            append(&mut headers, name, value)?;
        }
    }
    for cookie in answer["cookies"].as_array().into_iter().flatten() {
        append(&mut headers, SET_COOKIE.as_str(), cookie)?;
    }
    if !body.is_empty() && !headers.contains_key(CONTENT_TYPE) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    }
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Some(response)
}

fn object(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

fn append(headers: &mut HeaderMap, name: &str, value: &Value) -> Option<()> {
    let value = match value {
        Value::String(text) => text.clone(),
        Value::Number(_) | Value::Bool(_) => value.to_string(),
        _ => return None,
    };
    let name: HeaderName = name.parse().ok()?;
    if !NOT_FORWARDED.contains(&name.as_str()) {
        headers.append(name, HeaderValue::from_str(&value).ok()?);
    }
    Some(())
}
