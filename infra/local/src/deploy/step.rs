//! A program that is run to its end, with its output in a log.

use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context as _, Result};
use tokio::process::Command;

use crate::process::Child;

/// How many of the log's last lines are shown when it fails.
const TAIL: usize = 25;

/// Runs a guarded command and fails with the end of its log unless it ends well.
pub(super) async fn run(name: &'static str, mut command: Command, log: &Path) -> Result<()> {
    let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    command.stdout(file.try_clone()?).stderr(file);
    let ended = Child::spawn(name, command)?.succeed().await;
    ended.with_context(|| format!("{}:\n{}", log.display(), tail(log)))
}

/// The last lines of a log, after those that tell of a resource that could not be made: a roll-back says much more afterwards.
pub(super) fn tail(log: &Path) -> String {
    let text = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    let (before, tail) = lines.split_at(lines.len().saturating_sub(TAIL));
    let failed = before.iter().skip_while(|line| !line.contains("_FAILED ")).take(TAIL);
    failed.chain(tail).copied().collect::<Vec<_>>().join("\n")
}
