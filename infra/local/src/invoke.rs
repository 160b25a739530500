//! Invokes functions through `cargo lambda watch`, as API Gateway, event source mappings and schedules invoke them on AWS.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use reqwest::{Client, StatusCode};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::timeout as within;

/// On top of a function's own timeout: `cargo lambda watch` may have to start an instance first, by `cargo run`, one at a time.
const START_UP: Duration = if cfg!(test) { Duration::ZERO } else { Duration::from_secs(10) };

/// Invocations under way at once; the others wait here. `cargo lambda watch` takes 64 for one function well, and was seen to
/// answer nothing any more, for any function, once 120 came at once.
const IN_FLIGHT: usize = 64;

/// The functions that one `cargo lambda watch` runs.
#[derive(Debug, Clone)]
pub struct Functions {
    client: Client,
    watch_url: String,
    in_flight: Arc<Semaphore>,
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
    #[error("no answer within {} s: it is still being built, hangs, or was killed", .0.as_secs())]
    TimedOut(Duration),
    /// The connection broke off: the functions are started anew because one was killed.
    #[error("no answer: the functions are being started anew")]
    BrokeOff,
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
        let in_flight = Arc::new(Semaphore::new(IN_FLIGHT));
        Ok(Self { client, watch_url: watch_url.trim_end_matches('/').to_owned(), in_flight })
    }

    /// Invokes a function, whose own timeout is `timeout`, with `event` and returns what it answers.
    pub async fn invoke(&self, function: &str, event: &Value, timeout: Duration) -> Result<Value, Failure> {
        let url = format!("{}/2015-03-31/functions/{function}/invocations", self.watch_url);
        let patience = timeout + START_UP;
        // Nobody closes the semaphore: the inner result is always a permit.
        let Ok(_permit) = within(patience, self.in_flight.acquire()).await else {
            return Err(Failure::TimedOut(patience));
        };
        let failed = |error: reqwest::Error| {
            if error.is_timeout() {
                Failure::TimedOut(patience)
            } else if !error.is_connect() {
                Failure::BrokeOff
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use axum::Router;
    use axum::extract::State;
    use axum::routing::post;
    use serde_json::json;
    use tokio::net::TcpListener;
    use tokio::task::JoinSet;

    use super::*;

    /// How many invocations are under way, and the most there were.
    #[derive(Debug, Default)]
    struct Load {
        now: AtomicUsize,
        most: AtomicUsize,
    }

    async fn answer(State(load): State<Arc<Load>>) -> &'static str {
        load.most.fetch_max(load.now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        tokio::task::yield_now().await;
        load.now.fetch_sub(1, Ordering::SeqCst);
        "null"
    }

    #[tokio::test]
    async fn more_invocations_than_watch_can_queue_wait_their_turn() {
        let load = Arc::new(Load::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let path = "/2015-03-31/functions/{name}/invocations";
        let router = Router::new().route(path, post(answer)).with_state(Arc::clone(&load));
        tokio::spawn(axum::serve(listener, router).into_future());

        let functions = Functions::new(&url).unwrap();
        let mut invocations = JoinSet::new();
        for _ in 0..3 * IN_FLIGHT {
            let functions = functions.clone();
            invocations.spawn(async move {
                functions.invoke("payment", &json!({}), Duration::from_mins(1)).await.map(drop)
            });
        }
        for invoked in invocations.join_all().await {
            invoked.unwrap();
        }
        let most = load.most.load(Ordering::SeqCst);
        assert!((1..=IN_FLIGHT).contains(&most), "{most} at once");
    }
}
