//! The Lambda function `auth-mailer`: sends the mails that Auth's outbox gives reason to.

use std::process::ExitCode;

use auth::mailer::Worker;
use shared::aws::Aws;

fn main() -> ExitCode {
    shared::run::start(env!("CARGO_BIN_NAME"), |env| async move {
        let worker = Worker::new(&env, &Aws::new(&env)?).await?;
        shared::stream::serve(async |record| worker.process(record).await).await
    })
}
