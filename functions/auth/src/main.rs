//! The Lambda function `auth`.

use std::process::ExitCode;
use std::sync::Arc;

use shared::aws::Aws;
use shared::readiness::Secrets;
use shared::routes::Service;

fn main() -> ExitCode {
    shared::run::start(env!("CARGO_BIN_NAME"), |env| async move {
        let aws = Aws::new(&env)?;
        let state = auth::State::new(&env, &aws).await?;
        let (verifier, tables) = (Arc::clone(&state.verifier), state.accounts.tables());
        let service = Service { verifier, tables, secrets: Secrets::default() };
        let service = service.with_secrets(&env, &aws, &["SIGNING_KEY_SECRET"])?;
        shared::run::http(auth::router(state, service)).await
    })
}
