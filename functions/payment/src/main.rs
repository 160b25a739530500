//! The Lambda function `payment`.

use std::process::ExitCode;

use shared::aws::Aws;
use shared::routes::Service;

fn main() -> ExitCode {
    shared::run::start(env!("CARGO_BIN_NAME"), |env| async move {
        let aws = Aws::new(&env)?;
        let state = payment::State::new(&env, &aws).await?;
        let service = Service::load(&env, &aws, [state.payments.table(), state.orders.table()]).await?;
        let stripe: &[&str] = if state.stripe.is_some() { &["STRIPE_SECRET"] } else { &[] };
        let service = service.with_secrets(&env, &aws, stripe)?;
        shared::run::http(payment::router(state, service)).await
    })
}
