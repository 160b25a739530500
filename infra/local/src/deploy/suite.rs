//! The end-to-end suite, run against the deployment.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use super::{Deployment, directory, step};
use crate::keys;
use crate::watch::Environment;
use crate::workspace::cargo;

/// Names the file that describes the system which the suite attaches to instead of starting one.
pub const RUNNING_SYSTEM: &str = "RUNNING_SYSTEM";
/// That file, in the rehearsal's directory.
const DESCRIPTION: &str = "running.json";
/// How a test says on standard error that it is not about a deployed system.
pub const LEFT_OUT: &str = "left out here: ";

/// Runs it, and says which tests are left out.
pub(super) async fn run(deployment: &Deployment) -> Result<()> {
    let console = &deployment.options.console;
    console.say("cargo test --test running, against the deployed stack");
    let text = test(deployment, "suite", &[], &[]).await?;
    let left_out: BTreeSet<_> = text.lines().filter_map(|line| line.split_once(LEFT_OUT)).collect();
    for (_, left_out) in left_out {
        console.say(&format!("not against the deployed stack: {left_out}"));
    }
    Ok(())
}

/// Runs one test of the suite that is ignored otherwise, since it is about a deployed stack.
pub(super) async fn ignored(deployment: &Deployment, test: &str, environment: &Environment) -> Result<()> {
    let environment: Vec<_> =
        environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let arguments = ["--", "--ignored", "--exact", "--nocapture", test];
    self::test(deployment, &test.replace("::", "-"), &arguments, &environment).await.map(drop)
}

/// Runs tests against the deployed stack, says the result, and returns what they print, which `name.log` keeps.
async fn test(
    deployment: &Deployment,
    name: &str,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> Result<String> {
    let options = &deployment.options;
    let directory = directory(&options.workspace);
    // Once more: the keys may have been rotated.
    describe(deployment).await?;
    let log = directory.join(format!("{name}.log"));
    let mut command = options.guard.command(cargo());
    command
        .args(["test", "--package", "tests", "--test", "running"])
        .args(arguments)
        .current_dir(&options.workspace.root)
        .env(RUNNING_SYSTEM, directory.join(DESCRIPTION))
        .envs(environment.iter().copied());
    step::run("the end-to-end suite", command, &log).await?;
    let text = fs::read_to_string(&log).with_context(|| format!("cannot read {}", log.display()))?;
    let result = text.lines().find(|line| line.starts_with("test result:"));
    let result = result.with_context(|| format!("{} tells no result", log.display()))?;
    ensure!(!result.contains(" 0 passed"), "no test ran; see {}", log.display());
    options.console.say(result);
    Ok(text)
}

/// Describes the deployed system for whoever tests it, and puts the stack's own key where a local run has it: the suite makes
/// tokens with it.
pub(super) async fn describe(deployment: &Deployment) -> Result<()> {
    let directory = directory(&deployment.options.workspace);
    fs::write(directory.join(DESCRIPTION), json!(deployment.addresses).to_string())
        .context("cannot describe the system")?;
    let id = deployment.stack.physical("SigningKeySecret")?;
    let read = ["secretsmanager", "get-secret-value", "--secret-id", id];
    let secret = deployment.cloud.aws(&read).await?;
    let secret: Value = serde_json::from_str(secret["SecretString"].as_str().unwrap_or_default())?;
    let key = secret["current"]["private_key"].as_str().context("the signing secret has no current key")?;
    keys::write_private(&directory.join("keys"), key)
}
