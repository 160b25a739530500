//! The signing key in use, read at start and again every five minutes, so that a rotation reaches running functions.

use std::sync::Arc;

use aws_sdk_secretsmanager::Client;
use jiff::SignedDuration;
use shared::clock::Clock;
use shared::config::{ConfigError, Env};
use shared::problem::Problem;
use shared::refreshed::{PATIENCE, Refreshed, Schedule};
use shared::token::{Claims, KeySet, Verifier};

use crate::keys::{InvalidSigningKey, SigningFailed, SigningKey, SigningSecret};

/// A rotation waits for nothing, so that this is how soon it reaches the tokens.
const SCHEDULE: Schedule = Schedule {
    what: "the signing key",
    max_age: SignedDuration::from_mins(5),
    pause: SignedDuration::from_secs(30),
};

/// Signs access tokens.
#[derive(Debug)]
pub(crate) struct Signer {
    key: Refreshed<SigningKey>,
    verifier: Arc<Verifier>,
    source: Source,
}

#[derive(Debug)]
struct Source {
    client: Client,
    secret: String,
}

/// The signing key could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("cannot read secret {name}")]
    Read { name: String, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("secret {name} does not hold a usable signing key")]
    Content { name: String, source: InvalidSigningKey },
}

impl Signer {
    /// Reads the key from the secret that `SIGNING_KEY_SECRET` names. A key whose public half `verifier` does not hold is
    /// an error: nobody would accept its tokens.
    pub(crate) async fn load(
        env: &Env,
        client: Client,
        verifier: Arc<Verifier>,
        clock: Clock,
    ) -> Result<Self, LoadError> {
        let source = Source { client, secret: env.required("SIGNING_KEY_SECRET")?.to_owned() };
        let begun = clock.now();
        let key = source.read(&verifier).await?;
        Ok(Self { key: Refreshed::new(SCHEDULE, clock, key, Some(begun)), verifier, source })
    }

    /// The claims as a signed token.
    pub(crate) async fn sign(&self, claims: &Claims) -> Result<String, SigningFailed> {
        self.key.get(PATIENCE, |_| self.source.read(&self.verifier)).await.sign(claims)
    }
}

impl Source {
    async fn read(&self, verifier: &Verifier) -> Result<SigningKey, LoadError> {
        let published = verifier.keys().await;
        let output = self.client.get_secret_value().secret_id(&self.secret).send().await;
        let output =
            output.map_err(|error| LoadError::Read { name: self.secret.clone(), source: error.into() })?;
        parse(output.secret_string().unwrap_or_default(), &published)
            .map_err(|source| LoadError::Content { name: self.secret.clone(), source })
    }
}

fn parse(secret: &str, published: &KeySet) -> Result<SigningKey, InvalidSigningKey> {
    let (key, _next) = SigningSecret::parse(secret)?.keys()?;
    // The same `kid` is the same key: it is the thumbprint.
    if published
        .document()
        .keys
        .iter()
        .any(|other| other.kid == key.public().kid && other.alg == key.public().alg)
    {
        Ok(key)
    } else {
        Err(InvalidSigningKey::NotPublished(key.public().kid.clone()))
    }
}

impl From<SigningFailed> for Problem {
    fn from(error: SigningFailed) -> Self {
        Self::internal(&error)
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Value, json};
    use shared::aws::Aws;
    use shared::problem::Chain;
    use shared::testing::{Issuer, issuer};
    use shared::token::Refused;
    use uuid::Uuid;

    use super::*;
    use crate::State;
    use crate::testing::{FakeAws, SIGNING, VERIFICATION, signing_secret};

    /// A signer at a clock's mercy, reading from `fake`.
    async fn signer(fake: &FakeAws, clock: &Clock) -> Signer {
        let env = fake.env([]);
        let aws = Aws::new(&env).unwrap();
        let verifier = Verifier::load(&env, &aws, clock.clone()).await.unwrap();
        Signer::load(&env, aws.secrets_manager(), Arc::new(verifier), clock.clone()).await.unwrap()
    }

    /// The key that a new token names; the token is a good one.
    async fn kid(signer: &Signer, clock: &Clock) -> String {
        let claims = issuer().claims(Uuid::nil(), "mahindra", clock.now());
        let token = signer.sign(&claims).await.unwrap();
        assert_eq!(signer.verifier.verify(&token).await.unwrap(), claims);
        let header = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
        let header: Value = serde_json::from_slice(&header).unwrap();
        header["kid"].as_str().unwrap().to_owned()
    }

    #[tokio::test]
    async fn a_rotation_is_seen_after_five_minutes_and_a_failure_changes_nothing() {
        let (fake, clock) =
            (FakeAws::with_good_keys().await, Clock::fixed("2026-01-01T00:00:00Z".parse().unwrap()));
        let signer = signer(&fake, &clock).await;
        let old = issuer().public().kid.clone();
        assert_eq!(kid(&signer, &clock).await, old);

        let promoted = Issuer::generate();
        let mut published = issuer().verification_keys();
        published.keys.push(promoted.public().clone());
        fake.put(VERIFICATION, &json!(published));
        fake.put(SIGNING, &signing_secret(&promoted));
        clock.advance(SignedDuration::from_secs(299));
        assert_eq!(kid(&signer, &clock).await, old);
        clock.advance(SignedDuration::from_secs(1));
        assert_eq!(kid(&signer, &clock).await, promoted.public().kid);

        // A key that nobody could verify, nonsense, and no Secrets Manager at all.
        fake.put(SIGNING, &signing_secret(&Issuer::generate()));
        clock.advance(SCHEDULE.max_age);
        assert_eq!(kid(&signer, &clock).await, promoted.public().kid);
        fake.put(SIGNING, &json!("nonsense"));
        clock.advance(SCHEDULE.max_age);
        assert_eq!(kid(&signer, &clock).await, promoted.public().kid);
        fake.refuse("GetSecretValue");
        clock.advance(SCHEDULE.max_age);
        assert_eq!(kid(&signer, &clock).await, promoted.public().kid);
    }

    #[tokio::test]
    async fn a_function_does_not_start_without_a_good_key_and_says_which_secret_is_to_blame() {
        let other = Issuer::generate();
        for (content, expected) in [
            (None, "cannot read secret signing-secret"),
            (Some(json!("nonsense")), "not a JSON object"),
            (Some(json!({"current": {"kid": "k", "alg": "RS256", "private_key": "x"}})), "PEM"),
            (Some(signing_secret(&other)), "do not hold its public half"),
        ] {
            let fake = FakeAws::with_good_keys().await;
            match content {
                Some(content) => fake.put(SIGNING, &content),
                None => fake.remove(SIGNING),
            }
            let env = fake.env([]);
            let error = State::new(&env, &Aws::new(&env).unwrap()).await.unwrap_err();
            let message = Chain(error.as_ref()).to_string();
            assert!(message.contains(expected) && message.contains(SIGNING), "{message}");
            assert!(!message.contains("nonsense") && !message.contains("BEGIN"), "{message}");
        }
    }

    #[tokio::test]
    async fn a_function_starts_without_the_revocations_and_then_lets_nobody_in() {
        let fake = FakeAws::with_good_keys().await;
        fake.refuse("Query RevocationTable");
        let env = fake.env([]);
        let state = State::new(&env, &Aws::new(&env).unwrap()).await.unwrap();
        let token = issuer().token(Uuid::nil(), state.clock.now());
        assert_eq!(state.verifier.verify(&token).await, Err(Refused::RevocationsUnknown));
    }

    #[tokio::test]
    async fn a_missing_variable_is_named() {
        let fake = FakeAws::with_good_keys().await;
        for name in [
            "SIGNING_KEY_SECRET",
            "VERIFICATION_KEYS_SECRET",
            "AUTH_TABLE",
            "AUTH_OUTBOX_TABLE",
            "REVOCATION_TABLE",
            "USER_TABLE",
        ] {
            let env = fake.env([(name, "")]);
            let error = State::new(&env, &Aws::new(&env).unwrap()).await.unwrap_err();
            assert_eq!(error.to_string(), format!("environment variable {name} is not set"));
        }
    }
}
