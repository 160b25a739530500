//! `GET /.well-known/oauth-authorization-server` (RFC 8414) and `GET /.well-known/openid-configuration` (OIDC Discovery 1.0):
//! what a client or a resource server needs to know, by the issuer's name alone. One document at both.
//!
//! We are no OIDC provider: there is no authorization endpoint and no ID token, and `/login` and `/register` are not the
//! endpoints that OAuth calls token and registration endpoint, so none of these is listed. What the specifications require
//! all the same has the value that promises least.

use axum::extract::State;
use http::HeaderName;
use http::header::CACHE_CONTROL;
use serde::Serialize;
use shared::http::Json;
use shared::token::{Algorithm, PublishedKey};

use super::jwks::CACHE;
use super::token::GRANT;
use crate::State as App;
use crate::tokens::SCOPE;

/// The metadata (RFC 8414 §2, OIDC Discovery 1.0 §3).
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub(crate) struct Metadata {
    /// `iss` of every token.
    issuer: String,
    jwks_uri: String,
    token_endpoint: String,
    /// Whoever holds a refresh token may use it: our front end cannot keep a secret.
    token_endpoint_auth_methods_supported: [&'static str; 1],
    revocation_endpoint: String,
    /// Whoever holds a token may end it.
    revocation_endpoint_auth_methods_supported: [&'static str; 1],
    introspection_endpoint: String,
    introspection_endpoint_auth_methods_supported: [&'static str; 2],
    /// Absent, it would mean grants that need an authorization endpoint.
    grant_types_supported: [&'static str; 1],
    scopes_supported: [&'static str; 1],
    /// Required, and must not be empty: `none` is the registered type that returns nothing (OAuth 2.0 Multiple Response
    /// Type Encoding Practices §4).
    response_types_supported: [&'static str; 1],
    /// Everybody sees the same `sub`.
    subject_types_supported: [&'static str; 1],
    /// What our keys sign, access tokens in our case. Required, and must name RS256, whatever they sign.
    id_token_signing_alg_values_supported: Vec<Algorithm>,
}

impl Metadata {
    fn new(issuer: &str, keys: &[PublishedKey]) -> Self {
        let url = |path: &str| format!("{}{path}", issuer.trim_end_matches('/'));
        let mut algorithms = vec![Algorithm::Rs256];
        for key in keys {
            if !algorithms.contains(&key.alg) {
                algorithms.push(key.alg);
            }
        }
        Self {
            issuer: issuer.to_owned(),
            jwks_uri: url("/.well-known/jwks.json"),
            token_endpoint: url("/token"),
            token_endpoint_auth_methods_supported: ["none"],
            revocation_endpoint: url("/revoke"),
            revocation_endpoint_auth_methods_supported: ["none"],
            introspection_endpoint: url("/introspect"),
            introspection_endpoint_auth_methods_supported: ["client_secret_basic", "client_secret_post"],
            grant_types_supported: [GRANT],
            scopes_supported: [SCOPE],
            response_types_supported: ["none"],
            subject_types_supported: ["public"],
            id_token_signing_alg_values_supported: algorithms,
        }
    }
}

/// The metadata; the issuer is the one that stands beside the verification keys.
pub(crate) async fn get(State(app): State<App>) -> ([(HeaderName, &'static str); 1], Json<Metadata>) {
    let keys = app.verifier.keys().await;
    let document = keys.document();
    ([(CACHE_CONTROL, CACHE)], Json(Metadata::new(&document.issuer, &document.keys)))
}

#[cfg(test)]
mod tests {
    use http::{Method, StatusCode};
    use serde_json::{Value, json};
    use shared::testing::{ISSUER, call, issuer};

    use super::*;
    use crate::testing::App;

    const PATHS: [&str; 2] = ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"];

    #[tokio::test]
    async fn it_says_what_the_specifications_require() {
        let app = App::new().await;
        for path in PATHS {
            let answer = app.get(path).await.expect(StatusCode::OK);
            assert_eq!(answer.headers["cache-control"], "public, max-age=300");
            assert_eq!(answer.headers["content-type"], "application/json");
            // RFC 8414 §3.3: exactly the issuer that the tokens name.
            assert_eq!(answer.json["issuer"], ISSUER);
            for required in [
                "jwks_uri",
                "token_endpoint",
                "response_types_supported",
                "subject_types_supported",
                "id_token_signing_alg_values_supported",
            ] {
                assert!(!answer.json[required].is_null(), "{required}");
            }
            // RFC 8414 §3.2: no empty lists.
            let lists = answer.json.as_object().unwrap().values().filter_map(Value::as_array);
            assert!(lists.into_iter().all(|list| !list.is_empty()));
        }
    }

    #[tokio::test]
    async fn every_url_that_it_lists_is_answered_by_us() {
        let app = App::new().await;
        let metadata = app.get(PATHS[0]).await.json;
        let mut count = 0;
        for (name, url) in metadata.as_object().unwrap() {
            let Some(path) = url.as_str().and_then(|url| url.strip_prefix(ISSUER)) else { continue };
            match name.as_str() {
                "issuer" => continue,
                "jwks_uri" => {
                    let keys = app.get(path).await.expect(StatusCode::OK).json;
                    assert_eq!(keys["keys"][0]["kid"], issuer().public().kid);
                }
                // An empty form is answered by the protocol's own error.
                _ => {
                    let answer = call(Method::POST, path).form(&[]).send(&app.router).await;
                    assert!(answer.json["error"].is_string(), "{name}: {}", answer.json);
                }
            }
            count += 1;
        }
        assert_eq!(count, 4);
    }

    #[test]
    fn the_algorithms_are_those_of_the_published_keys_and_rs256() {
        use Algorithm::{Es256, Ps256, Rs256};

        for (keys, expected) in [
            (vec![Rs256, Rs256], json!(["RS256"])),
            (vec![Rs256, Ps256, Ps256], json!(["RS256", "PS256"])),
            (vec![Es256], json!(["RS256", "ES256"])),
        ] {
            let keys: Vec<_> =
                keys.into_iter().map(|alg| PublishedKey { alg, ..issuer().public().clone() }).collect();
            let metadata = json!(Metadata::new("https://api.example.com/", &keys));
            assert_eq!(metadata["id_token_signing_alg_values_supported"], expected);
            assert_eq!(metadata["token_endpoint"], "https://api.example.com/token");
        }
    }
}
