//! The Lambda function `analytics-aggregator`: adds to the figures what the stream of Analytics' table says.

use std::process::ExitCode;

use analytics::worker::{Aggregator, event_of};
use shared::aws::Aws;

fn main() -> ExitCode {
    shared::run::start(env!("CARGO_BIN_NAME"), |env| async move {
        let aggregator = Aggregator::load(&env, &Aws::new(&env)?)?;
        shared::stream::serve_whole(event_of, async |events| aggregator.process(events).await).await
    })
}
