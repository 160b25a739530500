//! The Lambda function `notification-deferred`, run by a schedule. What the event says does not matter.

use std::process::ExitCode;

use lambda_runtime::{LambdaEvent, service_fn};
use notification::deferred;
use notification::worker::Worker;
use serde::de::IgnoredAny;
use shared::aws::Aws;
use tracing::Instrument as _;

fn main() -> ExitCode {
    shared::run::start(|env| async move {
        let worker = &Worker::new(&env, &Aws::new(&env)?).await?;
        lambda_runtime::run(service_fn(move |invocation: LambdaEvent<IgnoredAny>| {
            let span = tracing::info_span!("deferred", request_id = invocation.context.request_id);
            deferred::run(worker).instrument(span)
        }))
        .await
    })
}
