//! The verifier: what it accepts, what it refuses, and how it keeps its keys.

use std::sync::{Arc, Mutex};

use aws_sdk_secretsmanager::config::{
    BehaviorVersion, Config, Credentials, HttpClient, Region, RuntimeComponents,
};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_types::body::SdkBody;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use uuid::Uuid;

use super::key_source::KeySource;
use super::{Algorithm, Audience, KeySet, PublishedKey, Refused, VerificationKeys, Verifier};
use crate::clock::Clock;
use crate::config::Env;
use crate::testing::{Issuer, issuer};

fn now() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

fn verifier_of(keys: Vec<PublishedKey>) -> Verifier {
    let document = VerificationKeys { keys, ..issuer().verification_keys() };
    Verifier::fixed(KeySet::new(document).unwrap(), Clock::fixed(now()))
}

#[tokio::test]
async fn a_good_token_names_its_caller() {
    let clock = Clock::fixed(now());
    let verifier = issuer().verifier(&clock);
    let claims = issuer().claims(Uuid::from_u128(7), "mahindra", now());
    let mut many = claims.clone();
    many.aud = Audience::Many(vec!["https://other.example".to_owned(), crate::testing::AUDIENCE.to_owned()]);
    for claims in [claims, many] {
        let accepted = verifier.verify(&issuer().sign(&issuer().header(), &claims)).await.unwrap();
        assert_eq!(accepted, claims);
    }
    let mut header = issuer().header();
    header.typ = Some("application/AT+JWT".to_owned());
    let token = issuer().sign(&header, &issuer().claims(Uuid::nil(), "a", now()));
    verifier.verify(&token).await.unwrap();
    clock.advance(SignedDuration::from_secs(899));
    verifier.verify(&token).await.unwrap();
    clock.advance(SignedDuration::from_secs(1));
    assert_eq!(verifier.verify(&token).await.unwrap_err(), Refused::Expired);
}

#[tokio::test]
async fn the_key_decides_the_algorithm() {
    let ps256 = PublishedKey { alg: Algorithm::Ps256, ..issuer().public().clone() };
    let verifier = verifier_of(vec![ps256]);
    let claims = issuer().claims(Uuid::nil(), "a", now());
    let mut header = issuer().header();
    let rs256 = issuer().sign(&header, &claims);
    assert_eq!(verifier.verify(&rs256).await.unwrap_err(), Refused::Algorithm);
    header.alg = jsonwebtoken::Algorithm::PS256;
    verifier.verify(&issuer().sign(&header, &claims)).await.unwrap();
}

#[tokio::test]
async fn a_retired_key_verifies_until_its_end() {
    let token = issuer().token(Uuid::nil(), now());
    let retired = PublishedKey { not_after: Some(now()), ..issuer().public().clone() };
    let document = VerificationKeys { keys: vec![retired], ..issuer().verification_keys() };
    let clock = Clock::fixed(now());
    let verifier = Verifier::fixed(KeySet::new(document).unwrap(), clock.clone());
    // Twice, because a token that was verified once is known.
    verifier.verify(&token).await.unwrap();
    verifier.verify(&token).await.unwrap();
    clock.advance(SignedDuration::from_secs(1));
    assert_eq!(verifier.verify(&token).await.unwrap_err(), Refused::RetiredKey);
}

/// A Secrets Manager whose one secret a test sets; `None` is an outage.
#[derive(Debug, Clone, Default)]
struct Secret(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    keys: Option<VerificationKeys>,
    reads: u32,
}

impl Secret {
    fn set(&self, keys: Option<VerificationKeys>) {
        self.0.lock().unwrap().keys = keys;
    }

    fn reads(&self) -> u32 {
        self.0.lock().unwrap().reads
    }

    async fn verifier(&self, clock: &Clock) -> Verifier {
        let config = Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::from_static("eu-west-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .http_client(self.clone())
            .build();
        let env = Env::of([("VERIFICATION_KEYS_SECRET", "keys")]);
        let client = aws_sdk_secretsmanager::Client::from_conf(config);
        let keys = KeySource::load(&env, client, clock.clone()).await.unwrap();
        Verifier { keys, revocations: None, clock: clock.clone() }
    }
}

impl HttpClient for Secret {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Secret {
    fn call(&self, _: HttpRequest) -> HttpConnectorFuture {
        let mut state = self.0.lock().unwrap();
        state.reads += 1;
        let (status, body) = match &state.keys {
            Some(keys) => (200, json!({"SecretString": serde_json::to_string(keys).unwrap()})),
            None => (400, json!({"__type": "AccessDeniedException"})),
        };
        let body = SdkBody::from(body.to_string());
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status.try_into().unwrap(), body)))
    }
}

#[tokio::test]
async fn new_keys_are_found_when_their_first_tokens_come_however_quickly_they_follow_each_other() {
    let (clock, secret) = (Clock::fixed(now()), Secret::default());
    let mut published = issuer().verification_keys();
    secret.set(Some(published.clone()));
    let verifier = secret.verifier(&clock).await;
    for reads in 2..=5 {
        let next = Issuer::generate();
        published.keys.push(next.public().clone());
        secret.set(Some(published.clone()));
        let token = next.token(Uuid::nil(), now());
        // All those that come at once are accepted, and read once.
        let (one, other) = tokio::join!(verifier.verify(&token), verifier.verify(&token));
        one.unwrap();
        other.unwrap();
        assert_eq!(secret.reads(), reads);
    }
}

#[tokio::test]
async fn strange_key_ids_do_not_flood_the_secret() {
    let (clock, secret) = (Clock::fixed(now()), Secret::default());
    secret.set(Some(issuer().verification_keys()));
    let verifier = secret.verifier(&clock).await;
    let stranger = Issuer::generate().token(Uuid::nil(), now());
    for (seconds, reads) in [(0, 5), (9, 5), (1, 6), (20, 8), (3600, 13)] {
        clock.advance(SignedDuration::from_secs(seconds));
        for _ in 0..20 {
            let _kept_fresh = verifier.keys().await;
            assert_eq!(verifier.verify(&stranger).await.unwrap_err(), Refused::UnknownKey);
        }
        assert_eq!(secret.reads(), reads, "after {seconds} seconds");
    }
}

#[tokio::test]
async fn an_outage_of_the_secret_keeps_the_good_keys() {
    let (clock, secret) = (Clock::fixed(now()), Secret::default());
    secret.set(Some(issuer().verification_keys()));
    let verifier = secret.verifier(&clock).await;
    secret.set(None);
    for _ in 0..3 {
        clock.advance(SignedDuration::from_mins(5));
        verifier.verify(&issuer().token(Uuid::nil(), clock.now())).await.unwrap();
    }
    assert_eq!(secret.reads(), 4, "it was asked every five minutes");
}

#[tokio::test]
async fn a_removed_key_is_forgotten_within_five_minutes_and_so_are_its_tokens() {
    let (clock, secret, other) = (Clock::fixed(now()), Secret::default(), Issuer::generate());
    secret.set(Some(issuer().verification_keys()));
    let verifier = secret.verifier(&clock).await;
    let token = issuer().token(Uuid::nil(), clock.now());
    verifier.verify(&token).await.unwrap();
    secret.set(Some(VerificationKeys { keys: vec![other.public().clone()], ..issuer().verification_keys() }));
    clock.advance(SignedDuration::from_mins(5));
    assert_eq!(verifier.verify(&token).await.unwrap_err(), Refused::UnknownKey);
}

#[tokio::test]
async fn times_may_have_a_fraction() {
    let verifier = issuer().verifier(&Clock::fixed(now()));
    let second = now().as_second();
    let mut claims = json!(issuer().claims(Uuid::nil(), "a", now()));
    for (exp, expected) in [
        (json!(f64::from(i32::try_from(second).unwrap()) + 600.5), Ok(second + 600)),
        (json!(f64::from(i32::try_from(second).unwrap()) + 0.9), Err(Refused::Expired)),
        (json!(1e300), Err(Refused::Claims)),
        (json!(-1e300), Err(Refused::Claims)),
    ] {
        claims["exp"] = exp;
        let outcome = verifier.verify(&issuer().sign(&issuer().header(), &claims)).await;
        assert_eq!(outcome.map(|claims| claims.exp), expected, "{claims}");
    }
}
