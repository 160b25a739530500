//! The Lambda function `notification-feedback`, invoked by the topic to which SES reports.

use std::process::ExitCode;

use lambda_runtime::{LambdaEvent, service_fn};
use notification::feedback::{Listener, SnsEvent};
use shared::aws::Aws;
use shared::run::Failure;
use tracing::Instrument as _;

fn main() -> ExitCode {
    shared::run::start(|env| async move {
        let listener = &Listener::new(&env, &Aws::new(&env)?)?;
        lambda_runtime::run(service_fn(move |invocation: LambdaEvent<SnsEvent>| {
            let span = tracing::info_span!("feedback", request_id = invocation.context.request_id);
            // Boxed, because the compiler limits how deep futures may nest.
            Box::pin(
                async move { listener.hear(&invocation.payload).await.map_err(Failure::from) }
                    .instrument(span),
            )
        }))
        .await
    })
}
