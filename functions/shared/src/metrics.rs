//! What is counted, in CloudWatch's embedded metric format: lines of the log, of which CloudWatch makes metrics.
//!
//! Each metric has the dimension `service`, the name of the function's program (`order`, `order-expiry`), and at most one
//! more, of few values: CloudWatch asks for a price for each combination that occurs. An invocation writes one line, and
//! one more for each further dimension that it counted by. `infra/observe.md` lists them.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use ::metrics::{Unit, counter, describe_counter, describe_histogram, histogram};
use http::StatusCode;
use metrics_cloudwatch_embedded::{Builder, Collector};

use crate::config::Env;
use crate::money::Money;

static COUNTED: OnceLock<Counted> = OnceLock::new();

struct Counted {
    collector: &'static Collector,
    output: Mutex<Box<dyn Write + Send>>,
}

/// From now on `service` counts, in the namespace that `METRICS_NAMESPACE` names; unset, as locally, nothing is counted.
pub fn init(env: &Env, service: &'static str) {
    init_to(env, service, io::stdout());
}

/// The same, with the lines to `output`.
pub fn init_to(env: &Env, service: &'static str, output: impl Write + Send + 'static) {
    let Some(namespace) = env.optional("METRICS_NAMESPACE") else { return };
    let builder =
        Builder::new().cloudwatch_namespace(namespace.to_owned()).with_dimension("service", service);
    match builder.init() {
        Ok(collector) => {
            for name in [
                "Requests",
                "Errors",
                "ColdStarts",
                "Handled",
                "Failed",
                "Logins",
                "LoginFailures",
                "VerificationFailures",
                "Orders",
                "Charges",
            ] {
                describe_counter!(name, Unit::Count, "");
            }
            describe_histogram!("Latency", Unit::Milliseconds, "");
            let _first = COUNTED.set(Counted { collector, output: Mutex::new(Box::new(output)) });
        }
        Err(error) => tracing::error!(%error, "nothing is counted"),
    }
}

/// Writes what was counted since the last call; at the end of each invocation, after which the sandbox may freeze.
pub(crate) fn flush() {
    let Some(Counted { collector, output }) = COUNTED.get() else { return };
    // Whole lines at once: what else is printed does not get in between.
    let mut lines = Vec::new();
    let written = collector.flush(&mut lines).and_then(|()| {
        let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
        output.write_all(&lines).and_then(|()| output.flush())
    });
    if let Err(error) = written {
        tracing::error!(%error, "what was counted is lost");
    }
}

/// Whether this is the first invocation of the process; true once.
pub(crate) fn cold_start() -> bool {
    static WARM: AtomicBool = AtomicBool::new(false);
    let cold = !WARM.swap(true, Ordering::Relaxed);
    if cold {
        counter!("ColdStarts").increment(1);
    }
    cold
}

/// A request was answered.
pub(crate) fn request(status: StatusCode, latency: Duration) {
    counter!("Requests").increment(1);
    if status.is_server_error() {
        counter!("Errors").increment(1);
    }
    histogram!("Latency").record(latency.as_secs_f64() * 1000.0);
}

/// A worker has done so many records, or a scheduled function its run, and so many will come again.
pub(crate) fn handled(handled: usize, failed: usize) {
    for (name, count) in [("Handled", handled), ("Failed", failed)] {
        if count > 0 {
            counter!(name).increment(count as u64);
        }
    }
}

/// An access token was refused.
pub(crate) fn verification_failure(reason: &'static str) {
    counter!("VerificationFailures", "reason" => reason).increment(1);
}

/// Somebody logged in.
pub fn login() {
    counter!("Logins").increment(1);
}

/// Somebody tried to.
pub fn login_failure() {
    counter!("LoginFailures").increment(1);
}

/// An order was placed.
pub fn order() {
    counter!("Orders").increment(1);
}

/// A payment came to an end: `succeeded` or `failed`.
pub fn charge(outcome: &'static str) {
    counter!("Charges", "outcome" => outcome).increment(1);
}

/// This much was paid; counted in the currency's minor units.
pub fn revenue(money: Money) {
    counter!("Revenue", "currency" => money.currency.to_string()).increment(money.amount);
}
