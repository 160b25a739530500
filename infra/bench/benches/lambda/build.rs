//! What is measured, built as it is deployed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use template::Template;

/// What was built.
#[derive(Debug)]
pub(crate) struct Built {
    /// Our functions, by name.
    pub(crate) functions: BTreeMap<String, PathBuf>,
    /// What they are compared with, by name.
    pub(crate) yardsticks: BTreeMap<String, PathBuf>,
}

impl Built {
    /// The size of each binary, and of its zip, in bytes.
    pub(crate) fn sizes(&self) -> Result<BTreeMap<String, (u64, u64)>> {
        let all = self.functions.iter().chain(&self.yardsticks);
        all.map(|(name, path)| Ok((name.clone(), (fs::metadata(path)?.len(), zipped(path)?)))).collect()
    }
}

/// As Lambda wants it: one deflated file.
fn zipped(path: &Path) -> Result<u64> {
    let mut command = Command::new("gzip");
    let output = command.args(["-9", "--stdout"]).arg(path).output().context("cannot start gzip")?;
    ensure!(output.status.success(), "gzip failed");
    Ok(output.stdout.len() as u64)
}

/// Builds the functions of the template, one package after the other, so that none gets features that another one asks for, and the
/// yardsticks in Rust.
pub(crate) fn build(root: &Path, wanted: &[String]) -> Result<Built> {
    let template = Template::load(root, &BTreeMap::new())?;
    let target = root.join("target");
    let mut functions = BTreeMap::new();
    for function in template.functions() {
        if !wanted.is_empty() && !wanted.contains(&function.name) {
            continue;
        }
        let package = function.code_uri.rsplit('/').next().unwrap_or_default();
        cargo(root, &["--package", package, "--bin", &function.name])?;
        functions.insert(function.name.clone(), target.join("release").join(&function.name));
    }
    cargo(root, &["--package", "yardsticks", "--examples"])?;
    let yardstick = |name: &str| (name.to_owned(), target.join("release/examples").join(name));
    let yardsticks = ["bare", "floor", "one_item"].map(yardstick).into();
    Ok(Built { functions, yardsticks })
}

fn cargo(root: &Path, arguments: &[&str]) -> Result<()> {
    let status = Command::new(env!("CARGO"))
        .args(["build", "--release", "--locked", "--target-dir", "target"])
        .args(arguments)
        .current_dir(root)
        .status()
        .context("cannot start cargo")?;
    ensure!(status.success(), "cargo build {} failed", arguments.join(" "));
    Ok(())
}
