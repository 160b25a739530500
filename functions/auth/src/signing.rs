//! The signing key in use, read at start and again every five minutes, so that a rotation reaches running functions.

use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use aws_sdk_secretsmanager::Client;
use jiff::{SignedDuration, Timestamp};
use shared::clock::Clock;
use shared::config::{ConfigError, Env};
use shared::problem::{Chain, Problem};
use shared::token::{Claims, KeySet, Verifier};
use tokio::time::timeout;

use crate::keys::{InvalidSigningKey, SigningFailed, SigningKey, SigningSecret};

/// The key is read again when it is older.
pub(crate) const MAX_AGE: SignedDuration = SignedDuration::from_mins(5);
pub(crate) const LIFETIME: SignedDuration = SignedDuration::from_mins(15);
/// A login does not wait longer than this for a key that it can do without.
const PATIENCE: Duration = Duration::from_secs(2);

/// Signs access tokens.
#[derive(Debug)]
pub(crate) struct Signer {
    key: RwLock<Arc<SigningKey>>,
    verifier: Arc<Verifier>,
    clock: Clock,
    source: Source,
    /// When a read was last begun.
    read: Mutex<Timestamp>,
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
        let key = RwLock::new(Arc::new(source.read(&*verifier.keys().await).await?));
        let read = Mutex::new(clock.now());
        Ok(Self { key, verifier, clock, source, read })
    }

    /// The claims as a signed token.
    pub(crate) async fn sign(&self, claims: &Claims) -> Result<String, SigningFailed> {
        self.refresh().await;
        let key = Arc::clone(&self.key.read().unwrap_or_else(PoisonError::into_inner));
        key.sign(claims)
    }

    /// Reads the key again where it is due. A failure keeps the good one that is there.
    async fn refresh(&self) {
        {
            let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
            let now = self.clock.now();
            if now.duration_since(*read) < MAX_AGE {
                return;
            }
            *read = now;
        }
        let published = self.verifier.keys().await;
        match timeout(PATIENCE, self.source.read(&published)).await {
            Ok(Ok(key)) => *self.key.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key),
            Ok(Err(error)) => tracing::error!(error = %Chain(&error), "keeping the signing key of before"),
            Err(_) => tracing::error!("reading the signing key takes too long: keeping the one of before"),
        }
    }
}

impl Source {
    async fn read(&self, published: &KeySet) -> Result<SigningKey, LoadError> {
        let output = self.client.get_secret_value().secret_id(&self.secret).send().await;
        let output =
            output.map_err(|error| LoadError::Read { name: self.secret.clone(), source: error.into() })?;
        parse(output.secret_string().unwrap_or_default(), published)
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
    use shared::testing::{Issuer, issuer};
    use uuid::Uuid;

    use super::*;
    use crate::State;
    use crate::testing::{FakeAws, SIGNING, VERIFICATION, signing_secret};

    /// A signer at a clock's mercy, reading from `fake`.
    async fn signer(fake: &FakeAws, clock: &Clock) -> Signer {
        let env = fake.env([]);
        let client = || Aws::new(&env).unwrap().secrets_manager();
        let verifier = Verifier::load(&env, client(), clock.clone()).await.unwrap();
        Signer::load(&env, client(), Arc::new(verifier), clock.clone()).await.unwrap()
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
        clock.advance(MAX_AGE);
        assert_eq!(kid(&signer, &clock).await, promoted.public().kid);
        fake.put(SIGNING, &json!("nonsense"));
        clock.advance(MAX_AGE);
        assert_eq!(kid(&signer, &clock).await, promoted.public().kid);
        fake.refuse("GetSecretValue");
        clock.advance(MAX_AGE);
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
