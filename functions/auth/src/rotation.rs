//! Rotates the signing keys: Secrets Manager's four steps on the signing-key secret.
//! <https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html>
//!
//! | step | what it does |
//! |---|---|
//! | `createSecret` | a pending version: *next* becomes *current*, and a new key becomes *next* |
//! | `setSecret` | publishes the public halves of the current and the pending version |
//! | `testSecret` | signs with the pending keys, and verifies by what is published |
//! | `finishSecret` | makes the pending version the current one; what nobody holds any more is retired |
//!
//! Each step may run again, in parallel with itself or with another rotation, and may die after any call to Secrets
//! Manager: versions are never changed, labels move by compare-and-swap, and what is published is always made of what the
//! signing-key secret holds. A key signs only after it was published for [`SPREAD`], and is retired only after no function
//! can be told any more to sign with it.

#[cfg(test)]
mod load_tests;
#[cfg(test)]
mod tests;

use std::time::Duration;

use aws_lc_rs::error::Unspecified;
use aws_sdk_secretsmanager::Client;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use shared::clock::Clock;
use shared::config::{ConfigError, Env};
use shared::problem::Chain;
use shared::token::{Audience, Claims, PublishedKey, Refused, VerificationKeys};
use uuid::Uuid;

use crate::keys::{InvalidSigningKey, KeyKind, SigningFailed, SigningKey, SigningSecret};
use crate::published::{PublishError, Published, with_held};
use crate::secrets::{CURRENT, PENDING, Secret, SecretError, Version, Which};
use crate::security;

/// Verifiers know a key that was published so long ago, or read the secret again for a token that it signed. Only a rotation
/// that follows another within this time waits for it.
const SPREAD: SignedDuration = SignedDuration::from_secs(30);
/// While waiting, the clock is asked this often.
const TICK: Duration = Duration::from_millis(20);

/// What Secrets Manager asks for.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Event {
    step: Step,
    /// The secret to rotate.
    secret_id: String,
    /// The id of the version that the rotation makes: the same in all its steps.
    client_request_token: String,
}

#[derive(Debug, Clone, Copy, Deserialize)]
enum Step {
    #[serde(rename = "createSecret")]
    Create,
    #[serde(rename = "setSecret")]
    Set,
    #[serde(rename = "testSecret")]
    Test,
    #[serde(rename = "finishSecret")]
    Finish,
}

/// The rotation function.
#[derive(Debug)]
pub struct Rotation {
    signing: Secret,
    published: Published,
    kind: KeyKind,
    clock: Clock,
}

/// Why a step failed. Secrets Manager shows it to the operator and tries again; it never holds key material.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct RotationError(#[from] Failed);

#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("this function rotates secret {0} and no other")]
    OtherSecret(String),
    #[error("version {0} is not pending: another rotation took its place, or createSecret did not run")]
    NotPending(String),
    #[error(
        "version {0} was made from another current version than there is now; it is pending no more, and a new rotation \
         begins afresh"
    )]
    Stale(String),
    #[error("secret {0} has no current version: there is nothing to rotate")]
    NoKey(String),
    #[error("there are no verification keys: {0} is empty")]
    NothingPublished(&'static str),
    #[error("key {0} is not published: setSecret comes first")]
    NotPublished(String),
    #[error("secret {name}, version {version}, does not hold usable signing keys")]
    Content { name: String, version: String, source: InvalidSigningKey },
    #[error("what the pending key {kid} signs is not accepted")]
    NotAccepted { kid: String, source: Refused },
    #[error("cannot generate a key pair")]
    Generate(#[from] Unspecified),
    #[error("cannot encode the keys")]
    Encode(#[from] serde_json::Error),
    #[error("cannot sign")]
    Sign(#[from] SigningFailed),
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Published(#[from] PublishError),
}

/// A version of the signing-key secret, parsed.
struct Keys {
    version: String,
    secret: SigningSecret,
    current: SigningKey,
    next: Option<SigningKey>,
}

impl Rotation {
    /// Works on the secrets that `SIGNING_KEY_SECRET` and `VERIFICATION_KEYS_SECRET` name, and makes keys as
    /// `SIGNING_ALGORITHM` and `SIGNING_KEY_BITS` say.
    pub fn new(env: &Env, client: &Client, clock: Clock) -> Result<Self, ConfigError> {
        let secret = |name| Ok::<_, ConfigError>(Secret::new(client.clone(), env.required(name)?));
        Ok(Self {
            signing: secret("SIGNING_KEY_SECRET")?,
            published: Published::new(secret("VERIFICATION_KEYS_SECRET")?),
            kind: KeyKind::from_env(env)?,
            clock,
        })
    }

    /// Does one step.
    pub async fn handle(&self, event: &Event) -> Result<(), RotationError> {
        if event.secret_id != self.signing.name() {
            return Err(Failed::OtherSecret(self.signing.name().to_owned()).into());
        }
        let token = event.client_request_token.as_str();
        let done = match event.step {
            Step::Create => self.create(token).await,
            Step::Set => self.set(token).await,
            Step::Test => self.test(token).await,
            Step::Finish => self.finish(token).await,
        };
        done.map_err(|error| {
            tracing::error!(step = ?event.step, error = %Chain(&error), "the step failed");
            error.into()
        })
    }

    async fn create(&self, token: &str) -> Result<(), Failed> {
        let labels = self.signing.labels().await?;
        let labelled = labels.get(token);
        if labelled.is_some_and(|labels| labels.iter().any(|label| label == CURRENT)) {
            return Ok(());
        }
        // Secrets Manager labels the version before there is any content; a call by hand need not.
        if labelled.is_some_and(|labels| labels.iter().all(|label| label != PENDING)) {
            return Err(Failed::NotPending(token.to_owned()));
        }
        let current = self.current().await?;
        if self.signing.get(Which::Id(token)).await?.is_none() {
            let (_, new) = SigningKey::generate(self.kind)?;
            let old = current.secret.clone();
            // A secret without *next* only gets one: nobody could verify a key that was not published before.
            let secret = SigningSecret { current: old.next.unwrap_or(old.current), next: Some(new) };
            match self.signing.put(serde_json::to_string(&secret)?, PENDING, Some(token)).await {
                // The same step, running twice, made it with another new key.
                Err(error) if error.is_conflict() => {}
                outcome => drop(outcome?),
            }
        }
        self.pending(token, &current).await.map(drop)
    }

    async fn set(&self, token: &str) -> Result<(), Failed> {
        if self.is_current(token).await? {
            return Ok(());
        }
        let current = self.current().await?;
        self.pending(token, &current).await?;
        self.publish().await
    }

    /// Secrets Manager runs this step alone, too: to try a new schedule, on a pending version that is empty or like the
    /// current one. <https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_RotateSecret.html>
    async fn test(&self, token: &str) -> Result<(), Failed> {
        if self.is_current(token).await? {
            return Ok(());
        }
        self.require_pending(token).await?;
        let pending = match self.signing.get(Which::Id(token)).await? {
            Some(version) => self.parse(version)?,
            None => self.current().await?,
        };
        let published =
            self.published.read().await?.ok_or(Failed::NothingPublished("VerificationKeysSecret"))?;
        let now = self.clock.now();
        for key in std::iter::once(&pending.current).chain(&pending.next) {
            let kid = &key.public().kid;
            let claims = test_claims(published.document(), now);
            let accepted = published.verify(&key.sign(&claims)?, now);
            accepted.map_err(|source| Failed::NotAccepted { kid: kid.clone(), source })?;
        }
        Ok(())
    }

    async fn finish(&self, token: &str) -> Result<(), Failed> {
        if !self.is_current(token).await? {
            match self.promote(token).await {
                // This very step, running twice, did it already; or it did, and the answer was lost.
                Err(_) if self.is_current(token).await? => {}
                outcome => outcome?,
            }
        }
        if self.is_labelled(token, PENDING).await? {
            match self.signing.remove(PENDING, token).await {
                Err(error) if error.is_conflict() => {}
                outcome => outcome?,
            }
        }
        self.publish().await
    }

    async fn promote(&self, token: &str) -> Result<(), Failed> {
        let current = self.current().await?;
        let pending = self.pending(token, &current).await?;
        let published = self.published.read().await?;
        for key in std::iter::once(&pending.current).chain(&pending.next) {
            let kid = &key.public().kid;
            let there = published.as_ref().and_then(|published| published.published(kid));
            let there = there.filter(|key| key.not_after.is_none());
            let there = there.ok_or_else(|| Failed::NotPublished(kid.clone()))?;
            if *kid == pending.current.public().kid {
                self.spread(there.published_at).await;
            }
        }
        self.signing.make_current(token, Some(&current.version)).await?;
        tracing::info!(kid = pending.current.public().kid, "the key that signs from now on");
        security::Event::KeyRotated.entry().log();
        Ok(())
    }

    /// Publishes what the secret's current and pending versions hold, and retires what they do not.
    async fn publish(&self) -> Result<(), Failed> {
        let published = self.published.update(async |before: Option<&VerificationKeys>| {
            let before = before.ok_or(Failed::NothingPublished("VerificationKeysSecret"))?;
            // Read after what is published: a key that is there and not here is nobody's any more.
            let held = self.held().await?;
            let keys = with_held(&before.keys, &held, self.clock.now());
            Ok::<_, Failed>(VerificationKeys { keys, ..before.clone() })
        });
        published.await
    }

    /// The public halves in all versions that are current or pending.
    async fn held(&self) -> Result<Vec<PublishedKey>, Failed> {
        let mut held = Vec::new();
        for (version, labels) in self.signing.labels().await? {
            if labels.iter().any(|label| label == CURRENT || label == PENDING)
                && let Some(version) = self.signing.get(Which::Id(&version)).await?
            {
                let keys = self.parse(version)?;
                held.extend(std::iter::once(&keys.current).chain(&keys.next).map(|key| key.public().clone()));
            }
        }
        Ok(held)
    }

    async fn current(&self) -> Result<Keys, Failed> {
        let version = self.signing.get(Which::Label(CURRENT)).await?;
        self.parse(version.ok_or_else(|| Failed::NoKey(self.signing.name().to_owned()))?)
    }

    /// The pending version `token`, which must follow `current`: made from an older one, it would bring back a key that is
    /// retired.
    async fn pending(&self, token: &str, current: &Keys) -> Result<Keys, Failed> {
        self.require_pending(token).await?;
        let version = self.signing.get(Which::Id(token)).await?;
        let pending = self.parse(version.ok_or_else(|| Failed::NotPending(token.to_owned()))?)?;
        let expected = current.next.as_ref().unwrap_or(&current.current);
        if pending.current.public().kid == expected.public().kid {
            return Ok(pending);
        }
        self.signing.remove(PENDING, token).await?;
        Err(Failed::Stale(token.to_owned()))
    }

    async fn is_current(&self, token: &str) -> Result<bool, Failed> {
        self.is_labelled(token, CURRENT).await
    }

    async fn require_pending(&self, token: &str) -> Result<(), Failed> {
        if self.is_labelled(token, PENDING).await? {
            Ok(())
        } else {
            Err(Failed::NotPending(token.to_owned()))
        }
    }

    async fn is_labelled(&self, token: &str, label: &str) -> Result<bool, Failed> {
        let labels = self.signing.labels().await?;
        Ok(labels.get(token).is_some_and(|labels| labels.iter().any(|there| there == label)))
    }

    fn parse(&self, version: Version) -> Result<Keys, Failed> {
        let secret = SigningSecret::parse(&version.content);
        let keys = secret.and_then(|secret| secret.keys().map(|keys| (secret, keys)));
        let name = self.signing.name().to_owned();
        let (secret, (current, next)) =
            keys.map_err(|source| Failed::Content { name, version: version.id.clone(), source })?;
        Ok(Keys { version: version.id, secret, current, next })
    }

    async fn spread(&self, published_at: Option<Timestamp>) {
        let Some(published_at) = published_at else { return };
        // In ticks, because a test's clock is not the runtime's.
        while self.clock.now() < published_at + SPREAD {
            tokio::time::sleep(TICK).await;
        }
    }
}

/// What the test signs: a token for nobody, which goes nowhere.
fn test_claims(keys: &VerificationKeys, now: Timestamp) -> Claims {
    Claims {
        iss: keys.issuer.clone(),
        sub: Uuid::nil(),
        aud: Audience::One(keys.audience.clone()),
        exp: now.as_second() + 1,
        iat: now.as_second(),
        nbf: now.as_second(),
        jti: "rotation".to_owned(),
        client_id: "rotation".to_owned(),
        scope: String::new(),
        sid: Uuid::nil(),
        username: String::new(),
        roles: Vec::new(),
        auth_time: None,
    }
}
