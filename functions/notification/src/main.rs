//! The Lambda function `notification`.

use std::process::ExitCode;

use shared::aws::Aws;
use shared::routes::Service;

fn main() -> ExitCode {
    shared::run::start(env!("CARGO_BIN_NAME"), |env| async move {
        let aws = Aws::new(&env)?;
        let state = notification::State::new(&env, &aws).await?;
        let service = Service::load(&env, &aws, [state.notifications.table()]).await?;
        shared::run::http(notification::router(state, service)).await
    })
}
