//! AWS clients, built by hand from the Lambda environment.
//!
//! `aws_config::load_defaults` looks in places that a function never has (profiles, IMDS, SSO), and a function's start
//! pays for it.

mod trust;

use std::net::IpAddr;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_dynamodb::config::{BehaviorVersion, HttpClient};
use aws_smithy_http_client::Builder;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use aws_types::region::Region;
use http::Uri;

use crate::config::{ConfigError, Env};
use trust::Trust;

/// Where AWS is, who we are there, and the one HTTP client that all its clients share.
#[derive(Debug, Clone)]
pub struct Aws {
    config: SdkConfig,
    env: Env,
    trust: Trust,
}

impl Aws {
    /// Reads `AWS_REGION`, the credentials that Lambda puts into the environment, and the endpoint overrides
    /// `AWS_ENDPOINT_URL` and `AWS_ENDPOINT_URL_<SERVICE>`. Whom it believes to be AWS, `AWS_CA_BUNDLE` can change.
    /// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html>
    pub fn new(env: &Env) -> Result<Self, ConfigError> {
        let client = Trust::new(env)?.client(Builder::new(), env.optional("AWS_ENDPOINT_URL"));
        Self::over(env, client)
    }

    /// The same over any HTTP client: a test's leads to a database in its own process.
    pub(crate) fn over(env: &Env, client: impl HttpClient + 'static) -> Result<Self, ConfigError> {
        let credentials = Credentials::new(
            env.required("AWS_ACCESS_KEY_ID")?,
            env.required("AWS_SECRET_ACCESS_KEY")?,
            env.optional("AWS_SESSION_TOKEN").map(str::to_owned),
            None,
            "lambda-environment",
        );
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(env.required("AWS_REGION")?.to_owned()))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .http_client(client)
            .retry_config(RetryConfig::standard().with_max_attempts(3))
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(Duration::from_secs(1))
                    .operation_attempt_timeout(Duration::from_secs(3))
                    .build(),
            )
            .build();
        Ok(Self { config, env: env.clone(), trust: Trust::new(env)? })
    }

    /// The configuration for a client of `service`, named as in `AWS_ENDPOINT_URL_<SERVICE>` (`DYNAMODB`, `SESV2`…).
    /// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html>
    pub fn sdk_config(&self, service: &str) -> SdkConfig {
        let mut config = self.config.clone().into_builder();
        config.set_endpoint_url(self.endpoint(service).map(str::to_owned));
        config.build()
    }

    /// The configuration for a client of `service` that sends something to a person. Neither SES nor SNS can recognise a repeated call,
    /// so the SDK must not repeat any; and each call opens a connection of its own, because one left over from before the sandbox was
    /// frozen tends to break just when the call is on its way.
    pub fn sending_config(&self, service: &str) -> SdkConfig {
        let client = self.trust.client(Builder::new().pool_max_idle_per_host(0), self.endpoint(service));
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(2))
            .operation_attempt_timeout(Duration::from_secs(10))
            .build();
        self.sdk_config(service)
            .into_builder()
            .http_client(client)
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts)
            .build()
    }

    /// A DynamoDB client.
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&self.sdk_config("DYNAMODB"))
    }

    /// A Secrets Manager client.
    pub fn secrets_manager(&self) -> aws_sdk_secretsmanager::Client {
        aws_sdk_secretsmanager::Client::new(&self.sdk_config("SECRETS_MANAGER"))
    }

    /// Whether DynamoDB and Secrets Manager are both at an endpoint on this very machine: true in the local run only.
    pub fn endpoint_is_loopback(&self) -> bool {
        let services = ["DYNAMODB", "SECRETS_MANAGER"];
        services.iter().all(|service| self.endpoint(service).is_some_and(is_loopback))
    }

    fn endpoint(&self, service: &str) -> Option<&str> {
        self.env
            .optional(&format!("AWS_ENDPOINT_URL_{service}"))
            .or_else(|| self.env.optional("AWS_ENDPOINT_URL"))
    }
}

/// Only literal loopback addresses and `localhost` count: any other name may resolve to anywhere.
fn is_loopback(url: &str) -> bool {
    let Ok(uri) = url.parse::<Uri>() else { return false };
    let Some(host) = uri.host() else { return false };
    host == "localhost"
        || host
            .trim_start_matches('[')
            .trim_end_matches(']')
            .parse::<IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn aws(extra: &[(&str, &str)]) -> Aws {
        let base = [("AWS_REGION", "eu-west-1"), ("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "s")];
        Aws::new(&Env::of(base.iter().chain(extra).copied())).unwrap()
    }

    #[test]
    fn only_a_loopback_endpoint_counts_as_local() {
        for url in ["http://localhost:4566", "http://127.0.0.1:4566", "http://127.8.0.1", "http://[::1]:4566"]
        {
            assert!(aws(&[("AWS_ENDPOINT_URL", url)]).endpoint_is_loopback(), "{url}");
        }
        for url in [
            "http://localhost.evil.example",
            "http://127.0.0.1.evil.example",
            "http://10.0.0.1",
            "https://dynamodb.eu-west-1.amazonaws.com",
            "http://localhost@evil.example",
        ] {
            assert!(!aws(&[("AWS_ENDPOINT_URL", url)]).endpoint_is_loopback(), "{url}");
        }
        assert!(!aws(&[]).endpoint_is_loopback(), "no override means AWS");
        assert!(
            !aws(&[
                ("AWS_ENDPOINT_URL", "http://localhost:4566"),
                ("AWS_ENDPOINT_URL_DYNAMODB", "https://dynamodb.eu-west-1.amazonaws.com"),
            ])
            .endpoint_is_loopback(),
            "one service on AWS is AWS"
        );
    }

    #[test]
    fn a_missing_region_is_named() {
        let env = Env::of([("AWS_ACCESS_KEY_ID", "a"), ("AWS_SECRET_ACCESS_KEY", "s")]);
        assert_eq!(Aws::new(&env).unwrap_err().to_string(), "environment variable AWS_REGION is not set");
    }
}
