//! The Lambda function `notification-feedback`, invoked by the topic to which SES reports.

use std::process::ExitCode;

use notification::feedback::{Listener, SnsEvent};
use shared::aws::Aws;
use shared::run::Failure;

fn main() -> ExitCode {
    shared::run::start(env!("CARGO_BIN_NAME"), |env| async move {
        let listener = &Listener::new(&env, &Aws::new(&env)?)?;
        shared::run::events(async |event: SnsEvent| listener.hear(&event).await.map_err(Failure::from)).await
    })
}
