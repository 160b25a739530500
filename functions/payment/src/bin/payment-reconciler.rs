//! The Lambda function `payment-reconciler`, run by a schedule. What the event says does not matter.

use std::process::ExitCode;

use payment::reconciler;
use serde::de::IgnoredAny;
use shared::aws::Aws;

fn main() -> ExitCode {
    shared::run::start(env!("CARGO_BIN_NAME"), |env| async move {
        let state = payment::State::new(&env, &Aws::new(&env)?).await?;
        let state = &state;
        shared::run::events(async |_: IgnoredAny| reconciler::run(state).await).await
    })
}
