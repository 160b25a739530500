//! Answers browsers as API Gateway does for an HTTP API with `CorsConfiguration`.
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-cors.html>

use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, Result};
use template::Cors;
use tower_http::cors::CorsLayer;

/// What answers preflight requests, and adds the headers that let a page read an answer.
pub fn layer(cors: &Cors) -> Result<CorsLayer> {
    Ok(CorsLayer::new()
        .allow_origin(all::<axum::http::HeaderValue>(&cors.allow_origins)?)
        .allow_methods(all::<axum::http::Method>(&cors.allow_methods)?)
        .allow_headers(all::<axum::http::HeaderName>(&cors.allow_headers)?)
        .expose_headers(all::<axum::http::HeaderName>(&cors.expose_headers)?)
        .max_age(Duration::from_secs(cors.max_age)))
}

fn all<T: FromStr<Err: std::error::Error + Send + Sync + 'static>>(texts: &[String]) -> Result<Vec<T>> {
    let parse = |text: &String| text.parse().with_context(|| format!("CorsConfiguration has {text}"));
    texts.iter().map(parse).collect()
}
