//! The Lambda function `auth-rotation`: rotates the signing keys, invoked by Secrets Manager.

use std::process::ExitCode;

use auth::rotation::{Event, Rotation};
use shared::aws::Aws;
use shared::clock::Clock;
use shared::run::Failure;

fn main() -> ExitCode {
    shared::run::start(env!("CARGO_BIN_NAME"), |env| async move {
        let rotation = Rotation::new(&env, &Aws::new(&env)?.secrets_manager(), Clock::system())?;
        let rotation = &rotation;
        shared::run::events(async |event: Event| rotation.handle(&event).await.map_err(Failure::from)).await
    })
}
