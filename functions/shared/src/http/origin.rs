//! Requests by way of the CloudFront distribution alone, where there is one in front of the API.
//!
//! API Gateway goes on answering at its own host name, past WAF, so the distribution shows with each request that it knows a secret.
//! Who does is also believed when it says where the client is: API Gateway sees CloudFront's address only.
//! <https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/add-origin-custom-headers.html>

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderName};

use super::ClientAddress;
use crate::aws::Aws;
use crate::clock::Clock;
use crate::config::Env;
use crate::problem::Problem;
use crate::run::Failure;
use crate::secret::{ReplaceableSecret, Values};

/// Holds the secret. The distribution puts it in place of what a client sent under this name.
pub const ORIGIN_PROOF: HeaderName = HeaderName::from_static("origin-proof");

/// Holds the client's address. The distribution puts it in place of what a client sent under this name.
pub const VIEWER_ADDRESS: HeaderName = HeaderName::from_static("viewer-address");

/// Where requests must come from: anywhere, unless there is a secret to be known.
#[derive(Debug, Clone, Default)]
pub struct Origin(Option<ReplaceableSecret>);

impl Origin {
    /// Reads the secret that `ORIGIN_SECRET` names, if it names one.
    pub async fn load(env: &Env, aws: &Aws) -> Result<Self, Failure> {
        let Some(name) = env.optional("ORIGIN_SECRET") else { return Ok(Self::default()) };
        Ok(Self(Some(ReplaceableSecret::load(aws.secrets_manager(), name, &Clock::system()).await?)))
    }

    /// Whoever knows one of these values.
    #[cfg(feature = "testing")]
    pub fn of(values: Values, clock: &Clock) -> Self {
        Self(Some(ReplaceableSecret::fixed(values, clock)))
    }

    /// The routes, which only requests from there reach.
    pub(super) fn guard(self, routes: Router) -> Router {
        match self.0 {
            Some(secret) => routes.layer(middleware::from_fn_with_state(secret, admit)),
            None => routes,
        }
    }
}

/// Lets through what came by way of the distribution, with the client's address as it tells it.
async fn admit(State(secret): State<ReplaceableSecret>, mut request: Request, next: Next) -> Response {
    if !proves(request.headers(), &*secret.get().await) {
        let proof = if request.headers().contains_key(ORIGIN_PROOF) { "another" } else { "none" };
        tracing::warn!(proof, "refused, because it did not come by way of the distribution");
        return Problem::forbidden("Only the API's public URL answers").into_response();
    }
    let address = request.headers().get(VIEWER_ADDRESS).and_then(|address| address.to_str().ok());
    let address = ClientAddress::parse(address);
    request.extensions_mut().insert(address);
    next.run(request).await
}

fn proves(headers: &HeaderMap, secret: &Values) -> bool {
    let Some(proof) = headers.get(ORIGIN_PROOF) else { return false };
    secret.iter().any(|value| verify_slices_are_equal(proof.as_bytes(), value.as_bytes()).is_ok())
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use http::{Method, StatusCode};
    use serde_json::Value;

    use crate::testing::{Answer, call, log};

    use super::super::{Json, finish};
    use super::*;

    const ADDRESS: &str = "2001:db8::7";

    fn router(origin: Origin) -> Router {
        let where_from = async |ClientAddress(address): ClientAddress| Json(address);
        finish(Router::new().route("/", get(where_from)), origin)
    }

    fn guarded(current: &str, previous: Option<&str>) -> Router {
        let values =
            Values { current: current.repeat(32), previous: previous.map(|previous| previous.repeat(32)) };
        router(Origin::of(values, &Clock::system()))
    }

    async fn ask(router: &Router, headers: &[(&HeaderName, &str)]) -> Answer {
        let mut request = call(Method::GET, "/");
        for (name, value) in headers {
            request = request.header(name.as_str(), value);
        }
        request.send(router).await
    }

    #[tokio::test]
    async fn who_knows_the_secret_is_believed_when_it_says_where_the_client_is() {
        let proof = "a".repeat(32);
        for router in [guarded("a", None), guarded("b", Some("a"))] {
            let answer = ask(&router, &[(&ORIGIN_PROOF, &proof), (&VIEWER_ADDRESS, ADDRESS)]).await;
            assert_eq!(answer.expect(StatusCode::OK).json, ADDRESS);
        }
        for nonsense in ["", "somewhere", "192.0.2.1:443", "192.0.2.1, 192.0.2.2"] {
            let answer =
                ask(&guarded("a", None), &[(&ORIGIN_PROOF, &proof), (&VIEWER_ADDRESS, nonsense)]).await;
            assert_eq!(answer.expect(StatusCode::OK).json, Value::Null, "{nonsense}");
        }
    }

    #[tokio::test]
    async fn whoever_does_not_is_refused_on_every_path_and_the_log_says_why() {
        log::start();
        let (router, name) = (guarded("a", Some("b")), ORIGIN_PROOF);
        for proof in
            [None, Some(""), Some("a"), Some(&*"c".repeat(32)), Some(&*format!("{0},{0}", "a".repeat(32)))]
        {
            let headers: Vec<_> = proof.map(|proof| (&name, proof)).into_iter().collect();
            let answer = ask(&router, &headers).await.expect(StatusCode::FORBIDDEN);
            assert_eq!(answer.json["detail"], "Only the API's public URL answers");
            let warning = log::lines().into_iter().rfind(|line| line["level"] == "WARN").expect("a warning");
            assert_eq!(warning["proof"], if proof.is_some() { "another" } else { "none" });
        }
        let _refused = call(Method::GET, "/none").send(&router).await.expect(StatusCode::FORBIDDEN);
    }

    #[tokio::test]
    async fn without_a_secret_all_are_let_in_and_what_they_say_of_their_address_is_worth_nothing() {
        let answer = ask(&router(Origin::default()), &[(&VIEWER_ADDRESS, ADDRESS)]).await;
        assert_eq!(answer.expect(StatusCode::OK).json, Value::Null);
    }
}
