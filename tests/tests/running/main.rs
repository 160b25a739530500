//! The running system, started once as `cargo local` starts it, on free ports and with its own keys and data.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bad_input;
mod bad_tokens;
mod client;
mod events;
mod parallel;
mod session;
mod shopping;
mod watch;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use local::system::{Background, Options, System};
use local::workspace::Workspace;

/// More than the parallel requests of any test would need if one instance served them all.
const INSTANCES: u16 = 8;

/// The one system of this test run. It ends with this process: its guards see to that.
fn system() -> &'static Background {
    static SYSTEM: LazyLock<Background> = LazyLock::new(|| {
        let directory = directory();
        let _absent = std::fs::remove_dir_all(&directory);
        let options = Options::private(Workspace::find().unwrap(), &directory, INSTANCES).unwrap();
        let log = directory.join("system.log");
        System::in_background(options).unwrap_or_else(|error| panic!("{error:#}; see {}", log.display()))
    });
    &SYSTEM
}

/// Where it keeps keys, data and log.
fn directory() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("running")
}
