//! `GET /.well-known/jwks.json`: the keys that verify our tokens (RFC 7517 §5).

use axum::extract::State;
use http::HeaderName;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use jiff::Timestamp;
use serde::Serialize;
use shared::http::Json;
use shared::token::PublishedKey;

use crate::State as App;

/// How long others may keep what we publish. A key is published long before the first token that it signs.
pub(crate) const CACHE: &str = "public, max-age=300";

/// The media type that RFC 7517 §8.5.2 registers for key sets; JWT libraries take it, most do not even look.
const MEDIA_TYPE: &str = "application/jwk-set+json";

/// A JWK Set, of keys with the members that RFC 7517 §4 and RFC 7518 §6 know, and nothing of our own.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub(crate) struct JwkSet {
    keys: Vec<PublishedKey>,
}

/// The keys that are good now: current, next, and retired ones until no token of theirs is left.
pub(crate) async fn get(State(app): State<App>) -> ([(HeaderName, &'static str); 2], Json<JwkSet>) {
    let published = app.verifier.keys().await;
    let keys = good(&published.document().keys, app.clock.now());
    ([(CONTENT_TYPE, MEDIA_TYPE), (CACHE_CONTROL, CACHE)], Json(JwkSet { keys }))
}

fn good(keys: &[PublishedKey], now: Timestamp) -> Vec<PublishedKey> {
    let good = keys.iter().filter(|key| key.not_after.is_none_or(|not_after| now <= not_after));
    good.map(|key| PublishedKey { published_at: None, not_after: None, ..key.clone() }).collect()
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use jiff::SignedDuration;
    use shared::testing::issuer;

    use super::*;
    use crate::testing::App;

    #[tokio::test]
    async fn the_public_key_and_nothing_else_is_published() {
        let app = App::new().await;
        let answer = app.get("/.well-known/jwks.json").await.expect(StatusCode::OK);
        assert_eq!(answer.headers["content-type"], "application/jwk-set+json");
        assert_eq!(answer.headers["cache-control"], "public, max-age=300");
        let key = answer.json["keys"][0].as_object().unwrap();
        let mut members: Vec<_> = key.keys().collect();
        members.sort();
        assert_eq!(members, ["alg", "e", "kid", "kty", "n", "use"]);
        assert_eq!(key["kid"], issuer().public().kid);
    }

    #[test]
    fn a_retired_key_is_published_until_its_last_token_ends() {
        let retired = Timestamp::UNIX_EPOCH;
        let key = PublishedKey {
            not_after: Some(retired),
            published_at: Some(retired),
            ..issuer().public().clone()
        };
        assert_eq!(good(std::slice::from_ref(&key), retired), [issuer().public().clone()]);
        assert_eq!(good(&[key], retired + SignedDuration::from_secs(1)), []);
    }
}
