//! The guard: a process of this program that stands between `cargo local` and each process it starts.
//!
//! `cargo local` holds the other end of the guard's standard input. When that end closes, for whatever reason (Ctrl-C, a
//! panic, `kill -9`, the test run over), the guard ends its child and everything that the child started, and then itself.
//! It lives in a session of its own, so that a Ctrl-C at the terminal reaches `cargo local` alone, which stops things in
//! order.

use std::ffi::OsString;
use std::io::{Read as _, stdin};
use std::path::PathBuf;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, setsid};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::delivery;

/// The hidden subcommand that makes this program a guard.
pub const SUBCOMMAND: &str = "guard";

/// How long the child may take to stop by itself; the emulator writes its state then.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long the last look at the streams may take.
const LAST_LOOK: Duration = Duration::from_secs(5);

/// What to do before the child is told to stop: read the streams of the emulator that it is, see [`delivery::drain`].
#[derive(Debug, Clone)]
pub struct Drain {
    /// The emulator's URL.
    pub emulator: String,
    /// Where the checkpoints are.
    pub checkpoints: PathBuf,
}

/// Runs `program` until it ends or standard input closes, and leaves nothing of it behind. Returns its exit code.
pub async fn run(program: &OsString, arguments: &[OsString], drain: Option<Drain>) -> Result<u8> {
    // Fails only where we lead a process group already, which is as good.
    let _own_session = setsid();
    // Orphans of the child become children of ours instead of escaping to process 1.
    #[cfg(target_os = "linux")]
    nix::sys::prctl::set_child_subreaper(true).context("cannot adopt orphans")?;
    let (mut interrupted, mut terminated) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut hung_up = signal(SignalKind::hangup())?;

    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()
        .with_context(|| format!("cannot run {}", program.display()))?;
    let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
    let told = async {
        tokio::select! {
            _ = lifeline_cut() => {}
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
            _ = hung_up.recv() => {}
        }
    };
    let ended = tokio::select! {
        status = child.wait() => Some(status.ok().and_then(|status| status.code())),
        () = told => None,
    };
    let code = if let Some(code) = ended {
        code
    } else {
        if let Some(Drain { emulator, checkpoints }) = drain {
            // Nobody is left to tell of a failure.
            let _as_far_as_it_went = timeout(LAST_LOOK, delivery::drain(&emulator, &checkpoints)).await;
        }
        stop(&mut child, group).await
    };
    sweep(group).await;
    Ok(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

/// Resolves when standard input closes. A thread of its own, because reading a pipe blocks.
fn lifeline_cut() -> oneshot::Receiver<()> {
    let (cut, is_cut) = oneshot::channel();
    thread::spawn(move || {
        while matches!(stdin().read(&mut [0; 64]), Ok(count) if count > 0) {}
        cut.send(())
    });
    is_cut
}

async fn stop(child: &mut Child, group: Option<Pid>) -> Option<i32> {
    if let Some(pid) = group {
        // An error means that it has just ended.
        let _gone = kill(pid, Signal::SIGTERM);
    }
    timeout(PATIENCE, child.wait()).await.ok()?.ok()?.code()
}

/// Kills what the child left behind, process groups of their own included (`cargo lambda watch` puts each function into
/// one).
async fn sweep(group: Option<Pid>) {
    // Where there is no /proc, the child's own group is all that can be found.
    if let Some(group) = group {
        let _gone = nix::sys::signal::killpg(group, Signal::SIGKILL);
    }
    #[cfg(target_os = "linux")]
    for _ in 0..500 {
        let left = linux::descendants();
        if left.is_empty() {
            return;
        }
        for pid in left {
            let _gone = kill(pid, Signal::SIGKILL);
            // Reaps it where it is, or has become, a child of ours.
            let _not_ours = nix::sys::wait::waitpid(pid, Some(nix::sys::wait::WaitPidFlag::WNOHANG));
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs;

    use nix::unistd::{Pid, getpid};

    /// All processes below this one.
    pub(super) fn descendants() -> Vec<Pid> {
        let parents: Vec<(i32, i32)> = fs::read_dir("/proc")
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|entry| {
                let pid = entry.file_name().to_str()?.parse().ok()?;
                // `pid (name) state ppid …`; the name may hold anything, brackets and spaces too.
                let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
                let parent = stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()?;
                Some((pid, parent))
            })
            .collect();
        let mut family = vec![getpid().as_raw()];
        let mut next = 0;
        while let Some(&parent) = family.get(next) {
            family.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(pid, _)| *pid));
            next += 1;
        }
        family.drain(1..).map(Pid::from_raw).collect()
    }
}
