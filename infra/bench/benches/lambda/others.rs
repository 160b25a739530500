//! The same protected handler in other languages: what they need, and how they are started.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// How functions are started that are no binary of ours: executable, and arguments before the handler's name.
#[derive(Debug, Clone)]
pub(crate) struct Other {
    pub(crate) executable: PathBuf,
    pub(crate) arguments: Vec<String>,
    /// Where its handlers are.
    pub(crate) task_root: PathBuf,
    /// Whether it has a handler that reads an item.
    pub(crate) reads: bool,
}

/// Prepares those whose toolchain is there, and says why not of the others.
pub(crate) fn prepare(root: &Path) -> BTreeMap<&'static str, Other> {
    let source = root.join("infra/bench/yardsticks");
    let target = root.join("target/bench");
    // Python first: its packages bring what the others are built with.
    let python = python(&source.join("python"), &target);
    let go = go(&source.join("go"), &target);
    let node = node(&source.join("node"), &target);
    let mut others = BTreeMap::new();
    for (name, other) in [("go", go), ("node", node), ("python", python)] {
        match other {
            Ok(other) => drop(others.insert(name, other)),
            Err(error) => eprintln!("{name} is left out: {error:#}"),
        }
    }
    others
}

fn python(source: &Path, target: &Path) -> Result<Other> {
    let environment = target.join("python");
    let executable = environment.join("bin/python");
    if !executable.exists() {
        run(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
    }
    let requirements = source.join("requirements.txt");
    run(Command::new(&executable)
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"])
        .arg(requirements))?;
    let start = "from awslambdaric.__main__ import main; import sys; main(sys.argv)";
    let arguments = vec!["-c".to_owned(), start.to_owned()];
    Ok(Other { executable, arguments, task_root: source.to_owned(), reads: true })
}

fn go(source: &Path, target: &Path) -> Result<Other> {
    let executable = target.join("go");
    let mut command = with_tools("go", target);
    run(command.current_dir(source).args(["build", "-trimpath", "-ldflags=-s -w", "-o"]).arg(&executable))?;
    Ok(Other { executable, arguments: Vec::new(), task_root: source.to_owned(), reads: false })
}

fn node(source: &Path, target: &Path) -> Result<Other> {
    let directory = target.join("node");
    std::fs::create_dir_all(&directory).context("cannot make a directory")?;
    for file in ["package.json", "index.mjs"] {
        std::fs::copy(source.join(file), directory.join(file)).context(file)?;
    }
    let mut install = with_tools("npm", target);
    run(install.current_dir(&directory).args(["install", "--no-audit", "--no-fund", "--loglevel=error"]))?;
    let found =
        Command::new("node").args(["-p", "process.execPath"]).output().context("cannot start node")?;
    let executable = PathBuf::from(String::from_utf8(found.stdout)?.trim());
    let start = directory.join("node_modules/aws-lambda-ric/index.mjs");
    Ok(Other { executable, arguments: vec![start.display().to_string()], task_root: directory, reads: true })
}

/// A command that finds what the Python packages brought.
fn with_tools(program: &str, target: &Path) -> Command {
    let mut command = Command::new("env");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let tools = target.join("python/bin");
    let paths = std::env::split_paths(&path).chain([tools]);
    command.env("PATH", std::env::join_paths(paths).unwrap_or(path.clone())).arg(program);
    command
}

fn run(command: &mut Command) -> Result<()> {
    let output =
        command.output().with_context(|| format!("cannot start {}", command.get_program().display()))?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}
