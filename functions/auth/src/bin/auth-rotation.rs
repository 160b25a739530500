//! The Lambda function `auth-rotation`: rotates the signing keys, invoked by Secrets Manager.

use std::process::ExitCode;

use auth::rotation::{Event, Rotation};
use lambda_runtime::{LambdaEvent, service_fn};
use shared::aws::Aws;
use shared::clock::Clock;
use shared::run::Failure;
use tracing::Instrument as _;

fn main() -> ExitCode {
    shared::run::start(|env| async move {
        let rotation = Rotation::new(&env, &Aws::new(&env)?.secrets_manager(), Clock::system())?;
        let rotation = &rotation;
        let handle = |event: LambdaEvent<Event>| {
            let span = tracing::info_span!("rotation", request_id = event.context.request_id);
            async move { rotation.handle(&event.payload).await.map_err(Failure::from) }.instrument(span)
        };
        lambda_runtime::run(service_fn(handle)).await
    })
}
