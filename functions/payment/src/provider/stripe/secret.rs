//! Stripe's keys, in Secrets Manager.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;
use aws_sdk_secretsmanager::Client;
use http::HeaderValue;
use jiff::SignedDuration;
use serde::Deserialize;
use shared::clock::Clock;
use shared::refreshed::{PATIENCE, Refreshed, Schedule};

/// Five minutes, so that a key that was rolled is used without a deployment.
const SCHEDULE: Schedule = Schedule {
    what: "Stripe's keys",
    max_age: SignedDuration::from_mins(5),
    pause: SignedDuration::from_secs(30),
};

/// `{"secret_key":"sk_…","webhook_secrets":["whsec_…"]}`; several webhook secrets while one is being rolled.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StripeSecret {
    secret_key: String,
    webhook_secrets: Vec<String>,
}

/// The keys cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Secrets Manager does not give them.
    #[error("cannot read secret {name}")]
    Read {
        /// The secret.
        name: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// They are not what they should be; never says what they are.
    #[error("secret {0} is not {{\"secret_key\":\"sk_…\",\"webhook_secrets\":[\"whsec_…\"]}}")]
    Form(String),
}

/// The keys, and where they are read from again.
#[derive(Debug)]
pub(super) struct Secrets {
    kept: Refreshed<StripeSecret>,
    /// None where they are what they are.
    source: Option<(Client, String)>,
}

impl StripeSecret {
    /// Reads the keys from their JSON.
    pub fn parse(json: &str) -> Option<Self> {
        let secret: Self = serde_json::from_str(json).ok()?;
        let good = !secret.secret_key.is_empty()
            && !secret.webhook_secrets.is_empty()
            && secret.webhook_secrets.iter().all(|secret| !secret.is_empty())
            && secret.authorization().is_some();
        good.then_some(secret)
    }

    pub(super) fn authorization(&self) -> Option<HeaderValue> {
        let mut header = HeaderValue::try_from(format!("Bearer {}", self.secret_key)).ok()?;
        header.set_sensitive(true);
        Some(header)
    }

    /// What signs webhooks.
    pub(super) fn webhook_keys(&self) -> impl Iterator<Item = hmac::Key> {
        self.webhook_secrets.iter().map(|secret| hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()))
    }
}

impl Secrets {
    /// Reads them, where a function starts.
    pub(super) async fn load(client: Client, name: &str, clock: &Clock) -> Result<Self, SecretError> {
        let begun = clock.now();
        let secret = read(&client, name).await?;
        let kept = Refreshed::new(SCHEDULE, clock.clone(), secret, Some(begun));
        Ok(Self { kept, source: Some((client, name.to_owned())) })
    }

    /// These, for good.
    pub(super) fn fixed(secret: StripeSecret, clock: &Clock) -> Self {
        Self { kept: Refreshed::new(SCHEDULE, clock.clone(), secret, Some(clock.now())), source: None }
    }

    pub(super) async fn get(&self) -> Arc<StripeSecret> {
        match &self.source {
            Some((client, name)) => self.kept.get(PATIENCE, |_| read(client, name)).await,
            None => self.kept.current(),
        }
    }
}

async fn read(client: &Client, name: &str) -> Result<StripeSecret, SecretError> {
    let output = client.get_secret_value().secret_id(name).send().await;
    let output = output.map_err(|error| SecretError::Read { name: name.to_owned(), source: error.into() })?;
    output.secret_string().and_then(StripeSecret::parse).ok_or_else(|| SecretError::Form(name.to_owned()))
}

impl fmt::Debug for StripeSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StripeSecret(..)")
    }
}
