//! HTTP request to API Gateway event, payload format 2.0.

use std::collections::BTreeMap;
use std::net::IpAddr;

use axum::http::header::{CONTENT_TYPE, COOKIE, HOST, USER_AGENT};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use reqwest::Url;
use serde_json::{Value, json};
use template::ACCOUNT;

/// Concern the connection, not the request (RFC 9110 §7.6.1); cookies have a place of their own.
const NOT_FORWARDED: [&str; 8] = [
    "connection",
    "cookie",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The event for a request, or why there is none: the functions' runtime would panic on a host and path that make no URL,
/// and cannot read a header that is not ASCII.
pub(super) fn event(
    parts: &Parts,
    body: &[u8],
    peer: IpAddr,
    request_id: &str,
    now: Timestamp,
) -> Result<Value, &'static str> {
    if parts.headers.values().any(|value| value.to_str().is_err()) {
        return Err("a header is not ASCII");
    }
    let host = parts.headers.get(HOST).map_or("localhost", text);
    let path = parts.uri.path();
    let query = parts.uri.query().unwrap_or_default();
    let url = Url::parse(&format!("http://{host}{path}?{query}"));
    let url = url.ok().filter(|_| path.starts_with('/') && !host.contains(['/', '?', '#', '@', '\\']));
    let url = url.ok_or("the host or path is not valid")?;
    let (content, is_base64) = if is_text(&parts.headers) && str::from_utf8(body).is_ok() {
        (String::from_utf8_lossy(body).into_owned(), false)
    } else {
        (STANDARD.encode(body), true)
    };
    let mut event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers(&parts.headers, peer),
        "requestContext": {
            "accountId": ACCOUNT,
            "apiId": "local",
            "domainName": host,
            "domainPrefix": "local",
            "http": {
                "method": parts.method.as_str(),
                "path": path,
                "protocol": format!("{:?}", parts.version),
                "sourceIp": peer,
                "userAgent": parts.headers.get(USER_AGENT).map_or("", text),
            },
            "requestId": request_id,
            "routeKey": "$default",
            "stage": "$default",
            "time": now.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string(),
            "timeEpoch": now.as_millisecond(),
        },
        "isBase64Encoded": is_base64 && !body.is_empty(),
    });
    if !body.is_empty() {
        event["body"] = json!(content);
    }
    let cookies =
        parts.headers.get_all(COOKIE).iter().flat_map(|value| text(value).split(';').map(str::trim));
    let cookies: Vec<_> = cookies.filter(|cookie| !cookie.is_empty()).collect();
    if !cookies.is_empty() {
        event["cookies"] = json!(cookies);
    }
    let parameters = joined(url.query_pairs().map(|(name, value)| (name.into_owned(), value.into_owned())));
    if !parameters.is_empty() {
        event["queryStringParameters"] = json!(parameters);
    }
    Ok(event)
}

/// A header's value, which was found to be ASCII.
fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or_default()
}

/// Lower-case names; a repeated header's values are joined by commas.
fn headers(headers: &HeaderMap, peer: IpAddr) -> BTreeMap<String, String> {
    let forwarded = headers.iter().filter(|(name, _)| !NOT_FORWARDED.contains(&name.as_str()));
    let mut joined = joined(forwarded.map(|(name, value)| (name.to_string(), text(value).to_owned())));
    // As on AWS, what the caller claims comes first: only the last address can be believed.
    let claimed = joined.get("x-forwarded-for").map(|claimed| format!("{claimed}, "));
    joined.insert("x-forwarded-for".to_owned(), format!("{}{peer}", claimed.unwrap_or_default()));
    joined.insert("x-forwarded-proto".to_owned(), "http".to_owned());
    joined
}

fn joined(pairs: impl Iterator<Item = (String, String)>) -> BTreeMap<String, String> {
    let mut joined: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in pairs {
        joined
            .entry(name)
            .and_modify(|values| {
                values.push(',');
                values.push_str(&value);
            })
            .or_insert(value);
    }
    joined
}

/// What is not known to be text is sent as base64.
fn is_text(headers: &HeaderMap) -> bool {
    let Some(content_type) = headers.get(CONTENT_TYPE) else {
        return true;
    };
    let content_type = text(content_type).to_ascii_lowercase();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.starts_with("text/")
        || essence.ends_with("+json")
        || essence.ends_with("+xml")
        || [
            "application/json",
            "application/xml",
            "application/javascript",
            "application/x-www-form-urlencoded",
        ]
        .contains(&essence)
}
