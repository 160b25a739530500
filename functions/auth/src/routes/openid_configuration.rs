//! `GET /.well-known/openid-configuration`: what a resource server needs to verify our tokens by the issuer's name alone.
//!
//! OIDC Discovery 1.0 §3, RFC 8414 §2. We are no OIDC provider: there is no authorization endpoint, no ID
//! token, and `/login` and `/register` are not the endpoints that OAuth calls token and registration endpoint, so none of
//! these is listed. What the specifications require all the same has the value that promises least.

use axum::extract::State;
use http::HeaderName;
use http::header::CACHE_CONTROL;
use serde::Serialize;
use shared::http::Json;

use super::jwks::CACHE;
use crate::State as App;
use crate::tokens::SCOPE;

/// The metadata.
#[derive(Debug, Serialize)]
pub(crate) struct Metadata {
    /// `iss` of every token.
    issuer: String,
    jwks_uri: String,
    scopes_supported: [&'static str; 1],
    /// Required, and must not be empty: `none` is the registered type that returns nothing (OAuth 2.0 Multiple Response
    /// Type Encoding Practices §4).
    response_types_supported: [&'static str; 1],
    /// Everybody sees the same `sub`.
    subject_types_supported: [&'static str; 1],
    /// Required, and must name RS256; it is what our keys sign, access tokens in our case.
    id_token_signing_alg_values_supported: [&'static str; 1],
}

/// The metadata; the issuer is the one that stands beside the verification keys.
pub(crate) async fn get(State(app): State<App>) -> ([(HeaderName, &'static str); 1], Json<Metadata>) {
    let keys = app.verifier.keys().await;
    let issuer = &keys.document().issuer;
    let metadata = Metadata {
        issuer: issuer.clone(),
        jwks_uri: format!("{}/.well-known/jwks.json", issuer.trim_end_matches('/')),
        scopes_supported: [SCOPE],
        response_types_supported: ["none"],
        subject_types_supported: ["public"],
        id_token_signing_alg_values_supported: ["RS256"],
    };
    ([(CACHE_CONTROL, CACHE)], Json(metadata))
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::Value;
    use shared::testing::ISSUER;

    use crate::testing::App;

    #[tokio::test]
    async fn it_leads_from_the_issuer_to_the_keys_and_lists_nothing_that_is_not_there() {
        let app = App::new().await;
        let answer = app.get("/.well-known/openid-configuration").await.expect(StatusCode::OK);
        assert_eq!(answer.headers["cache-control"], "public, max-age=300");
        // OIDC Discovery 1.0 §4.3: exactly the issuer that the tokens name.
        assert_eq!(answer.json["issuer"], ISSUER);

        let endpoints = answer.json.as_object().unwrap().iter();
        let paths: Vec<_> = endpoints
            .filter(|(name, _)| name.ends_with("_uri") || name.ends_with("_endpoint"))
            .map(|(_, url)| url.as_str().and_then(|url| url.strip_prefix(ISSUER)).unwrap())
            .collect();
        assert!(paths.contains(&"/.well-known/jwks.json"));
        for path in paths {
            let _there = app.get(path).await.expect(StatusCode::OK);
        }
        // §4.2: no empty lists.
        let lists = answer.json.as_object().unwrap().values().filter_map(Value::as_array);
        assert!(lists.into_iter().all(|list| !list.is_empty()));
    }
}
