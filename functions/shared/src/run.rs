//! Starting a function.

use std::error::Error;
use std::process::ExitCode;

use axum::Router;

use crate::config::Env;
use crate::problem::Chain;
use crate::telemetry;

/// Why a function could not start, or stopped.
pub type Failure = Box<dyn Error + Send + Sync>;

/// Runs `function` on a current-thread runtime: one sandbox handles one request at a time, and a thread pool costs
/// 1.4 times the latency. A failure is logged with all its causes and ends the process, which Lambda reports.
pub fn start<F: Future<Output = Result<(), Failure>>>(function: impl FnOnce(Env) -> F) -> ExitCode {
    let env = Env::process();
    telemetry::init(&env);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(function(env)),
        Err(error) => Err(error.into()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error = %Chain(error.as_ref()), "the function cannot run");
            ExitCode::FAILURE
        }
    }
}

/// Serves `router` behind an API Gateway HTTP API.
pub async fn http(router: Router) -> Result<(), Failure> {
    lambda_http::run(router).await
}
