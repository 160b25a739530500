//! Starting a function.

use std::error::Error;
use std::process::ExitCode;

use axum::Router;
use http::header::HOST;
use lambda_http::Adapter;
use lambda_http::request::LambdaRequest;
use lambda_runtime::tower::ServiceExt as _;
use lambda_runtime::{Context, LambdaEvent, service_fn};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tracing::Instrument as _;

use crate::config::Env;
use crate::problem::Chain;
use crate::trace::Trace;
use crate::{metrics, telemetry};

/// Why a function could not start, or stopped.
pub type Failure = Box<dyn Error + Send + Sync>;

/// Runs `function`, the program `name`, on a current-thread runtime: one sandbox handles one request at a time, and a thread pool would
/// only add hand-overs between threads. A failure is logged with all its causes and ends the process, which Lambda reports.
pub fn start<F: Future<Output = Result<(), Failure>>>(
    name: &'static str,
    function: impl FnOnce(Env) -> F,
) -> ExitCode {
    let env = Env::process();
    telemetry::init(&env);
    metrics::init(&env, name);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(function(env)),
        Err(error) => Err(error.into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = %Chain(error.as_ref()), "the function cannot run");
            ExitCode::FAILURE
        }
    }
}

/// Serves `router` behind an API Gateway HTTP API.
pub async fn http(router: Router) -> Result<(), Failure> {
    lambda_runtime::run(Adapter::from(router).map_request(presentable)).await
}

/// Serves events that are no requests and no batches: those of a schedule, a topic, or whoever invokes the function.
pub async fn events<T: DeserializeOwned, R: Serialize>(
    handle: impl AsyncFn(T) -> Result<R, Failure>,
) -> Result<(), Failure> {
    let handle = &handle;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<T>| {
        // Boxed, because the compiler limits how deep futures may nest.
        Box::pin(async move {
            let work = async {
                let outcome = handle(event.payload).await;
                metrics::handled(outcome.is_ok().into(), outcome.is_err().into());
                outcome
            };
            invocation(&event.context, work).await
        })
    }))
    .await
}

/// Runs `work`, an invocation that is no request: with its span and trace, and its line of metrics in the end.
pub(crate) async fn invocation<F: Future>(context: &Context, work: F) -> F::Output {
    let trace = Trace::of_invocation(context.xray_trace_id.as_deref());
    let span = tracing::info_span!(
        "invocation",
        request_id = context.request_id,
        trace_id = %trace.trace_id(),
        span_id = %trace.span_id(),
    );
    metrics::cold_start();
    let output = trace.run(&context.request_id, work).instrument(span).await;
    metrics::flush();
    output
}

/// The event in a form from which `lambda_http` can build a request: it panics where Host, X-Forwarded-Proto or the query
/// string cannot be part of a URI, all of which a client writes. Nothing here reads the first two.
fn presentable(mut event: LambdaEvent<LambdaRequest>) -> LambdaEvent<LambdaRequest> {
    if let LambdaRequest::ApiGatewayV2(request) = &mut event.payload {
        request.headers.remove(HOST);
        request.headers.remove("x-forwarded-proto");
        request.request_context.domain_name = None;
        if let Some(query) = &mut request.raw_query_string
            && !query.bytes().all(may_stand_in_query)
        {
            let encode = |byte| {
                if may_stand_in_query(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }
            };
            *query = query.bytes().map(encode).collect();
        }
    }
    event
}

/// RFC 3986 §3.4, and what `http::Uri` takes besides.
fn may_stand_in_query(byte: u8) -> bool {
    matches!(byte, b'!' | b'$'..=b';' | b'=' | b'?'..=b'~')
}

#[cfg(test)]
mod tests {
    use http::Request;
    use serde_json::json;

    use super::*;

    fn request(path: &str, query: &str, headers: &serde_json::Value) -> Request<lambda_http::Body> {
        let event = json!({
            "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": query,
            "headers": headers, "isBase64Encoded": false,
            "requestContext": {
                "http": {"method": "GET", "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1"},
                "stage": "$default", "domainName": "api.example.com", "timeEpoch": 0,
            },
        });
        let event = serde_json::from_value(event).unwrap();
        let event = LambdaEvent::new(LambdaRequest::ApiGatewayV2(event), Context::default());
        presentable(event).payload.into()
    }

    #[test]
    fn a_good_request_keeps_its_path_query_and_headers() {
        let headers = json!({"host": "api.example.com", "authorization": "Bearer x"});
        let request = request("/orders", "cursor=a%20b&limit=2", &headers);
        assert_eq!(request.uri().path(), "/orders");
        assert_eq!(request.uri().query(), Some("cursor=a%20b&limit=2"));
        assert_eq!(request.headers()["authorization"], "Bearer x");
    }

    #[test]
    fn whatever_a_client_writes_becomes_a_request() {
        for query in ["x=\"<>\"", "a b", "\u{1}", "ä", "#", "%", "%zz", "{}|^`\\"] {
            let request = request("/orders", query, &json!({}));
            assert_eq!(request.uri().path(), "/orders", "{query}");
        }
        for path in ["//", "/a b", "/\u{1}", "/ä", "/%", "/?", "/#", "/..%2f", "/\\", "/:80", "/@x"] {
            let _built = request(path, "", &json!({}));
        }
        for hostile in ["", "%%%", "[", "a b", "x:y:z", "@", "http://"] {
            let headers = json!({"host": hostile, "x-forwarded-proto": hostile});
            assert_eq!(request("/orders", "", &headers).uri().path(), "/orders", "{hostile}");
        }
    }
}
