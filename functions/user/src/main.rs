//! The Lambda function `user`.

use std::process::ExitCode;

use shared::aws::Aws;
use shared::routes::Service;

fn main() -> ExitCode {
    shared::run::start(env!("CARGO_BIN_NAME"), |env| async move {
        let aws = Aws::new(&env)?;
        let state = user::State::new(&env, &aws)?;
        let service = Service::load(&env, &aws, [state.users.table()]).await?;
        shared::run::http(user::router(state, service)).await
    })
}
