//! The Lambda function `auth`.

use std::process::ExitCode;
use std::sync::Arc;

use shared::aws::Aws;
use shared::routes::Service;

fn main() -> ExitCode {
    shared::run::start(env!("CARGO_BIN_NAME"), |env| async move {
        let aws = Aws::new(&env)?;
        let state = auth::State::new(&env, &aws).await?;
        let service = Service { verifier: Arc::clone(&state.verifier), tables: state.accounts.tables() };
        shared::run::http(auth::router(state, service)).await
    })
}
