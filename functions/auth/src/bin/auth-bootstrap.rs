//! The Lambda function `auth-bootstrap`: the custom resource that makes the first key pairs.

use std::process::ExitCode;

use auth::bootstrap::{Bootstrap, Event};
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use shared::aws::Aws;
use shared::clock::Clock;
use shared::run::Failure;

fn main() -> ExitCode {
    shared::run::start(env!("CARGO_BIN_NAME"), |env| async move {
        // CloudFormation waits at an HTTPS URL, wherever the secrets are.
        let answers = Connector::builder().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build();
        let bootstrap = Bootstrap::new(&env, &Aws::new(&env)?.secrets_manager(), Clock::system(), answers)?;
        let bootstrap = &bootstrap;
        shared::run::events(async |event: Event| bootstrap.handle(&event).await.map_err(Failure::from)).await
    })
}
