//! The Lambda function `notification-worker`, invoked with what the stream of the order table says.

use std::process::ExitCode;

use notification::worker::Worker;
use shared::aws::Aws;

fn main() -> ExitCode {
    shared::run::start(env!("CARGO_BIN_NAME"), |env| async move {
        let worker = Worker::new(&env, &Aws::new(&env)?).await?;
        shared::stream::serve(async |record| worker.process(record).await).await
    })
}
