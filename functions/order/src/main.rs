//! The Lambda function `order`.

use std::process::ExitCode;

use shared::aws::Aws;
use shared::routes::Service;

fn main() -> ExitCode {
    shared::run::start(env!("CARGO_BIN_NAME"), |env| async move {
        let aws = Aws::new(&env)?;
        let state = order::State::new(&env, &aws)?;
        let tables = [state.orders.table(), state.carts.table(), state.users.table()];
        let service = Service::load(&env, &aws, tables).await?;
        shared::run::http(order::router(state, service)).await
    })
}
