//! The Lambda function `auth-operator`: commands of operators, who invoke it directly.

use std::process::ExitCode;

use auth::operator::{Command, Operator};
use lambda_runtime::{LambdaEvent, service_fn};
use shared::aws::Aws;
use shared::run::Failure;
use tracing::Instrument as _;

fn main() -> ExitCode {
    shared::run::start(|env| async move {
        let operator = Operator::new(&env, &Aws::new(&env)?)?;
        let operator = &operator;
        let handle = |event: LambdaEvent<Command>| {
            let span = tracing::info_span!("operator", request_id = event.context.request_id);
            async move { operator.run(event.payload).await.map_err(Failure::from) }.instrument(span)
        };
        lambda_runtime::run(service_fn(handle)).await
    })
}
