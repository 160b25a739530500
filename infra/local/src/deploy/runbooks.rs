//! The runbooks of `infra/README.md` are followed on the deployed stack, by the test `runbooks::are_followed`.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use anyhow::{Context as _, Result};

use super::{Deployment, build, directory, suite};
use crate::watch::Environment;

/// The AWS CLI as runbooks call it, with gaps of the emulator closed.
const AWS: &str = include_str!("shims/aws");

/// The variable that tells the test where these command lines are, beside the others of the search path.
const TOOLS: &str = "RUNBOOK_TOOLS";

/// Follows them.
pub(super) async fn follow(deployment: &Deployment) -> Result<()> {
    let path = install(deployment)?.into_string().ok().context("the search path is no text")?;
    deployment.options.console.say("following the runbooks of infra/README.md");
    let environment = Environment::from([(TOOLS.to_owned(), path)]);
    suite::ignored(deployment, "runbooks::are_followed", &environment).await
}

/// Writes the command line, and returns the search path on which it comes first.
fn install(deployment: &Deployment) -> Result<OsString> {
    let Deployment { options, cloud, .. } = deployment;
    let directory = directory(&options.workspace).join("shims");
    fs::create_dir_all(&directory).with_context(|| format!("cannot create {}", directory.display()))?;
    let shim = directory.join("aws");
    let real = cloud.tools.bin.join("aws");
    fs::write(&shim, AWS.replace("@AWS@", &real.display().to_string()))
        .with_context(|| format!("cannot write {}", shim.display()))?;
    fs::set_permissions(&shim, fs::Permissions::from_mode(0o755)).context("cannot make it a program")?;
    let mut path = directory.into_os_string();
    path.push(":");
    path.push(build::path(&cloud.tools.bin)?);
    Ok(path)
}
