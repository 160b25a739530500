//! No process is left behind, whatever happens to the one that started it.

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test panics")]

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Prints its own process id and those of two children, one of which has left its process group and session, as the
/// functions do under `cargo lambda watch`.
const FAMILY: &str = "setsid sleep 1000 & echo $!; sleep 1000 & echo $!; echo $$; wait";

struct Guarded {
    guard: Child,
    family: Vec<String>,
}

impl Guarded {
    fn start(stdin: Stdio, script: &str) -> Self {
        let mut guard = Command::new(env!("CARGO_BIN_EXE_local"))
            .args(["guard", "--", "sh", "-c", script])
            .stdin(stdin)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(guard.stdout.take().unwrap()).lines();
        let family: Vec<_> = lines.take(3).map(|line| line.unwrap()).collect();
        assert!(family.iter().all(|pid| runs(pid)), "{family:?}");
        Self { guard, family }
    }

    fn assert_gone(mut self) {
        self.guard.wait().unwrap();
        assert!(!self.family.iter().any(|pid| runs(pid)), "{:?}", self.family);
    }
}

fn runs(pid: &str) -> bool {
    Path::new("/proc").join(pid).exists()
}

#[test]
fn grandchildren_die_when_the_parent_is_killed() {
    // Stands for `cargo local`: it holds the other end of the guard's standard input, and kill -9 gives it no time.
    let mut parent = Command::new("sleep").arg("1000").stdout(Stdio::piped()).spawn().unwrap();
    let guarded = Guarded::start(parent.stdout.take().unwrap().into(), FAMILY);
    parent.kill().unwrap();
    parent.wait().unwrap();
    guarded.assert_gone();
}

#[test]
fn a_guard_that_is_told_to_stop_takes_its_family_along() {
    let guarded = Guarded::start(Stdio::piped(), FAMILY);
    let pid = Pid::from_raw(guarded.guard.id().try_into().unwrap());
    kill(pid, Signal::SIGTERM).unwrap();
    guarded.assert_gone();
}

#[test]
fn orphans_of_a_child_that_ends_die_and_its_exit_code_is_kept() {
    let script = FAMILY.replace("wait", "exit 7");
    let mut guard = Command::new(env!("CARGO_BIN_EXE_local"))
        .args(["guard", "--", "sh", "-c", &script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lifeline = guard.stdin.take();
    assert_eq!(guard.wait().unwrap().code(), Some(7));
    drop(lifeline);
    let mut family = String::new();
    guard.stdout.take().unwrap().read_to_string(&mut family).unwrap();
    assert_eq!(family.lines().count(), 3);
    assert!(!family.lines().any(runs), "{family}");
}
