//! The signing key in use, read at start and again every five minutes, so that a rotation reaches running functions.

use std::sync::Arc;

use aws_sdk_secretsmanager::Client;
use aws_smithy_types::DateTime;
use jiff::SignedDuration;
use shared::clock::Clock;
use shared::config::{ConfigError, Env};
use shared::problem::Problem;
use shared::refreshed::{PATIENCE, Refreshed, Schedule};
use shared::token::{Claims, KeySet, Verifier};

use crate::keys::{InvalidSigningKey, SigningFailed, SigningKey, SigningSecret};

/// A rotation waits for nothing, so that this is how soon it reaches the tokens.
pub(crate) const SCHEDULE: Schedule = Schedule {
    what: "the signing key",
    max_age: SignedDuration::from_mins(5),
    pause: SignedDuration::from_secs(30),
};

/// When a client may ask again that got no token because the only key known is retired, in seconds.
const RETRY_AFTER: u64 = 30;

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
    /// Days between two rotations, where there are any.
    rotation_days: Option<i64>,
    clock: Clock,
}

/// Logged for as long as it is so; an alarm of `template.yaml` looks for these words.
const NOT_ROTATED: &str = "the signing key was not rotated in time";

/// Secrets Manager chooses the hour itself, and tries again when a rotation fails.
const ROTATION_MAY_BE_LATE: SignedDuration = SignedDuration::from_hours(48);

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
        let source = Source {
            client,
            secret: env.required("SIGNING_KEY_SECRET")?.to_owned(),
            rotation_days: env.optional("ROTATION_DAYS").and_then(|days| days.parse().ok()),
            clock: clock.clone(),
        };
        let begun = clock.now();
        let key = source.read(&verifier).await?;
        Ok(Self { key: Refreshed::new(SCHEDULE, clock, key, Some(begun)), verifier, source })
    }

    /// The claims as a signed token, which is accepted until it expires: a key that is retired before is read again.
    pub(crate) async fn sign(&self, claims: &Claims) -> Result<String, SigningFailed> {
        let key = self.key.get(PATIENCE, |_| self.source.read(&self.verifier)).await;
        let published = self.verifier.keys().await;
        if lasts(&key, &published, claims.exp) {
            return key.sign(claims);
        }
        let key = self
            .key
            .get_anew(|key| !lasts(key, &published, claims.exp), |_| self.source.read(&self.verifier));
        let (key, published) = (key.await, self.verifier.keys().await);
        if lasts(&key, &published, claims.exp) { key.sign(claims) } else { Err(SigningFailed::Retired) }
    }
}

/// Whether what `key` signs is accepted until `exp`, seconds since the epoch.
fn lasts(key: &SigningKey, published: &KeySet, exp: i64) -> bool {
    let published = published.published(&key.public().kid);
    // The same `kid` is the same key: it is the thumbprint.
    published
        .filter(|published| published.alg == key.public().alg)
        .is_some_and(|published| published.not_after.is_none_or(|end| exp <= end.as_second()))
}

impl Source {
    /// Whether there should have been a rotation since the secret's current version was made, in seconds since the epoch.
    fn is_overdue(&self, made: Option<i64>) -> bool {
        let (Some(days), Some(made)) = (self.rotation_days, made) else { return false };
        let limit = SignedDuration::from_hours(24 * days) + ROTATION_MAY_BE_LATE;
        self.clock.now().as_second() - made > limit.as_secs()
    }

    async fn read(&self, verifier: &Verifier) -> Result<SigningKey, LoadError> {
        let output = self.client.get_secret_value().secret_id(&self.secret).send().await;
        let output =
            output.map_err(|error| LoadError::Read { name: self.secret.clone(), source: error.into() })?;
        let unusable = |source| LoadError::Content { name: self.secret.clone(), source };
        if self.is_overdue(output.created_date().map(DateTime::secs)) {
            tracing::error!("{NOT_ROTATED}");
        }
        let secret = SigningSecret::parse(output.secret_string().unwrap_or_default()).map_err(unusable)?;
        let (key, _next) = secret.keys().map_err(unusable)?;
        let kid = &key.public().kid;
        let published = verifier.keys_with(kid).await;
        if published.published(kid).is_some_and(|published| published.alg == key.public().alg) {
            Ok(key)
        } else {
            Err(unusable(InvalidSigningKey::NotPublished(kid.clone())))
        }
    }
}

impl From<SigningFailed> for Problem {
    fn from(error: SigningFailed) -> Self {
        match error {
            SigningFailed::Retired => {
                tracing::error!(error = %error, "no token can be signed");
                Self::unavailable(RETRY_AFTER)
            }
            _ => Self::internal(&error),
        }
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
    use crate::testing::{FakeAws, SIGNING, VERIFICATION, log, signing_secret};

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
    async fn a_rotation_that_does_not_happen_is_told_once_two_days_have_passed() {
        log::start();
        let told = || log::lines().iter().filter(|line| line["message"] == NOT_ROTATED).count();
        let (fake, clock) =
            (FakeAws::with_good_keys().await, Clock::fixed("2026-01-01T00:00:00Z".parse().unwrap()));
        let env = fake.env([("ROTATION_DAYS", "30")]);
        let aws = Aws::new(&env).unwrap();
        let verifier = Arc::new(Verifier::load(&env, &aws, clock.clone()).await.unwrap());
        clock.advance(SignedDuration::from_hours(32 * 24));
        let load = || Signer::load(&env, aws.secrets_manager(), Arc::clone(&verifier), clock.clone());
        let _signer = load().await.unwrap();
        assert_eq!(told(), 0);
        clock.advance(SignedDuration::from_secs(1));
        let signer = load().await.unwrap();
        assert_eq!(told(), 1);
        clock.advance(SCHEDULE.max_age);
        kid(&signer, &clock).await;
        assert_eq!(told(), 2, "for as long as it is so");
        let pattern = format!(r#"FilterPattern: '{{ $.message = "{NOT_ROTATED}" }}'"#);
        assert!(
            include_str!("../../../template.yaml").contains(&pattern),
            "the alarm looks for {NOT_ROTATED}"
        );
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

    /// What a rotation leaves behind for a function that missed it.
    #[tokio::test]
    async fn a_retired_key_is_read_again_and_never_signs_what_would_be_refused() {
        let (fake, clock) =
            (FakeAws::with_good_keys().await, Clock::fixed("2026-01-01T00:00:00Z".parse().unwrap()));
        let signer = signer(&fake, &clock).await;
        let old = issuer().public().kid.clone();
        // A first reading at 00:04, so that the signing key is due before the published ones are.
        clock.advance(SignedDuration::from_mins(4));
        let promoted = Issuer::generate();
        let mut published = issuer().verification_keys();
        published.keys[0].not_after = Some(clock.now() + SignedDuration::from_mins(20));
        published.keys.push(promoted.public().clone());
        fake.put(VERIFICATION, &json!(published));
        fake.refuse(&format!("GetSecretValue {SIGNING}"));
        clock.advance(SignedDuration::from_mins(5));
        assert_eq!(kid(&signer, &clock).await, old, "its tokens end before it does");
        clock.advance(SignedDuration::from_secs(1));
        let claims = issuer().claims(Uuid::nil(), "mahindra", clock.now());
        let error = signer.sign(&claims).await.unwrap_err();
        assert_eq!(Problem::from(error).status(), http::StatusCode::SERVICE_UNAVAILABLE);
        fake.refuse("nothing");
        fake.put(SIGNING, &signing_secret(&promoted));
        assert_eq!(kid(&signer, &clock).await, promoted.public().kid, "at once");

        // An operator takes a key away that is not to be trusted any more.
        let replaced = Issuer::generate();
        fake.put(VERIFICATION, &json!(replaced.verification_keys()));
        fake.put(SIGNING, &signing_secret(&replaced));
        clock.advance(SCHEDULE.max_age);
        assert_eq!(kid(&signer, &clock).await, replaced.public().kid);
    }

    /// Why the function does not start with these secrets; the message names the one to blame.
    async fn failure(signing: Option<&Value>, verification: Option<&Value>, to_blame: &str) -> String {
        let fake = FakeAws::with_good_keys().await;
        for (name, content) in [(SIGNING, signing), (VERIFICATION, verification)] {
            match content {
                Some(content) => fake.put(name, content),
                None => fake.remove(name),
            }
        }
        let env = fake.env([]);
        let error = State::new(&env, &Aws::new(&env).unwrap()).await.unwrap_err();
        let message = Chain(error.as_ref()).to_string();
        assert!(message.contains(to_blame), "{message}");
        for secret in ["hush", "BEGIN", "MII"] {
            assert!(!message.contains(secret), "{message}");
        }
        message
    }

    #[tokio::test]
    async fn a_function_does_not_start_without_a_good_key_and_says_which_secret_is_to_blame() {
        let good = signing_secret(issuer());
        let with = |which: &str, member: &str, value: Value| {
            let mut secret = good.clone();
            secret[which][member] = value;
            secret
        };
        let other = signing_secret(&Issuer::generate());
        let published = json!(issuer().verification_keys());
        let mixed = json!({"current": {"kid": good["current"]["kid"], "alg": "RS256",
            "private_key": other["current"]["private_key"]}});
        for (content, expected) in [
            (None, "cannot read secret signing-secret"),
            (Some(json!("hush")), "not a JSON object"),
            (Some(json!({"next": good["next"]})), "not a JSON object"),
            (Some(with("current", "private_key", json!("hush"))), "PEM"),
            (Some(with("current", "alg", json!("hush"))), "not a JSON object"),
            (Some(with("current", "alg", json!("PS256"))), "with the same alg"),
            (Some(with("current", "alg", json!("ES256"))), "P-256"),
            (Some(with("current", "kid", json!("hush"))), "kid is not the key's RFC 7638 thumbprint"),
            (Some(with("next", "private_key", json!("hush"))), "the key `next`: private_key is not"),
            (Some(with("next", "kid", json!("hush"))), "the key `next`: kid is not"),
            (Some(with("next", "alg", json!(7))), "not a JSON object"),
            (Some(mixed), "kid is not"),
            (Some(other), "do not hold its public half"),
        ] {
            let message = failure(content.as_ref(), Some(&published), SIGNING).await;
            assert!(message.contains(expected), "{message}");
        }
    }

    #[tokio::test]
    async fn nor_without_good_verification_keys() {
        let good = signing_secret(issuer());
        let document = |change: &dyn Fn(&mut Value)| {
            let mut document = json!(issuer().verification_keys());
            change(&mut document);
            Some(document)
        };
        let other = json!(Issuer::generate().public());
        for (content, expected) in [
            (None, "cannot read secret verification-secret"),
            (Some(json!("hush")), "not a JSON object"),
            (document(&|document| document["keys"] = json!([])), "no key"),
            (document(&|document| document["keys"][0] = json!("hush")), "key number 1"),
            // The public half of another key, under the id of ours.
            (document(&|document| document["keys"][0]["n"] = other["n"].clone()), "thumbprint"),
            (document(&|document| document["keys"][0]["d"] = json!("hush")), "private members"),
        ] {
            let message = failure(Some(&good), content.as_ref(), VERIFICATION).await;
            assert!(message.contains(expected), "{message}");
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
