//! The Lambda function `analytics-worker`: stores as events what the stream of the order table says.

use std::process::ExitCode;

use analytics::worker::{Worker, orders_of};
use shared::aws::Aws;

fn main() -> ExitCode {
    shared::run::start(|env| async move {
        let worker = Worker::new(&env, &Aws::new(&env)?)?;
        shared::stream::serve_whole(orders_of, async |records| worker.process(records).await).await
    })
}
