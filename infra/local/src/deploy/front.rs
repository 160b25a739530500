//! The same ports as in the local run: one for each service, behind which is the deployed HTTP API, and one like that of
//! `cargo lambda watch`, where functions are also invoked by their names.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, Request, State};
use axum::http::header::{HOST, TRANSFER_ENCODING};
use axum::http::{Response, StatusCode};
use axum::routing::post;
use reqwest::Client;
use reqwest::redirect::Policy;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::gateway;
use crate::provision::credential;

/// Most bytes of a request's body that are passed on: more than API Gateway takes, which is for it to say.
const LARGEST_BODY: usize = 16 * 1024 * 1024;

/// Requests under way at once; the others wait here. The emulator starts an instance of a function for each, all on this machine:
/// of 250 at once, most did not start in time.
const IN_FLIGHT: usize = 16;

/// What answers on the ports.
#[derive(Clone)]
pub(super) struct Api {
    client: Client,
    endpoint: String,
    /// The API's own URL. Not by its host name: before it looks at that, the emulator takes `POST /login` for one of Cognito's.
    url: String,
    /// What callers of each function name there, by its name here.
    functions: Arc<BTreeMap<String, String>>,
    in_flight: Arc<Semaphore>,
}

async fn forward(State(api): State<Api>, request: Request) -> Response<Body> {
    or_bad_gateway(api.answer(request).await)
}

async fn invoke(State(api): State<Api>, Path(name): Path<String>, body: String) -> Response<Body> {
    or_bad_gateway(api.invoke(&name, body).await)
}

fn or_bad_gateway(answer: Result<Response<Body>>) -> Response<Body> {
    answer.unwrap_or_else(|error| {
        let mut response = Response::new(Body::from(format!("the rehearsal's port: {error:#}\n")));
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        response
    })
}

impl Api {
    pub(super) fn new(endpoint: &str, api_id: &str, functions: BTreeMap<String, String>) -> Result<Self> {
        Ok(Self {
            client: Client::builder().no_proxy().redirect(Policy::none()).build()?,
            endpoint: endpoint.to_owned(),
            url: format!("{endpoint}/_aws/execute-api/{api_id}/$default"),
            functions: Arc::new(functions),
            in_flight: Arc::new(Semaphore::new(IN_FLIGHT)),
        })
    }

    /// Listens on the port, and returns what answers there.
    pub(super) async fn listen(self, port: u16) -> Result<impl Future<Output = Result<()>> + use<>> {
        let listeners = gateway::listen(port).await?;
        Ok(async move {
            let invocations = post(invoke).fallback(forward);
            let router = Router::new().route("/2015-03-31/functions/{name}/invocations", invocations);
            let router = router.fallback(forward).with_state(self);
            let mut servers = JoinSet::new();
            for listener in listeners {
                let router = router.clone();
                servers.spawn(async move { axum::serve(listener, router).await });
            }
            match servers.join_next().await {
                Some(ended) => Ok(ended??),
                None => Ok(()),
            }
        })
    }

    /// Lambda answers 200 also where the function failed; `cargo lambda watch` does not, and its callers know no other way.
    async fn invoke(&self, name: &str, event: String) -> Result<Response<Body>> {
        let function = self.functions.get(name).with_context(|| format!("no function {name} is deployed"))?;
        let url = format!("{}/2015-03-31/functions/{function}/invocations", self.endpoint);
        let request = self.client.post(url).header("Authorization", credential("lambda")).body(event);
        let _permit = self.in_flight.acquire().await?;
        let answer = request.send().await.context("the emulator does not answer")?;
        let failed = answer.headers().contains_key("x-amz-function-error");
        let status = if failed { StatusCode::INTERNAL_SERVER_ERROR } else { answer.status() };
        let mut response = Response::new(Body::from(answer.bytes().await.context("the answer broke off")?));
        *response.status_mut() = status;
        Ok(response)
    }

    async fn answer(&self, request: Request) -> Result<Response<Body>> {
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, LARGEST_BODY).await.context("the body is too large or broke off")?;
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut headers = parts.headers;
        headers.remove(HOST);
        headers.remove(TRANSFER_ENCODING);
        let url = format!("{}{path}", self.url);
        let request = self.client.request(parts.method, url).headers(headers).body(body);
        let _permit = self.in_flight.acquire().await?;
        let mut answer = request.send().await.context("the emulated API does not answer")?;
        let mut response = Response::new(Body::empty());
        *response.status_mut() = answer.status();
        std::mem::swap(response.headers_mut(), answer.headers_mut());
        response.headers_mut().remove(TRANSFER_ENCODING);
        *response.body_mut() = Body::from(answer.bytes().await.context("the answer broke off")?);
        Ok(response)
    }
}
