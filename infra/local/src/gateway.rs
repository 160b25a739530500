//! Plays API Gateway's HTTP API on a local port for each service.
//!
//! On AWS all services share one origin, and a page of one calls the others. So each port answers every service's paths.
//!
//! Not a proxy to the `/lambda-url/` paths of `cargo lambda watch`: those refuse bodies that are not UTF-8 with a 500 of
//! their own, and would hang when a function's process dies. This makes the event that AWS makes, payload format 2.0.
//! <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>

mod answer;
pub mod cors;
mod distribution;
mod event;
mod route;
#[cfg(test)]
mod tests;

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tower_http::cors::CorsLayer;
use tracing::warn;

use crate::ambient;
use crate::invoke::{Failure, Functions};
pub use distribution::Distribution;
pub use route::Table;

/// Most bytes of a request's body, as on AWS.
const LARGEST_BODY: usize = 10 * 1024 * 1024;

/// A function that answers requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callee {
    /// Its name.
    pub function: String,
    /// How long it may take.
    pub timeout: Duration,
}

/// What is behind a port.
#[derive(Debug, Clone)]
pub struct Target {
    /// Who answers what no route takes: the function of the API's `$default` route.
    pub default: Callee,
    /// The routes of all services.
    pub routes: Arc<Table>,
    /// Where `cargo lambda watch` answers, such as `http://127.0.0.1:9000`.
    pub watch_url: String,
    /// Is notified when a function takes long.
    pub doubt: Arc<Notify>,
    /// What answers browsers that ask for pages of other origins; `None`: nothing does.
    pub cors: Option<CorsLayer>,
    /// What stands in front; `None`: nothing does.
    pub distribution: Option<Distribution>,
    /// Pages of the local run itself, which are on this port too; every other request is the function's.
    pub pages: Router,
}

/// Listens on `port` of the loopback interface: IPv4 always, IPv6 where there is one, so that `localhost` works whichever
/// of the two it resolves to.
pub async fn listen(port: u16) -> io::Result<Vec<TcpListener>> {
    let first = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let port = first.local_addr()?.port();
    let second = match TcpListener::bind((Ipv6Addr::LOCALHOST, port)).await {
        // Somebody else's, who would answer half of the requests.
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(error),
        // A machine without IPv6.
        second => second.ok(),
    };
    Ok([Some(first), second].into_iter().flatten().collect())
}

/// Answers on the listeners until `shutdown`.
pub async fn serve(
    listeners: Vec<TcpListener>,
    target: Target,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<()> {
    let functions = Functions::new(&target.watch_url, Arc::clone(&target.doubt))?;
    let (pages, cors) = (target.pages.clone().with_state(()), target.cors.clone());
    let router = pages.fallback(forward).method_not_allowed_fallback(forward);
    let router = router.with_state(Arc::new(Gateway { functions, target }));
    let router = match cors {
        Some(cors) => router.layer(cors),
        None => router,
    };
    let mut servers = JoinSet::new();
    for listener in listeners {
        let service = router.clone().into_make_service_with_connect_info::<SocketAddr>();
        servers.spawn(async move { axum::serve(listener, service).await });
    }
    tokio::select! {
        () = shutdown => Ok(()),
        Some(ended) = servers.join_next() => Ok(ended??),
    }
}

struct Gateway {
    functions: Functions,
    target: Target,
}

async fn forward(
    State(gateway): State<Arc<Gateway>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    let request_id = ambient::request_id();
    let Target { default, routes, .. } = &gateway.target;
    let callee = routes.find(request.method().as_str(), request.uri().path()).unwrap_or(default);
    let mut response = match gateway.answer(callee, request, peer, &request_id).await {
        Ok(response) => response,
        Err(refusal) => {
            let function = &callee.function;
            if refusal.status.is_server_error() {
                warn!(
                    function,
                    request_id,
                    status = refusal.status.as_u16(),
                    detail = refusal.detail,
                    "no answer"
                );
            }
            refusal.response(&request_id)
        }
    };
    if let Ok(request_id) = HeaderValue::from_str(&request_id) {
        response.headers_mut().insert("apigw-requestid", request_id);
    }
    response
}

impl Gateway {
    async fn answer(
        &self,
        callee: &Callee,
        request: Request,
        peer: SocketAddr,
        request_id: &str,
    ) -> Result<Response, Refusal> {
        let (mut parts, body) = request.into_parts();
        let body = to_bytes(body, LARGEST_BODY).await.map_err(|error| {
            // axum wraps the one error that says so.
            if format!("{error:?}").contains("LengthLimitError") {
                Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than 10 MB".to_owned())
            } else {
                Refusal::new(StatusCode::BAD_REQUEST, "the body broke off".to_owned())
            }
        })?;
        if let Some(distribution) = &self.target.distribution {
            distribution.mark(&mut parts.headers, peer.ip()).await.map_err(|error| {
                Refusal::new(StatusCode::BAD_GATEWAY, format!("the distribution's secret is {error:#}"))
            })?;
        }
        let event = event::event(&parts, &body, peer.ip(), request_id, ambient::now())
            .map_err(|reason| Refusal::new(StatusCode::BAD_REQUEST, reason.to_owned()))?;
        let answer = self.functions.invoke(&callee.function, &event, callee.timeout).await?;
        answer::response(&answer).ok_or_else(|| {
            Failure::Unreadable("not an HTTP response in API Gateway's format".to_owned()).into()
        })
    }
}

/// Why the gateway itself answers.
struct Refusal {
    status: StatusCode,
    detail: String,
}

impl Refusal {
    fn new(status: StatusCode, detail: String) -> Self {
        Self { status, detail }
    }

    /// In the form that our own problems have.
    fn response(self, request_id: &str) -> Response {
        let Self { status, detail } = self;
        let title = status.canonical_reason().unwrap_or_default();
        let problem = serde_json::json!({
            "type": "urn:problem-type:gateway",
            "title": title,
            "status": status.as_u16(),
            "detail": detail,
            "request_id": request_id,
        });
        let mut response = Response::new(Body::from(problem.to_string()));
        *response.status_mut() = status;
        let content_type = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert("content-type", content_type);
        response
    }
}

/// Whoever reads this runs the system on their own machine: say what happened and where to look.
impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        let status = match failure {
            Failure::Unreachable(_) => StatusCode::SERVICE_UNAVAILABLE,
            Failure::TimedOut(_) => StatusCode::GATEWAY_TIMEOUT,
            Failure::Unknown(_) | Failure::Failed(_) | Failure::Unreadable(_) | Failure::BrokeOff => {
                StatusCode::BAD_GATEWAY
            }
        };
        Self::new(status, format!("the function gave no response: {failure}; see the log of cargo local"))
    }
}
