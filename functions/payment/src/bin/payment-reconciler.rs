//! The Lambda function `payment-reconciler`, run by a schedule. What the event says does not matter.

use std::process::ExitCode;

use lambda_runtime::{LambdaEvent, service_fn};
use payment::reconciler;
use serde::de::IgnoredAny;
use shared::aws::Aws;
use tracing::Instrument as _;

fn main() -> ExitCode {
    shared::run::start(|env| async move {
        let state = payment::State::new(&env, &Aws::new(&env)?).await?;
        let state = &state;
        lambda_runtime::run(service_fn(move |invocation: LambdaEvent<IgnoredAny>| {
            let span = tracing::info_span!("reconciliation", request_id = invocation.context.request_id);
            reconciler::run(state).instrument(span)
        }))
        .await
    })
}
