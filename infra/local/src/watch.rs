//! `cargo lambda watch`: the functions, several instances of each.
//!
//! It starts an instance with `cargo run` when a request finds none idle. A function that is not built, or cannot start,
//! makes requests hang there, and parallel first builds can deadlock (cargo-lambda#444): hence everything is built first
//! and each function is invoked once before anybody else may.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt::Write as _;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use reqwest::Client;
use reqwest::header::HeaderMap;
use template::{Function, REGION};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{sleep, timeout};

use crate::gateway::Distribution;
use crate::logs::{Console, News};
use crate::process::{Child, Guard};
use crate::tools::Tools;
use crate::workspace::{Workspace, cargo};

/// How long a function may take to start, on a busy machine too.
const PATIENCE: Duration = Duration::from_mins(1);

/// Name and value of each variable.
pub type Environment = BTreeMap<String, String>;

/// The variables of all functions: `cargo lambda watch` gives every function the same ones. A name with two values would
/// make a function behave differently here than on AWS, and is an error.
pub fn environment(functions: &[Function], emulator: &str) -> Result<Environment> {
    let mut union = Environment::from_iter(
        [
            ("AWS_ENDPOINT_URL", emulator),
            ("AWS_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", "local"),
            ("AWS_SECRET_ACCESS_KEY", "local"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned())),
    );
    for function in functions {
        for (name, value) in &function.environment {
            match union.entry(name.clone()) {
                Entry::Occupied(known) if known.get() != value => bail!(
                    "template.yaml gives {name} another value in {} ({value}) than elsewhere ({}), but locally all \
                     functions share one environment",
                    function.logical_id,
                    known.get()
                ),
                Entry::Occupied(_) => {}
                Entry::Vacant(free) => {
                    free.insert(value.clone());
                }
            }
        }
    }
    Ok(union)
}

/// Writes the environment where `cargo lambda watch` reads it. Never a secret: those are in Secrets Manager.
pub fn write_environment(path: &Path, environment: &Environment) -> Result<()> {
    let mut text = String::new();
    for (name, value) in environment {
        if value.contains(['"', '\'', '\n', '\\', '$']) {
            bail!("the value of {name} cannot be written to an environment file: {value}");
        }
        writeln!(text, "{name}=\"{value}\"").context("text only grows")?;
    }
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Builds all binaries of the workspace, the functions among them; cargo's own progress shows.
///
/// With the same selection as `cargo run --bin` has in the workspace's root, so that watch finds nothing left to build.
pub async fn build(workspace: &Workspace, guard: Option<&Guard>) -> Result<()> {
    let mut command = match guard {
        Some(guard) => guard.command(cargo()),
        None => tokio::process::Command::new(cargo()),
    };
    command.args(["build", "--bins"]).current_dir(&workspace.root);
    Child::spawn("cargo build", command)?.succeed().await.context("the functions do not build; see above")
}

/// How to run `cargo lambda watch`.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What to run.
    pub workspace: Workspace,
    /// What guards it.
    pub guard: Guard,
    /// Where `cargo lambda` is.
    pub tools: Tools,
    /// Where its output goes.
    pub console: Console,
    /// Its port.
    pub port: u16,
    /// Most instances of one function.
    pub concurrency: u16,
    /// Whether an edit under `functions/` rebuilds and restarts the functions.
    pub reload: bool,
    /// What [`write_environment`] wrote.
    pub environment_file: PathBuf,
    /// A directory that holds nothing, to watch when there is nothing to watch for.
    pub empty: PathBuf,
    /// By way of which the functions are invoked first; `None`: none stands in front.
    pub distribution: Option<Distribution>,
}

/// A running `cargo lambda watch`.
#[derive(Debug)]
pub struct Watch {
    /// The process.
    pub child: Child,
    /// Where it answers.
    pub url: String,
    settings: Settings,
    news: UnboundedReceiver<News>,
}

impl Watch {
    /// Starts it; the functions start with their first invocation.
    pub fn start(settings: Settings) -> Result<Self> {
        let Settings { workspace, guard, tools, console, .. } = &settings;
        fs::create_dir_all(&settings.empty).context("cannot create a directory")?;
        let mut command = guard.command(tools.cargo_lambda());
        command
            .args(["lambda", "watch", "--invoke-address", "127.0.0.1", "--disable-cors", "--quiet"])
            .args(["--invoke-port", &settings.port.to_string()])
            .args(["--concurrency", &settings.concurrency.to_string()])
            .arg("--manifest-path")
            .arg(workspace.root.join("Cargo.toml"))
            .arg("--env-file")
            .arg(&settings.environment_file)
            .env("CARGO_TARGET_DIR", &workspace.target)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // Each instance watches all directories below where watch runs; the root, with the thousands under target/, would
        // exhaust the system's inotify watches.
        if settings.reload {
            command.current_dir(workspace.root.join("functions"));
        } else {
            command.arg("--ignore-changes").current_dir(&settings.empty);
        }
        let mut child = Child::spawn("cargo lambda watch", command)?;
        let (tell, news) = unbounded_channel();
        let (out, err) = child.output();
        if let (Some(out), Some(err)) = (out, err) {
            tokio::spawn(console.clone().follow(out, tell.clone()));
            tokio::spawn(console.clone().follow(err, tell));
        }
        Ok(Self { child, url: format!("http://127.0.0.1:{}", settings.port), settings, news })
    }

    /// Invokes each function once, so that all run; fails, and says why, when one cannot.
    ///
    /// One after the other: for each moment that a request waits, watch starts another instance.
    pub async fn warm_up(&mut self, functions: &[Function]) -> Result<()> {
        let client = Client::builder().no_proxy().build().context("cannot make an HTTP client")?;
        self.listens().await?;
        for function in functions {
            let Some(invocation) = first_invocation(&self.url, function, &client) else { continue };
            let mut headers = HeaderMap::new();
            if let Some(distribution) = &self.settings.distribution {
                distribution.mark(&mut headers, Ipv4Addr::LOCALHOST.into()).await?;
            }
            let invocation = invocation.headers(headers);
            let name = &function.name;
            let answer = tokio::select! {
                answer = invocation.timeout(PATIENCE).send() => answer,
                failure = cannot_run(&mut self.news) => bail!("{failure}"),
                ended = self.child.wait() => bail!("cargo lambda watch ended ({})", ended?),
            };
            let answer = answer.with_context(|| format!("{name} does not answer; see the log above"))?;
            let status = answer.status();
            if !status.is_success() {
                bail!("{name} is not ready ({status}): {}", answer.text().await.unwrap_or_default());
            }
        }
        Ok(())
    }

    /// Waits until it ends. Until then, functions whose processes were killed are brought back: watch itself starts no new
    /// instance once the last one was killed, and lets requests wait for ever. `doubt` is when to look.
    pub async fn keep_up(&mut self, functions: &[Function], doubt: &Notify) -> Result<ExitStatus> {
        loop {
            tokio::select! {
                ended = self.child.wait() => return ended,
                Some(news) = self.news.recv() => if news != News::Killed { continue },
                () = doubt.notified() => {}
            }
            // Several instances that were killed at once are news several times.
            sleep(Duration::from_millis(200)).await;
            while self.news.try_recv().is_ok() {}
            if let Some(dead) = self.dead(functions).await {
                self.settings.console.say(&format!("{dead} was killed: starting the functions anew"));
                // The port must be free.
                self.child.stop();
                *self = Self::start(self.settings.clone())?;
                self.warm_up(functions).await.context("a function cannot run any more")?;
                self.settings.console.say("the functions run again");
            }
        }
    }

    /// A function of which no process runs, and none is being built. Each has been invoked once.
    async fn dead<'a>(&self, functions: &'a [Function]) -> Option<&'a str> {
        let commands = self.child.descendants().await?;
        let runs = |name: &str| {
            let binary = format!("/{name}");
            commands.iter().any(|command| {
                let mut words = command.split_whitespace();
                words.next().is_some_and(|program| program.ends_with(&binary))
                    || words.any(|word| word == name)
            })
        };
        let invoked = functions.iter().filter(|function| is_invoked_at_start(function));
        invoked.map(|function| function.name.as_str()).find(|name| !runs(name))
    }

    async fn listens(&mut self) -> Result<()> {
        let answers = async {
            while TcpStream::connect((Ipv4Addr::LOCALHOST, self.settings.port)).await.is_err() {
                sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::select! {
            in_time = timeout(PATIENCE, answers) => in_time.context("cargo lambda watch does not answer"),
            ended = self.child.wait() => bail!("cargo lambda watch ended at once ({})", ended?),
        }
    }
}

async fn cannot_run(news: &mut UnboundedReceiver<News>) -> String {
    loop {
        match news.recv().await {
            Some(News::CannotRun(failure)) => return failure,
            Some(News::Killed) => {}
            None => std::future::pending().await,
        }
    }
}

fn is_invoked_at_start(function: &Function) -> bool {
    function.local_port.is_some() || !function.streams.is_empty() || !function.schedules.is_empty()
}

/// A request that changes nothing: the readiness of a service, no records for a stream worker. Functions that answer
/// neither (CloudFormation's custom resource, the operators') start when somebody first invokes them.
fn first_invocation(watch: &str, function: &Function, client: &Client) -> Option<reqwest::RequestBuilder> {
    let name = &function.name;
    if function.local_port.is_some() {
        return Some(client.get(format!("{watch}/lambda-url/{name}/{name}/ready")));
    }
    let invocation = client.post(format!("{watch}/2015-03-31/functions/{name}/invocations"));
    if !function.streams.is_empty() {
        return Some(invocation.json(&serde_json::json!({ "Records": [] })));
    }
    // A scheduled job finds its own work; being early once is what schedules are about.
    (!function.schedules.is_empty()).then(|| invocation.json(&serde_json::json!({})))
}

#[cfg(test)]
mod tests {
    use template::Template;

    use super::*;

    fn functions(yaml: &str) -> Vec<Function> {
        let template = Template::parse(yaml, &BTreeMap::new()).unwrap();
        template.functions().to_vec()
    }

    const TWO: &str = r"
Resources:
  A:
    Type: AWS::Serverless::Function
    Metadata: { BuildProperties: { Binary: a } }
    Properties: { Environment: { Variables: { TABLE: one, ONLY_A: x } } }
  B:
    Type: AWS::Serverless::Function
    Metadata: { BuildProperties: { Binary: b } }
    Properties: { Environment: { Variables: { TABLE: one } } }
";

    #[test]
    fn functions_share_one_environment() {
        let union = environment(&functions(TWO), "http://127.0.0.1:1").unwrap();
        assert_eq!(union["TABLE"], "one");
        assert_eq!(union["ONLY_A"], "x");
        assert_eq!(union["AWS_ENDPOINT_URL"], "http://127.0.0.1:1");
    }

    #[test]
    fn two_values_for_one_variable_are_refused() {
        let conflicting = TWO.replace("TABLE: one }", "TABLE: two }");
        let error = environment(&functions(&conflicting), "http://127.0.0.1:1").unwrap_err().to_string();
        assert!(error.contains("TABLE") && error.contains("one") && error.contains("two"), "{error}");
    }
}
