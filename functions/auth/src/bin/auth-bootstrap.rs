//! The Lambda function `auth-bootstrap`: the custom resource that makes the first key pairs.

use std::process::ExitCode;

use auth::bootstrap::{Bootstrap, Event};
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use lambda_runtime::{LambdaEvent, service_fn};
use shared::aws::Aws;
use shared::clock::Clock;
use shared::run::Failure;
use tracing::Instrument as _;

fn main() -> ExitCode {
    shared::run::start(|env| async move {
        // CloudFormation waits at an HTTPS URL, wherever the secrets are.
        let answers = Connector::builder().tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build();
        let bootstrap = Bootstrap::new(&env, &Aws::new(&env)?.secrets_manager(), Clock::system(), answers)?;
        let bootstrap = &bootstrap;
        let handle = |event: LambdaEvent<Event>| {
            let span = tracing::info_span!("bootstrap", request_id = event.context.request_id);
            async move { bootstrap.handle(&event.payload).await.map_err(Failure::from) }.instrument(span)
        };
        lambda_runtime::run(service_fn(handle)).await
    })
}
