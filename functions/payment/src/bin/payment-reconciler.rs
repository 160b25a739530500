//! The Lambda function `payment-reconciler`, run by a schedule. What the event says does not matter.

use std::process::ExitCode;

use lambda_runtime::{LambdaEvent, service_fn};
use payment::reconciler;
use serde_json::Value;
use shared::aws::Aws;

fn main() -> ExitCode {
    shared::run::start(|env| async move {
        let state = payment::State::new(&env, &Aws::new(&env)?)?;
        let state = &state;
        lambda_runtime::run(service_fn(|_: LambdaEvent<Value>| reconciler::run(state))).await
    })
}
