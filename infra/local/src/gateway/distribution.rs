//! Plays the CloudFront distribution in front of the API, with the parameter `Cdn=enabled`: what it adds to requests.

use std::net::IpAddr;

use anyhow::{Context as _, Result};
use axum::http::{HeaderMap, HeaderValue};
use shared::aws::Aws;
use shared::clock::Clock;
use shared::config::Env;
use shared::http::{ORIGIN_PROOF, VIEWER_ADDRESS};
use shared::secret::ReplaceableSecret;

use crate::watch::Environment;

/// A distribution that knows the secret by which functions know it.
#[derive(Debug, Clone)]
pub struct Distribution(ReplaceableSecret);

impl Distribution {
    /// The one that functions with this environment answer, if they answer no other requests.
    pub async fn of(environment: &Environment) -> Result<Option<Self>> {
        let env = Env::of(environment.clone());
        let Some(name) = env.optional("ORIGIN_SECRET") else { return Ok(None) };
        let client = Aws::new(&env)?.secrets_manager();
        Ok(Some(Self(ReplaceableSecret::load(client, name, &Clock::system()).await?)))
    }

    /// Puts its headers in place of what the client wrote under their names.
    pub(crate) async fn mark(&self, headers: &mut HeaderMap, client: IpAddr) -> Result<()> {
        let secret = self.0.get().await;
        let value = |text: &str| HeaderValue::from_str(text).context("not to be sent in a header");
        headers.insert(ORIGIN_PROOF, value(&secret.current)?);
        headers.insert(VIEWER_ADDRESS, value(&client.to_string())?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use shared::secret::Values;

    use super::*;

    #[tokio::test]
    async fn a_clients_own_words_are_replaced() {
        let values = Values { current: "s".repeat(32), previous: None };
        let distribution = Distribution(ReplaceableSecret::fixed(values, &Clock::system()));
        let mut headers = HeaderMap::new();
        for name in [ORIGIN_PROOF, VIEWER_ADDRESS] {
            headers.append(name.clone(), HeaderValue::from_static("forged"));
            headers.append(name, HeaderValue::from_static("twice"));
        }
        distribution.mark(&mut headers, "192.0.2.1".parse().unwrap()).await.unwrap();
        let all = |name| headers.get_all(name).iter().collect::<Vec<_>>();
        assert_eq!(all(ORIGIN_PROOF), ["s".repeat(32).as_str()]);
        assert_eq!(all(VIEWER_ADDRESS), ["192.0.2.1"]);
    }
}
