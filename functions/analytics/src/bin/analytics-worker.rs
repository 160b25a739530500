//! The Lambda function `analytics-worker`: counts what the stream of the order table says.

use std::process::ExitCode;

use analytics::worker::Worker;
use shared::aws::Aws;

fn main() -> ExitCode {
    shared::run::start(|env| async move {
        let worker = Worker::new(&env, &Aws::new(&env)?)?;
        shared::stream::serve(async |record| worker.process(record).await).await
    })
}
