//! Where things are: the repository, what cargo builds, and what the local run keeps.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, fs};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// The repository as cargo sees it.
#[derive(Debug, Clone)]
pub struct Workspace {
    /// The directory with the workspace's `Cargo.toml` and `template.yaml`.
    pub root: PathBuf,
    /// Where cargo puts what it builds; `CARGO_TARGET_DIR` and the like are respected.
    pub target: PathBuf,
}

impl Workspace {
    /// Asks cargo about the workspace around the current directory.
    pub fn find() -> Result<Self> {
        let output = Command::new(cargo())
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .output()
            .context("cannot run cargo")?;
        if !output.status.success() {
            bail!("cargo does not know this workspace: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata is not JSON")?;
        let path = |key: &str| {
            let path = metadata[key].as_str().map(PathBuf::from);
            path.with_context(|| format!("cargo metadata has no {key}"))
        };
        Ok(Self { root: path("workspace_root")?, target: path("target_directory")? })
    }

    /// A binary of the workspace, as the development profile builds it.
    pub fn binary(&self, name: &str) -> PathBuf {
        self.target.join("debug").join(name)
    }

    /// Whether the source of a function was changed within `recently`.
    pub fn edited_within(&self, recently: Duration) -> bool {
        changed_within(&self.root.join("functions"), recently)
    }

    /// What the local run keeps: tools, state, logs. Under `target/`, so that git and backups leave it alone; always the
    /// repository's own, because `Cargo.toml` names `target/local/functions.env`.
    pub fn local(&self) -> PathBuf {
        self.root.join("target/local")
    }
}

/// Whether a file in `directory`, or below it, was changed within `recently`.
fn changed_within(directory: &Path, recently: Duration) -> bool {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => changed_within(&entry.path(), recently),
        Ok(metadata) => metadata.modified().is_ok_and(|at| at.elapsed().is_ok_and(|age| age < recently)),
        Err(_) => false,
    })
}

/// The cargo that runs us, or else the one on the path.
pub fn cargo() -> PathBuf {
    env::var_os("CARGO").map_or_else(|| PathBuf::from("cargo"), PathBuf::from)
}
