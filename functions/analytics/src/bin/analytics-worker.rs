//! The Lambda function `analytics-worker`: stores as events what the streams of the order and payment tables say.

use std::process::ExitCode;

use analytics::worker::{Worker, facts_of};
use shared::aws::Aws;

fn main() -> ExitCode {
    shared::run::start(env!("CARGO_BIN_NAME"), |env| async move {
        let worker = Worker::new(&env, &Aws::new(&env)?)?;
        shared::stream::serve_whole(facts_of, async |records| worker.process(records).await).await
    })
}
