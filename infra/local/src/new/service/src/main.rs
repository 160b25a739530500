//! The Lambda function `sample`.

use std::process::ExitCode;

use shared::aws::Aws;
use shared::routes::Service;

fn main() -> ExitCode {
    shared::run::start(env!("CARGO_BIN_NAME"), |env| async move {
        let aws = Aws::new(&env)?;
        let state = sample::State::new(&env, &aws)?;
        let service = Service::load(&env, &aws, [state.entries.table()]).await?;
        shared::run::http(sample::router(state, service)).await
    })
}
