//! Invokes functions through `cargo lambda watch`, as API Gateway, event source mappings and schedules invoke them on AWS.

use std::time::Duration;

use anyhow::Context as _;
use reqwest::{Client, StatusCode};
use serde_json::Value;

/// On top of a function's own timeout: `cargo lambda watch` may have to start an instance first, by `cargo run`, one at a time.
const START_UP: Duration = if cfg!(test) { Duration::ZERO } else { Duration::from_secs(10) };

/// The functions that one `cargo lambda watch` runs.
#[derive(Debug, Clone)]
pub struct Functions {
    client: Client,
    watch_url: String,
}

/// Why an invocation gave no result.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// `cargo lambda watch` does not answer: the function was never invoked.
    #[error("cargo lambda watch does not answer ({0})")]
    Unreachable(String),
    /// The workspace has no such binary: the function was never invoked.
    #[error("cargo lambda watch knows no function {0}")]
    Unknown(String),
    /// No answer in time: it hangs, its process ended meanwhile, or it is being built. Watch tells neither.
    #[error("no answer within {} s: it hangs, crashed, or is still being built", .0.as_secs())]
    TimedOut(Duration),
    /// The function answered with an error, or panicked.
    #[error("it failed: {0}")]
    Failed(String),
    /// The function, or watch, answered with something that is not JSON.
    #[error("its answer cannot be read: {0}")]
    Unreadable(String),
}

impl Failure {
    /// Whether the function may have seen the event.
    pub fn was_invoked(&self) -> bool {
        !matches!(self, Self::Unreachable(_) | Self::Unknown(_))
    }
}

impl Functions {
    /// The functions behind `watch_url`, such as `http://127.0.0.1:9000`.
    pub fn new(watch_url: &str) -> anyhow::Result<Self> {
        let client = Client::builder().no_proxy().build().context("cannot make an HTTP client")?;
        Ok(Self { client, watch_url: watch_url.trim_end_matches('/').to_owned() })
    }

    /// Invokes a function, whose own timeout is `timeout`, with `event` and returns what it answers.
    pub async fn invoke(&self, function: &str, event: &Value, timeout: Duration) -> Result<Value, Failure> {
        let url = format!("{}/2015-03-31/functions/{function}/invocations", self.watch_url);
        let patience = timeout + START_UP;
        let failed = |error: reqwest::Error| {
            if error.is_timeout() {
                Failure::TimedOut(patience)
            } else {
                // With its causes: reqwest's own message does not say why.
                Failure::Unreachable(format!("{:#}", anyhow::Error::from(error.without_url())))
            }
        };
        let answer = self.client.post(url).timeout(patience).json(event).send().await.map_err(failed)?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(failed)?;
        match status {
            StatusCode::NOT_FOUND => Err(Failure::Unknown(function.to_owned())),
            StatusCode::REQUEST_TIMEOUT => Err(Failure::TimedOut(patience)),
            status if status.is_success() => {
                serde_json::from_slice(&body).map_err(|error| Failure::Unreadable(error.to_string()))
            }
            status => Err(Failure::Failed(error_of(status, &body))),
        }
    }
}

/// The runtime reports an error or panic as `{"errorType": .., "errorMessage": ..}`.
fn error_of(status: StatusCode, body: &[u8]) -> String {
    let error: Value = serde_json::from_slice(body).unwrap_or_default();
    match error["errorMessage"].as_str() {
        Some(message) => message.to_owned(),
        None => format!("status {status} from cargo lambda watch"),
    }
}
