//! The emulator as a stand-in for an AWS account, and AWS's own command lines talking to it.

use std::env;
use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use reqwest::Client;
use serde_json::Value;
use template::REGION;
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use super::stack::Stack;
use super::{Options, build, step};
use crate::process::{Child, Guard};
use crate::tools::DeployTools;
use crate::watch::Environment;

/// How long the emulator may take to start, on a busy machine too.
const PATIENCE: Duration = Duration::from_mins(1);
/// The emulator takes who has this key for the account's owner, whom IAM allows everything.
const OWNER: &str = "test";

/// The emulated account.
#[derive(Debug)]
pub struct Cloud {
    /// Where the emulator answers.
    pub endpoint: String,
    /// `sam`, `aws` and the others.
    pub tools: DeployTools,
    /// Where logs are.
    pub directory: PathBuf,
    guard: Guard,
    _emulator: Child,
}

impl Cloud {
    /// Starts an empty account.
    pub(super) async fn start(options: &Options, tools: DeployTools, directory: &Path) -> Result<Self> {
        let port = free_port()?;
        let endpoint = format!("http://127.0.0.1:{port}");
        let state = directory.join("state");
        let _absent = fs::remove_dir_all(&state);
        fs::create_dir_all(&state).with_context(|| format!("cannot create {}", state.display()))?;
        let log = directory.join("emulator.log");
        let output = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = options.guard.command(&tools.emulator);
        command
            // The functions inherit all of it, which on AWS they do not: nothing of the caller's may get there.
            .env_clear()
            .env("PATH", build::path(&tools.bin)?)
            .env("HOME", &state)
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .env("STATE_DIR", &state)
            .env("LAMBDA_EXECUTOR", "local")
            // Every call is decided by the policies of the caller's role.
            .env("AUTH", "true")
            // Who called what.
            .env("CLOUDTRAIL_RECORDING", "1")
            .env("CLOUDTRAIL_MAX_EVENTS", "100000")
            // A listener that nobody needs.
            .env("IOT_MTLS_ENABLED", "0")
            .env("AWS_ENDPOINT_URL", &endpoint)
            .current_dir(&state)
            .stdout(output.try_clone()?)
            .stderr(output);
        let mut emulator = Child::spawn("the AWS emulator", command)?;
        let client = Client::builder().no_proxy().build().context("cannot make an HTTP client")?;
        let answers = async {
            let ready = format!("{endpoint}/_ministack/ready");
            while client.get(&ready).send().await.map_or(true, |answer| !answer.status().is_success()) {
                sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::select! {
            ended = emulator.wait() => bail!("the AWS emulator ended at once ({}):\n{}", ended?, step::tail(&log)),
            in_time = timeout(PATIENCE, answers) => {
                in_time.with_context(|| format!("the AWS emulator does not answer; see {}", log.display()))?;
            }
        }
        Ok(Self {
            endpoint,
            tools,
            directory: directory.to_owned(),
            guard: options.guard.clone(),
            _emulator: emulator,
        })
    }

    /// One of AWS's command lines, or a shell, whose calls go to the emulator: the caller's own account, and whatever else
    /// the environment says, is out of reach.
    pub fn command(&self, program: &str) -> Result<Command> {
        let installed = self.tools.bin.join(program);
        let program = if installed.is_file() { installed } else { PathBuf::from(program) };
        let mut command = self.guard.command(program);
        command
            .env_clear()
            .env("PATH", build::path(&self.tools.bin)?)
            .env("HOME", self.directory.join("state"));
        if let Some(temporary) = env::var_os("TMPDIR") {
            command.env("TMPDIR", temporary);
        }
        command
            .env("AWS_ENDPOINT_URL", &self.endpoint)
            .env("AWS_DEFAULT_REGION", REGION)
            .env("AWS_ACCESS_KEY_ID", OWNER)
            .env("AWS_SECRET_ACCESS_KEY", OWNER)
            .env("AWS_PAGER", "")
            .env("SAM_CLI_TELEMETRY", "0")
            .current_dir(&self.directory);
        Ok(command)
    }

    /// What `aws` answers to these arguments.
    pub async fn aws(&self, arguments: &[&str]) -> Result<Value> {
        let mut command = self.command("aws")?;
        command.args(arguments).args(["--output", "json"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("cannot start aws")?;
        // Its guard ends it when this end closes.
        let lifeline = child.stdin.take();
        let output = child.wait_with_output().await.context("cannot run aws")?;
        drop(lifeline);
        if !output.status.success() {
            bail!("aws {} failed: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(serde_json::from_slice(&output.stdout).unwrap_or_default())
    }

    /// `sam deploy`.
    pub async fn deploy(&self, template: &Path, stack: &str, parameters: &[(&str, &str)]) -> Result<()> {
        let mut command = self.command("sam")?;
        command
            .args(["deploy", "--stack-name", stack, "--template-file"])
            .arg(template)
            .args(["--resolve-s3", "--capabilities", "CAPABILITY_IAM"])
            .args(["--no-confirm-changeset", "--no-fail-on-empty-changeset", "--parameter-overrides"])
            .args(parameters.iter().map(|(name, value)| format!("{name}={value}")));
        step::run("sam deploy", command, &self.directory.join("sam-deploy.log")).await
    }

    /// `sam delete`.
    pub async fn delete(&self, stack: &str) -> Result<()> {
        let mut command = self.command("sam")?;
        command.args(["delete", "--stack-name", stack, "--no-prompts", "--region", REGION]);
        step::run("sam delete", command, &self.directory.join("sam-delete.log")).await
    }

    /// What CloudFormation says of a stack.
    pub async fn describe(&self, stack: &str) -> Result<Stack> {
        let described = self.aws(&["cloudformation", "describe-stacks", "--stack-name", stack]).await?;
        let resources =
            self.aws(&["cloudformation", "describe-stack-resources", "--stack-name", stack]).await?;
        Ok(Stack::read(&described, &resources))
    }

    /// The variables of all functions of the stack, and how the account's owner reaches it.
    pub async fn environment(&self, stack: &Stack) -> Result<Environment> {
        let mut environment: Environment = [
            ("AWS_ENDPOINT_URL", self.endpoint.as_str()),
            ("AWS_REGION", REGION),
            ("AWS_ACCESS_KEY_ID", OWNER),
            ("AWS_SECRET_ACCESS_KEY", OWNER),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        let listed = self.aws(&["lambda", "list-functions"]).await?;
        let functions = listed["Functions"].as_array().context("no list of functions")?;
        for function in functions {
            let name = function["FunctionName"].as_str().unwrap_or_default();
            let variables = function["Environment"]["Variables"].as_object();
            if stack.has(name) {
                let variables = variables.into_iter().flatten();
                environment.extend(
                    variables
                        .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned())),
                );
            }
        }
        Ok(environment)
    }

    /// What is left of a deleted stack: its tables, which it retains. Anything else is an error.
    pub(super) async fn retained(&self, stack: &Stack) -> Result<Vec<String>> {
        let functions = self.aws(&["lambda", "list-functions"]).await?;
        let apis = self.aws(&["apigatewayv2", "get-apis"]).await?;
        let secrets = self.aws(&["secretsmanager", "list-secrets"]).await?;
        let queues = self.aws(&["sqs", "list-queues", "--endpoint-url", &self.endpoint]).await?;
        let roles = self.aws(&["iam", "list-roles"]).await?;
        for (what, list, name) in [
            ("functions", &functions["Functions"], "FunctionName"),
            ("APIs", &apis["Items"], "ApiId"),
            ("secrets", &secrets["SecretList"], "Name"),
            ("queues", &queues["QueueUrls"], ""),
            ("roles", &roles["Roles"], "RoleName"),
        ] {
            let items = list.as_array().into_iter().flatten();
            let left: Vec<_> = items
                .filter_map(|item| if name.is_empty() { item.as_str() } else { item[name].as_str() })
                .filter(|name| stack.has(name))
                .collect();
            if !left.is_empty() {
                bail!("sam delete left {what} behind: {}", left.join(", "));
            }
        }
        let tables = self.aws(&["dynamodb", "list-tables"]).await?;
        let tables = tables["TableNames"].as_array().into_iter().flatten().filter_map(Value::as_str);
        Ok(tables.filter(|name| stack.has(name)).map(str::to_owned).collect())
    }
}

/// A port that nobody uses.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
    Ok(listener.local_addr()?.port())
}
