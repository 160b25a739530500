//! `sam build`.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::{ARCHITECTURE, step};
use crate::process::Guard;
use crate::tools::DeployTools;
use crate::workspace::Workspace;

/// What cargo is told by its environment, so that the build costs minutes on two cores. Everything else is the release profile.
const PROFILE: [(&str, &str); 4] = [
    // Linking the whole program once more for each of the functions would take most of the time.
    ("CARGO_PROFILE_RELEASE_LTO", "off"),
    ("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16"),
    // The dependencies are large and hardly used: optimising them is what takes long.
    ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1"),
    // This machine's own linker, instead of Zig: what is built here runs here.
    ("CARGO_LAMBDA_COMPILER", "cargo"),
];

/// Where this version is built.
pub(super) fn directory(workspace: &Workspace) -> PathBuf {
    super::directory(workspace).join("build")
}

/// The template of a version that was built there.
pub(super) fn built(build: &Path) -> PathBuf {
    build.join("template.yaml")
}

/// Builds all functions of the version whose sources are in `root`. One target directory for all functions and versions, so that
/// they share what they have in common.
pub(super) async fn build(
    workspace: &Workspace,
    guard: &Guard,
    tools: &DeployTools,
    root: &Path,
    build: &Path,
) -> Result<()> {
    let mut command = guard.command(tools.bin.join("sam"));
    command
        .args(["build", "--template", "template.yaml", "--parameter-overrides"])
        .arg(format!("Architecture={ARCHITECTURE}"))
        .arg("--build-dir")
        .arg(build)
        .current_dir(root)
        .envs(PROFILE)
        .env("CARGO_TARGET_DIR", workspace.root.join("target/deploy"))
        .env("PATH", path(&tools.bin)?)
        .env("SAM_CLI_TELEMETRY", "0")
        .env("AWS_DEFAULT_REGION", template::REGION);
    step::run("sam build", command, &super::directory(workspace).join("sam-build.log")).await
}

/// The search path with the tools in front.
pub(super) fn path(bin: &Path) -> Result<OsString> {
    let rest = env::var_os("PATH").unwrap_or_default();
    let all = [bin.to_owned()].into_iter().chain(env::split_paths(&rest));
    env::join_paths(all).context("the search path cannot be extended")
}
