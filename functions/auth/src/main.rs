//! The Lambda function `auth`.

use std::process::ExitCode;
use std::sync::Arc;

use shared::aws::Aws;
use shared::http::Origin;
use shared::routes::Service;

fn main() -> ExitCode {
    shared::run::start(env!("CARGO_BIN_NAME"), |env| async move {
        let aws = Aws::new(&env)?;
        let state = auth::State::new(&env, &aws).await?;
        let verifier = Arc::clone(&state.verifier);
        let tables = state.accounts.tables().into_iter().chain([state.users.table()]).collect();
        let service = Service::new(verifier, tables).behind(Origin::load(&env, &aws).await?);
        let service = service.with_secrets(&env, &aws, &["SIGNING_KEY_SECRET"])?;
        shared::run::http(auth::router(state, service)).await
    })
}
