//! The AWS emulator: MiniStack, which speaks DynamoDB, Streams, Secrets Manager, SES v2, SNS and SQS.

use std::fs::{self, File};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::time::{sleep, timeout};

use crate::delivery;
use crate::guard::Drain;
use crate::process::{Child, Guard};
use crate::system;
use crate::tools::Tools;

/// How long it may take to start, on a busy machine too.
const PATIENCE: Duration = Duration::from_mins(1);

/// A running emulator.
#[derive(Debug)]
pub struct Emulator {
    /// The process.
    pub child: Child,
    /// Its endpoint.
    pub url: String,
}

impl Emulator {
    /// Starts the emulator on `port` with what `state` holds, which it writes back when it is stopped.
    pub async fn start(guard: &Guard, tools: &Tools, port: u16, state: &Path) -> Result<Self> {
        if delivery::rewind(state)? {
            tracing::info!(
                "the emulator was killed last time: its tables, and what was delivered, are as when it was started"
            );
        }
        let data = state.join("emulator");
        fs::create_dir_all(&data).with_context(|| format!("cannot create {}", data.display()))?;
        let log_path = state.join("emulator.log");
        let log = File::create(&log_path).with_context(|| format!("cannot write {}", log_path.display()))?;
        let url = format!("http://127.0.0.1:{port}");
        let drain = Drain { emulator: url.clone(), checkpoints: system::remembered(state) };
        let mut command = guard.draining(tools.emulator(), &drain);
        command
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .env("PERSIST_STATE", "1")
            .env("STATE_DIR", &data)
            // A listener that nobody needs.
            .env("IOT_MTLS_ENABLED", "0")
            // The emulator decides by these whose keys it accepts; ours are made up.
            .env_remove("AWS_ACCESS_KEY_ID")
            .env_remove("AWS_SECRET_ACCESS_KEY")
            .env_remove("AWS_SESSION_TOKEN")
            .current_dir(state)
            .stdout(log.try_clone()?)
            .stderr(log);
        let mut child = Child::spawn("the AWS emulator", command)?;
        let client = reqwest::Client::builder().no_proxy().build().context("cannot make an HTTP client")?;
        let answers = async {
            let ready = format!("{url}/_ministack/ready");
            while client.get(&ready).send().await.map_or(true, |answer| !answer.status().is_success()) {
                sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::select! {
            ended = child.wait() => {
                let log = fs::read_to_string(&log_path).unwrap_or_default();
                let tail: Vec<_> = log.lines().rev().take(10).collect();
                let tail: Vec<_> = tail.into_iter().rev().collect();
                bail!("the AWS emulator ended at once ({}):\n{}", ended?, tail.join("\n"));
            }
            in_time = timeout(PATIENCE, answers) => {
                in_time.with_context(|| format!("the AWS emulator does not answer; see {}", log_path.display()))?;
            }
        }
        Ok(Self { child, url })
    }
}
