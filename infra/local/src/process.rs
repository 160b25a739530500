//! Processes that never outlive `cargo local`; how is explained in [`crate::guard`].

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::process::{ChildStderr, ChildStdin, ChildStdout, Command};

use crate::guard::{self, Drain};

/// The program that guards the processes we start: the `local` binary.
#[derive(Debug, Clone)]
pub struct Guard(PathBuf);

impl Guard {
    /// This very program, for the `local` binary itself.
    pub fn this_program() -> Result<Self> {
        // Through /proc it works even when a rebuild has replaced the file.
        let program = PathBuf::from("/proc/self/exe");
        if program.exists() {
            return Ok(Self(program));
        }
        Ok(Self(std::env::current_exe().context("cannot find this program's file")?))
    }

    /// The `local` binary at this path, for tests, which are another program.
    pub fn at(program: PathBuf) -> Self {
        Self(program)
    }

    /// A command that runs `program` under guard; arguments, environment and so on are added as usual.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        self.guarded(program, None)
    }

    /// The same, of the emulator, whose streams are read to their end before it is stopped.
    pub fn draining(&self, program: impl AsRef<OsStr>, drain: &Drain) -> Command {
        self.guarded(program, Some(drain))
    }

    fn guarded(&self, program: impl AsRef<OsStr>, drain: Option<&Drain>) -> Command {
        let mut command = Command::new(&self.0);
        command.arg0("cargo-local-guard").arg(guard::SUBCOMMAND);
        if let Some(Drain { emulator, checkpoints }) = drain {
            command.arg("--emulator").arg(emulator).arg("--checkpoints").arg(checkpoints);
        }
        command.arg("--").arg(program);
        command
    }
}

/// A guarded process. Dropping this stops it.
#[derive(Debug)]
pub struct Child {
    name: &'static str,
    guard: tokio::process::Child,
    lifeline: Option<ChildStdin>,
}

impl Child {
    /// Starts a [`Guard::command`]; `name` is for messages.
    pub fn spawn(name: &'static str, mut command: Command) -> Result<Self> {
        let mut guard =
            command.stdin(Stdio::piped()).spawn().with_context(|| format!("cannot start {name}"))?;
        let lifeline = guard.stdin.take();
        Ok(Self { name, guard, lifeline })
    }

    /// Its standard output and error, where the command asked for pipes.
    pub fn output(&mut self) -> (Option<ChildStdout>, Option<ChildStderr>) {
        (self.guard.stdout.take(), self.guard.stderr.take())
    }

    /// Waits until it ends.
    pub async fn wait(&mut self) -> Result<ExitStatus> {
        self.guard.wait().await.with_context(|| format!("cannot wait for {}", self.name))
    }

    /// Waits until it ends, and fails unless it ended well.
    pub async fn succeed(&mut self) -> Result<()> {
        let status = self.wait().await?;
        if !status.success() {
            bail!("{} failed ({status})", self.name);
        }
        Ok(())
    }
}

impl Child {
    /// The command lines of all processes that it started, and those that they started; none where there is no `ps`.
    pub async fn descendants(&self) -> Option<Vec<String>> {
        let output = Command::new("ps").args(["-A", "-o", "pid=,ppid=,args="]).output().await.ok()?;
        let table = String::from_utf8_lossy(&output.stdout).into_owned();
        let processes: Vec<(u32, u32, &str)> = table
            .lines()
            .filter_map(|line| {
                let (pid, rest) = line.trim_start().split_once(' ')?;
                let (parent, command) = rest.trim_start().split_once(' ')?;
                Some((pid.parse().ok()?, parent.parse().ok()?, command.trim_start()))
            })
            .collect();
        let mut family = vec![self.guard.id()?];
        let mut commands = Vec::new();
        let mut next = 0;
        while let Some(&parent) = family.get(next) {
            for (pid, _, command) in processes.iter().filter(|(_, of, _)| *of == parent) {
                family.push(*pid);
                commands.push((*command).to_owned());
            }
            next += 1;
        }
        Some(commands)
    }

    /// Stops it and everything that it started. Waits for that, so that ports and files are free afterwards; the guard's own
    /// patience is shorter than ours.
    pub fn stop(&mut self) {
        drop(self.lifeline.take());
        for _ in 0..1_200 {
            if !matches!(self.guard.try_wait(), Ok(None)) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.stop();
    }
}
