//! Secrets of one text each that are replaced while they are in use.

use std::fmt;
use std::sync::Arc;

use aws_sdk_secretsmanager::Client;
use jiff::SignedDuration;
use serde::Deserialize;

use crate::clock::Clock;
use crate::refreshed::{PATIENCE, Refreshed, Schedule};

/// A secret with the content `{"current":"…","previous":"…"}`. Who replaces the current value keeps it as the previous one, so that
/// what was made with it goes on being known; without a previous one there is no other. Read again every five minutes.
#[derive(Debug, Clone)]
pub struct ReplaceableSecret(Arc<Kept>);

#[derive(Debug)]
struct Kept {
    values: Refreshed<Values>,
    /// None where the values are what they are.
    source: Option<(Client, String)>,
}

/// What the secret holds; each of at least 32 characters.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Values {
    /// What is used from now on.
    pub current: String,
    /// What was used before, and still counts.
    pub previous: Option<String>,
}

/// The secret cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Secrets Manager does not give it.
    #[error("cannot read secret {name}")]
    Read {
        /// The secret.
        name: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It is not what it should be; never says what it is.
    #[error("secret {0} is not {{\"current\":\"…\"}} with 32 characters or more")]
    Form(String),
}

const SCHEDULE: Schedule = Schedule {
    what: "a secret",
    max_age: SignedDuration::from_mins(5),
    pause: SignedDuration::from_secs(30),
};

impl ReplaceableSecret {
    /// Reads the secret, where a function starts.
    pub async fn load(client: Client, name: &str, clock: &Clock) -> Result<Self, SecretError> {
        let begun = clock.now();
        let values = read(&client, name).await?;
        let values = Refreshed::new(SCHEDULE, clock.clone(), values, Some(begun));
        Ok(Self(Arc::new(Kept { values, source: Some((client, name.to_owned())) })))
    }

    /// These values, for good.
    pub fn fixed(values: Values, clock: &Clock) -> Self {
        let values = Refreshed::new(SCHEDULE, clock.clone(), values, Some(clock.now()));
        Self(Arc::new(Kept { values, source: None }))
    }

    /// The values in use.
    pub async fn get(&self) -> Arc<Values> {
        match &self.0.source {
            Some((client, name)) => self.0.values.get(PATIENCE, |_| read(client, name)).await,
            None => self.0.values.current(),
        }
    }
}

async fn read(client: &Client, name: &str) -> Result<Values, SecretError> {
    let output = client.get_secret_value().secret_id(name).send().await;
    let output = output.map_err(|error| SecretError::Read { name: name.to_owned(), source: error.into() })?;
    output.secret_string().and_then(Values::parse).ok_or_else(|| SecretError::Form(name.to_owned()))
}

impl Values {
    /// The values in a secret's content.
    pub fn parse(json: &str) -> Option<Self> {
        let values: Self = serde_json::from_str(json).ok()?;
        let are_long = values.iter().all(|value| value.len() >= 32);
        are_long.then_some(values)
    }

    /// All that count, the current one first.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        [Some(&self.current), self.previous.as_ref()].into_iter().flatten().map(String::as_str)
    }
}

impl fmt::Debug for Values {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Values(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use crate::config::Env;
    use crate::testing::Database;

    use super::*;

    #[test]
    fn a_secret_that_is_too_short_or_none_is_refused() {
        let good = "x".repeat(32);
        assert!(Values::parse(&json!({ "current": good, "previous": good }).to_string()).is_some());
        for bad in [
            String::new(),
            "{}".to_owned(),
            "[]".to_owned(),
            json!({ "current": "short" }).to_string(),
            json!({ "current": good, "previous": "" }).to_string(),
            json!({ "current": good, "older": good }).to_string(),
        ] {
            assert!(Values::parse(&bad).is_none(), "{bad}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_had_is_named_and_never_shown() {
        let env = Env::of([
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
        ]);
        let secrets = BTreeMap::from([("short".to_owned(), json!({ "current": "hush" }))]);
        let client = Database::new(&[]).await.aws(&env, secrets).secrets_manager();
        for name in ["short", "gone"] {
            let error = ReplaceableSecret::load(client.clone(), name, &Clock::system()).await.unwrap_err();
            let said = format!("{error} {error:?}");
            assert!(said.contains(name) && !said.contains("hush"), "{said}");
        }
    }
}
