//! What the tests log, as the functions write it on AWS.

use std::io;
use std::sync::{Mutex, Once, PoisonError};
use std::thread::{self, ThreadId};

use serde_json::Value;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::prelude::*;

use crate::telemetry::json_lines;

/// Every line of the process with the thread that wrote it. One subscriber for all tests, because tracing may forget one
/// thread's own when another thread logs the same line first.
static LINES: Mutex<Vec<(ThreadId, String)>> = Mutex::new(Vec::new());

/// From now on, lines are kept.
pub fn start() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        let levels = LevelFilter::INFO;
        tracing_subscriber::registry().with(levels).with(json_lines().with_writer(|| Writer)).init();
    });
}

/// The lines of this thread, which is this test's (its runtime has one thread).
///
/// # Panics
/// When a line is not JSON.
pub fn lines() -> Vec<Value> {
    let this = thread::current().id();
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    let lines = lines.iter().filter(|(thread, _)| *thread == this);
    lines.map(|(_, line)| serde_json::from_str(line).expect("a line is JSON")).collect()
}

/// The lines of all threads, blocking ones and other tests' included.
pub fn everything() -> String {
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    lines.iter().map(|(_, line)| line.as_str()).collect()
}

/// tracing writes one line at a time.
struct Writer;

impl io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let line = String::from_utf8_lossy(bytes).into_owned();
        LINES.lock().unwrap_or_else(PoisonError::into_inner).push((thread::current().id(), line));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
