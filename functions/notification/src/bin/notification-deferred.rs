//! The Lambda function `notification-deferred`, run by a schedule. What the event says does not matter.

use std::process::ExitCode;

use notification::deferred;
use notification::worker::Worker;
use serde::de::IgnoredAny;
use shared::aws::Aws;

fn main() -> ExitCode {
    shared::run::start(env!("CARGO_BIN_NAME"), |env| async move {
        let worker = &Worker::new(&env, &Aws::new(&env)?).await?;
        shared::run::events(async |_: IgnoredAny| deferred::run(worker).await).await
    })
}
