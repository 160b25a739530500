//! What every request passes: an id, a log line, a size limit, and problem+json for whatever goes wrong.

mod client_address;
mod extract;
mod form;
mod if_match;
mod origin;

use std::any::Any;

use axum::Router;
use axum::body::HttpBody as _;
use axum::extract::{MatchedPath, Request};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, HeaderName};
use http::{HeaderValue, Method, StatusCode};
use lambda_http::RequestExt as _;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::{Instrument as _, field};

pub use client_address::ClientAddress;
pub use extract::{Json, OptionalJson, Path, Query, read_part};
pub use form::Form;
pub use if_match::{ETag, IfMatch, IfNoneMatch, precondition_failed};
pub use origin::{ORIGIN_PROOF, Origin, VIEWER_ADDRESS};

pub(crate) use extract::read;

use crate::metrics;
use crate::problem::Problem;
use crate::trace::Trace;

/// The largest request body, in bytes, of a route that does not say otherwise.
pub const BODY_LIMIT: usize = 64 * 1024;

/// The largest limit that a route may have: with its envelope, Lambda takes no more than 6 MB.
pub const MAX_BODY_LIMIT: usize = 1024 * 1024;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Wraps a function's routes in all that is the same for every request.
pub fn finish(routes: Router, origin: Origin) -> Router {
    let routes = routes
        .fallback(|| async { Problem::not_found("No such path") })
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn(largest));
    origin.guard(routes).layer(CatchPanicLayer::custom(panicked)).layer(middleware::from_fn(observe))
}

pub(crate) async fn method_not_allowed(method: Method) -> Problem {
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "The path does not take this method")
        .detail(format!("{method} is not among those that the Allow header names"))
}

/// What no route takes.
async fn largest(request: Request, next: Next) -> Response {
    limit(MAX_BODY_LIMIT, request, next).await
}

/// The body is in memory already (Lambda hands over the whole event), so its size is known.
pub(crate) async fn limit(bytes: usize, request: Request, next: Next) -> Response {
    if request.body().size_hint().lower() > bytes as u64 {
        return too_large(bytes).into_response();
    }
    next.run(request).await
}

fn too_large(bytes: usize) -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", "The request body is too large")
        .detail(format!("At most {bytes} bytes"))
}

fn panicked(panic: Box<dyn Any + Send>) -> Response {
    // The panic hook has logged the place.
    drop(panic);
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something went wrong on our side")
        .into_response()
}

/// One span, one log line and one line of metrics per request; the request's id in the answer and in each problem.
async fn observe(request: Request, next: Next) -> Response {
    let started = tokio::time::Instant::now();
    let context = request.lambda_context_ref();
    // What the caller sent as an id is never trusted.
    let id = context.map_or_else(|| "local".to_owned(), |context| context.request_id.clone());
    let xray = context.and_then(|context| context.xray_trace_id.as_deref());
    let trace = Trace::of_request(request.headers(), xray);
    // The route's pattern, never the path: what people put into paths stays out of the log.
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let span = tracing::info_span!(
        "request",
        request_id = id,
        trace_id = %trace.trace_id(),
        span_id = %trace.span_id(),
        order_trace_id = field::Empty,
        method = %request.method(),
        route,
        user_id = field::Empty,
    );
    let work = async {
        let mut response = next.run(request).await;
        if let Some(problem) = response.extensions_mut().remove::<Problem>() {
            let allow = response.headers_mut().remove(http::header::ALLOW);
            response = problem.respond(Some(&id));
            if let Some(allow) = allow {
                response.headers_mut().insert(http::header::ALLOW, allow);
            }
        }
        let headers = response.headers_mut();
        if let Ok(id) = HeaderValue::try_from(&id) {
            headers.insert(REQUEST_ID, id);
        }
        // Answers are about one caller at one moment, unless a handler says otherwise.
        headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
        let (elapsed, cold_start) = (started.elapsed(), metrics::cold_start());
        tracing::info!(
            status = response.status().as_u16(),
            duration_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX),
            cold_start,
            "answered"
        );
        metrics::request(response.status(), elapsed);
        metrics::flush();
        response
    };
    trace.run(&id, work).instrument(span).await
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use http::Method;
    use lambda_http::Context;
    use serde_json::json;

    use super::*;
    use crate::testing::{call, log};
    use crate::trace::follow;

    #[tokio::test]
    async fn a_request_is_one_line_with_all_that_a_query_asks_for() {
        log::start();
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let handler = async || {
            tracing::info!("at work");
            follow(None, async { tracing::info!("a step") }).await;
            Trace::current().map(|trace| trace.to_string()).unwrap_or_default()
        };
        let router = finish(Router::new().route("/things/{id}", get(handler)), Origin::default());
        let request = call(Method::GET, "/things/secret-in-the-path").header("traceparent", parent);
        let answer = request.send(&router).await.expect(StatusCode::OK);
        let carried: Trace = answer.json.as_str().unwrap().parse().unwrap();

        let lines = log::lines();
        let [work, step, answered] = lines.as_slice() else { panic!("{lines:?}") };
        assert_eq!(answered["message"], "answered");
        assert_eq!((&answered["level"], &answered["status"]), (&json!("INFO"), &json!(200)));
        assert!(answered["duration_ms"].is_u64() && answered["cold_start"].is_boolean(), "{answered}");
        let expected = json!({
            "name": "request",
            "request_id": "local",
            "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
            "span_id": carried.span_id().to_string(),
            "method": "GET",
            "route": "/things/{id}",
        });
        assert_eq!((&answered["span"], &work["span"]), (&expected, &expected));
        assert_ne!(carried.span_id().to_string(), "00f067aa0ba902b7", "that is the caller's");
        assert_eq!(step["span"]["trace_id"], expected["trace_id"]);
        assert_eq!(step["span"]["request_id"], "local");
        assert_ne!(step["span"]["span_id"], expected["span_id"]);
    }

    #[tokio::test]
    async fn the_invocations_own_id_and_trace_are_taken_from_lambda() {
        log::start();
        let mut context = Context::default();
        context.request_id = "8476a536-e9f4-11e8-9739-2dfe598c3fcd".to_owned();
        context.xray_trace_id = Some("Root=1-67891233-abcdef012345678912345678;Sampled=0".to_owned());
        let request = http::Request::new(axum::body::Body::empty()).with_lambda_context(context.clone());
        let router = finish(Router::new(), Origin::default());
        let answer = tower::ServiceExt::oneshot(router, request).await.unwrap();
        assert_eq!(answer.headers()[REQUEST_ID], context.request_id.as_str());
        let line = log::lines().pop().unwrap();
        assert_eq!(line["span"]["request_id"], context.request_id.as_str());
        assert_eq!(line["span"]["trace_id"], "67891233abcdef012345678912345678");
    }
}
