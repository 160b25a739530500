//! The end-to-end suite, run against the deployment.

use std::fs;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::{Deployment, directory, step};
use crate::keys;
use crate::workspace::cargo;

/// Names the file that describes the system which the suite attaches to instead of starting one.
pub const RUNNING_SYSTEM: &str = "RUNNING_SYSTEM";
/// How a test says on standard error that it is not about a deployed system.
pub const LEFT_OUT: &str = "left out here: ";

/// Runs it, and says which tests are left out.
pub(super) async fn run(deployment: &Deployment) -> Result<()> {
    let Deployment { options, addresses, .. } = deployment;
    let directory = directory(&options.workspace);
    let description = directory.join("running.json");
    fs::write(&description, json!(addresses).to_string()).context("cannot describe the system")?;
    write_key(deployment).await?;
    options.console.say("cargo test --test running, against the deployed stack");
    let log = directory.join("suite.log");
    let mut command = options.guard.command(cargo());
    command
        .args(["test", "--test", "running"])
        .current_dir(&options.workspace.root)
        .env(RUNNING_SYSTEM, &description);
    step::run("the end-to-end suite", command, &log).await?;
    let text = fs::read_to_string(&log).context("cannot read the suite's log")?;
    let result = text.lines().find(|line| line.starts_with("test result:"));
    options.console.say(result.context("the suite tells no result")?);
    for left_out in text.lines().filter_map(|line| line.split_once(LEFT_OUT)) {
        options.console.say(&format!("not against the deployed stack: {}", left_out.1));
    }
    Ok(())
}

/// The suite makes tokens with the stack's own key, which it looks for where a local run has it.
async fn write_key(deployment: &Deployment) -> Result<()> {
    let id = deployment.stack.physical("SigningKeySecret")?;
    let read = ["secretsmanager", "get-secret-value", "--secret-id", id];
    let secret = deployment.cloud.aws(&read).await?;
    let secret: Value = serde_json::from_str(secret["SecretString"].as_str().unwrap_or_default())?;
    let key = secret["current"]["private_key"].as_str().context("the signing secret has no current key")?;
    keys::write_private(&directory(&deployment.options.workspace).join("keys"), key)
}
