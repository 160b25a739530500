//! The Lambda function `cart`.

use std::process::ExitCode;

use shared::aws::Aws;
use shared::routes::Service;

fn main() -> ExitCode {
    shared::run::start(env!("CARGO_BIN_NAME"), |env| async move {
        let aws = Aws::new(&env)?;
        let state = cart::State::new(&env, &aws)?;
        let service = Service::load(&env, &aws, [state.carts.table()]).await?;
        shared::run::http(cart::router(state, service)).await
    })
}
