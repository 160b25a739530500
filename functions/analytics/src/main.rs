//! The Lambda function `analytics`.

use std::process::ExitCode;

use shared::aws::Aws;
use shared::routes::Service;

fn main() -> ExitCode {
    shared::run::start(env!("CARGO_BIN_NAME"), |env| async move {
        let aws = Aws::new(&env)?;
        let state = analytics::State::new(&env, &aws)?;
        let service = Service::load(&env, &aws, [state.analytics.table()]).await?;
        shared::run::http(analytics::router(state, service)).await
    })
}
