//! The Lambda function `notification`.

use std::process::ExitCode;

use shared::aws::Aws;
use shared::routes::Service;

fn main() -> ExitCode {
    shared::run::start(env!("CARGO_BIN_NAME"), |env| async move {
        let aws = Aws::new(&env)?;
        let state = notification::State::new(&env, &aws).await?;
        let service = Service::load(&env, &aws, [state.notifications.table()]).await?;
        let service = service.with_secrets(&env, &aws, &["UNSUBSCRIBE_SECRET"])?;
        shared::run::http(notification::router(state, service)).await
    })
}
