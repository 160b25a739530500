//! The Lambda function `order-expiry`, run by a schedule. What the event says does not matter.

use std::process::ExitCode;

use lambda_runtime::{LambdaEvent, service_fn};
use order::expiry::{self, Expiry};
use serde::de::IgnoredAny;
use shared::aws::Aws;
use tracing::Instrument as _;

fn main() -> ExitCode {
    shared::run::start(|env| async move {
        let expiry = &Expiry::new(&env, &Aws::new(&env)?)?;
        lambda_runtime::run(service_fn(move |invocation: LambdaEvent<IgnoredAny>| {
            let span = tracing::info_span!("expiry", request_id = invocation.context.request_id);
            expiry::run(expiry).instrument(span)
        }))
        .await
    })
}
