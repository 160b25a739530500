//! The Lambda function `notification-worker`: sends what the stream of the order table gives reason to.

use std::process::ExitCode;

use notification::worker::Worker;
use shared::aws::Aws;

fn main() -> ExitCode {
    shared::run::start(|env| async move {
        let worker = Worker::new(&env, &Aws::new(&env)?)?;
        shared::stream::serve(async |record| worker.process(record).await).await
    })
}
