//! The pages that the services serve, in a real browser: the running system as `cargo local` starts it, and Chromium.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod browser;
mod dashboard;
mod outbox;
mod shop;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use local::system::{Background, Options, System};
use local::workspace::Workspace;

/// Of each function at most.
const INSTANCES: u16 = 4;

/// The one system of this test run. It ends with this process: its guards see to that.
fn system() -> &'static Background {
    static SYSTEM: LazyLock<Background> = LazyLock::new(|| {
        let directory = directory();
        // What the run before left.
        let _absent = std::fs::remove_dir_all(&directory);
        let options = Options::private(Workspace::find().unwrap(), &directory, INSTANCES).unwrap();
        let log = directory.join("system.log");
        System::in_background(options).unwrap_or_else(|error| panic!("{error:#}; see {}", log.display()))
    });
    &SYSTEM
}

/// Where it keeps keys, data and log.
fn directory() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("browser-system")
}
