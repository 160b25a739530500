//! Instructions, as valgrind's callgrind counts them: they repeat from run to run and from machine to machine of a kind, where times do
//! not, so that a test can insist on them. <https://valgrind.org/docs/manual/cl-manual.html>

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use bench::sandbox::{Program, Sandbox};

use crate::subjects::{Subject, ask};

/// Events whose instructions are counted; the first ones, which do what is done once, are not among them.
const EVENTS: u32 = 100;
const FIRST: u32 = 20;

/// What a function takes, in instructions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Instructions {
    /// Until it asks for its first event.
    pub(crate) start: u64,
    /// For each event, once it is warm.
    pub(crate) event: u64,
}

/// Counts them in three runs: one without events, one with the first and one with more.
pub(crate) async fn count(subject: &Subject, directory: &Path) -> Result<Instructions> {
    let start = run(subject, directory, 0).await?;
    let first = run(subject, directory, FIRST).await?;
    let all = run(subject, directory, FIRST + EVENTS).await?;
    Ok(Instructions { start, event: all.saturating_sub(first) / u64::from(EVENTS) })
}

async fn run(subject: &Subject, directory: &Path, events: u32) -> Result<u64> {
    fs::create_dir_all(directory).context("cannot make a directory")?;
    let output = directory.join(format!("callgrind.{}.{events}", subject.program.name));
    let Program { name, executable, arguments, environment } = subject.program.clone();
    let mut valgrind = vec![
        "--tool=callgrind".to_owned(),
        "--quiet".to_owned(),
        format!("--callgrind-out-file={}", output.display()),
        executable.display().to_string(),
    ];
    valgrind.extend(arguments);
    let executable = "/usr/bin/valgrind".into();
    let (mut sandbox, _) =
        Sandbox::start(&Program { name, executable, arguments: valgrind, environment }).await?;
    for _ in 0..events {
        ask(&mut sandbox, &subject.event, subject.status).await?;
    }
    sandbox.terminate().await?;
    let profile = fs::read_to_string(&output).with_context(|| output.display().to_string())?;
    let totals = profile
        .lines()
        .find_map(|line| line.strip_prefix("totals: "))
        .context("callgrind counted nothing")?;
    Ok(totals.trim().parse()?)
}
