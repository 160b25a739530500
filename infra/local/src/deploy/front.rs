//! The same ports as in the local run, one for each service; behind all of them is the deployed HTTP API.

use anyhow::{Context as _, Result};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{HOST, HeaderValue, TRANSFER_ENCODING};
use axum::http::{Response, StatusCode};
use reqwest::Client;
use reqwest::redirect::Policy;
use tokio::task::JoinSet;

use crate::gateway;

/// Most bytes of a request's body that are passed on: more than API Gateway takes, which is for it to say.
const LARGEST_BODY: usize = 16 * 1024 * 1024;

#[derive(Clone)]
struct Api {
    client: Client,
    endpoint: String,
    /// By its host name the emulator knows which API is meant.
    host: HeaderValue,
}

/// Listens on the port, and returns what answers there.
pub(super) async fn listen(
    port: u16,
    endpoint: &str,
    api_id: &str,
) -> Result<impl Future<Output = Result<()>> + use<>> {
    let client = Client::builder().no_proxy().redirect(Policy::none()).build()?;
    let host = HeaderValue::from_str(&format!("{api_id}.execute-api.localhost"))?;
    let api = Api { client, endpoint: endpoint.to_owned(), host };
    let listeners = gateway::listen(port).await?;
    Ok(async move {
        let router = Router::new().fallback(forward).with_state(api);
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

async fn forward(State(api): State<Api>, request: Request) -> Response<Body> {
    api.answer(request).await.unwrap_or_else(|error| {
        let mut response = Response::new(Body::from(format!("the rehearsal's port: {error:#}\n")));
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        response
    })
}

impl Api {
    async fn answer(&self, request: Request) -> Result<Response<Body>> {
        let (parts, body) = request.into_parts();
        let body = to_bytes(body, LARGEST_BODY).await.context("the body is too large or broke off")?;
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut headers = parts.headers;
        headers.insert(HOST, self.host.clone());
        headers.remove(TRANSFER_ENCODING);
        let url = format!("{}{path}", self.endpoint);
        let request = self.client.request(parts.method, url).headers(headers).body(body);
        let mut answer = request.send().await.context("the emulated API does not answer")?;
        let mut response = Response::new(Body::empty());
        *response.status_mut() = answer.status();
        std::mem::swap(response.headers_mut(), answer.headers_mut());
        response.headers_mut().remove(TRANSFER_ENCODING);
        *response.body_mut() = Body::from(answer.bytes().await.context("the answer broke off")?);
        Ok(response)
    }
}
