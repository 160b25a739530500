//! The Lambda function `order-expiry`, run by a schedule. What the event says does not matter.

use std::process::ExitCode;

use order::expiry::{self, Expiry};
use serde::de::IgnoredAny;
use shared::aws::Aws;

fn main() -> ExitCode {
    shared::run::start(env!("CARGO_BIN_NAME"), |env| async move {
        let expiry = &Expiry::new(&env, &Aws::new(&env)?)?;
        shared::run::events(async |_: IgnoredAny| expiry::run(expiry).await).await
    })
}
