//! The running system, started once as `cargo local` starts it, on free ports and with its own keys and data.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bad_input;
mod bad_tokens;
mod catalogue;
mod client;
mod commerce;
mod documented;
mod events;
mod interoperability;
mod keys;
#[cfg(target_os = "linux")]
mod killed;
mod mail;
mod observe;
mod operator;
mod parallel;
#[cfg(target_os = "linux")]
mod processes;
mod quiet_hours;
mod runbooks;
mod sessions;
mod shopping;
mod stripe;
mod throttle;
mod upgrade;
mod visitors;
mod watch;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use local::deploy::suite::{LEFT_OUT, RUNNING_SYSTEM};
use local::system::{Background, Options, System};
use local::workspace::Workspace;

/// Of each function at most: one alone would serve parallel requests one after the other, and prove nothing.
const INSTANCES: u16 = 8;

/// The one system of this test run. It ends with this process: its guards see to that.
fn system() -> &'static Background {
    static SYSTEM: LazyLock<Background> = LazyLock::new(|| {
        if let Some(description) = deployed() {
            return Background::attached(&description).unwrap();
        }
        tidy();
        let directory = directory();
        // Of a process with the same id, in a container whose ids begin anew.
        let _absent = std::fs::remove_dir_all(&directory);
        start(&directory)
    });
    &SYSTEM
}

/// The description of the deployed system that is to be tested instead, see `cargo local deploy`.
fn deployed() -> Option<PathBuf> {
    std::env::var_os(RUNNING_SYSTEM).map(PathBuf::from)
}

/// Whether to leave out a test that is about `cargo lambda watch` or about processes of this machine, which it says.
#[expect(clippy::explicit_write, reason = "the test harness keeps to itself what a macro prints")]
fn is_left_out(test: &str) -> bool {
    let left_out = deployed().is_some();
    if left_out {
        writeln!(std::io::stderr(), "{LEFT_OUT}{test}").unwrap();
    }
    left_out
}

/// Starts a system that keeps everything in this directory.
fn start(directory: &Path) -> Background {
    let options = Options::private(Workspace::find().unwrap(), directory, INSTANCES).unwrap();
    let log = directory.join("system.log");
    System::in_background(options).unwrap_or_else(|error| panic!("{error:#}; see {}", log.display()))
}

/// Where it keeps keys, data and log: each run in a directory of its own, because two may be under way, and because the
/// emulator of a run writes its data when the run is over.
fn directory() -> PathBuf {
    if let Some(description) = deployed() {
        return description.parent().unwrap().to_owned();
    }
    runs().join(std::process::id().to_string())
}

fn runs() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("running")
}

/// Deletes what the runs before left. What cannot be deleted now, the next run deletes.
fn tidy() {
    for run in std::fs::read_dir(runs()).into_iter().flatten().flatten() {
        let runs_still =
            Command::new("sh").args(["-c", "kill -0 \"$0\" 2>/dev/null"]).arg(run.file_name()).status();
        if !runs_still.unwrap().success() {
            let _not_now = std::fs::remove_dir_all(run.path());
        }
    }
}
