//! The published keys in use: read at start and every five minutes, and when a token names a key that is not among them.

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_secretsmanager::Client;
use jiff::{SignedDuration, Timestamp};

use super::{InvalidKeys, KeySet};
use crate::clock::Clock;
use crate::config::{ConfigError, Env};
use crate::refreshed::{PATIENCE, Refreshed, Schedule};

/// Verifiers know a key within five minutes, also one that is published no more.
const SCHEDULE: Schedule = Schedule {
    what: "the verification keys",
    max_age: SignedDuration::from_mins(5),
    pause: SignedDuration::from_secs(30),
};

/// The keys, and where they are read again.
#[derive(Debug)]
pub(super) struct KeySource {
    keys: Refreshed<KeySet>,
    clock: Clock,
    /// None: the keys never change.
    secret: Option<Secret>,
    /// What strange key ids have left to read the secret with.
    rereads: Mutex<Bucket>,
}

#[derive(Debug, Clone)]
struct Secret {
    client: Client,
    name: String,
}

/// The issuer of the published keys, which is the public base URL of the API: for functions that verify no tokens.
pub async fn issuer(env: &Env, client: Client) -> Result<String, LoadError> {
    let secret = Secret { client, name: env.required("VERIFICATION_KEYS_SECRET")?.to_owned() };
    Ok(secret.read().await?.document().issuer.clone())
}

/// The keys could not be read at start.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A variable is missing.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Secrets Manager did not give the secret.
    #[error("cannot read secret {name}")]
    Read {
        /// The secret.
        name: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The secret's content is not a set of keys.
    #[error("secret {name} does not hold verification keys")]
    Content {
        /// The secret.
        name: String,
        /// Why.
        source: InvalidKeys,
    },
}

impl KeySource {
    /// Reads the keys from the secret that `VERIFICATION_KEYS_SECRET` names.
    pub(super) async fn load(env: &Env, client: Client, clock: Clock) -> Result<Self, LoadError> {
        let secret = Secret { client, name: env.required("VERIFICATION_KEYS_SECRET")?.to_owned() };
        let begun = clock.now();
        let keys = secret.read().await?;
        Ok(Self::new(keys, begun, clock, Some(secret)))
    }

    /// Keys that never change.
    #[cfg(feature = "testing")]
    pub(super) fn fixed(keys: KeySet, clock: Clock) -> Self {
        Self::new(keys, clock.now(), clock, None)
    }

    fn new(keys: KeySet, read: Timestamp, clock: Clock, secret: Option<Secret>) -> Self {
        let keys = Refreshed::new(SCHEDULE, clock.clone(), keys, Some(read));
        Self { keys, clock, secret, rereads: Mutex::default() }
    }

    /// The keys in use.
    pub(super) async fn get(&self) -> Arc<KeySet> {
        match &self.secret {
            Some(secret) => self.keys.get(PATIENCE, |_| secret.read()).await,
            None => self.keys.current(),
        }
    }

    /// The keys in use; read again where `kid` is not among them, as long as the bucket allows it.
    pub(super) async fn get_with(&self, kid: &str) -> Arc<KeySet> {
        let keys = self.get().await;
        match &self.secret {
            Some(secret) if keys.get(kid).is_none() => {
                let wanted = |keys: &KeySet| keys.get(kid).is_none() && self.may_reread();
                self.keys.get_anew(wanted, |_| secret.read()).await
            }
            _ => keys,
        }
    }

    fn may_reread(&self) -> bool {
        self.rereads.lock().unwrap_or_else(PoisonError::into_inner).take(self.clock.now())
    }
}

impl Secret {
    async fn read(&self) -> Result<KeySet, LoadError> {
        let output = self.client.get_secret_value().secret_id(&self.name).send().await;
        let output =
            output.map_err(|error| LoadError::Read { name: self.name.clone(), source: error.into() })?;
        KeySet::parse(output.secret_string().unwrap_or_default())
            .map_err(|source| LoadError::Content { name: self.name.clone(), source })
    }
}

/// A token bucket (GCRA): four reads at once, so that rotations in quick succession refuse nobody, then one in ten
/// seconds, whatever key ids strangers send.
#[derive(Debug, Default)]
struct Bucket {
    /// When it is full again.
    full: Timestamp,
}

impl Bucket {
    const SIZE: i32 = 4;
    const INTERVAL: SignedDuration = SignedDuration::from_secs(10);

    fn take(&mut self, now: Timestamp) -> bool {
        let empty = now + Self::INTERVAL * Self::SIZE;
        // The upper bound is for a clock that was set back.
        let full = self.full.clamp(now, empty) + Self::INTERVAL;
        let taken = full <= empty;
        if taken {
            self.full = full;
        }
        taken
    }
}
