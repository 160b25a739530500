//! The Lambda function `auth-operator`: commands of operators, who invoke it directly.

use std::process::ExitCode;

use auth::operator::{Command, Operator};
use shared::aws::Aws;
use shared::run::Failure;

fn main() -> ExitCode {
    shared::run::start(env!("CARGO_BIN_NAME"), |env| async move {
        let operator = Operator::new(&env, &Aws::new(&env)?)?;
        let operator = &operator;
        shared::run::events(async |command: Command| operator.run(command).await.map_err(Failure::from)).await
    })
}
