//! What the tests log, as the functions write it on AWS.

use std::io;
use std::sync::{Mutex, Once, PoisonError};
use std::thread::{self, ThreadId};

use serde_json::Value;

/// Every line of the process with the thread that wrote it. One subscriber for all tests, because tracing may forget one
/// thread's own when another thread logs the same line first.
static LINES: Mutex<Vec<(ThreadId, String)>> = Mutex::new(Vec::new());

/// From now on, lines are kept.
pub(crate) fn start() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_target(false)
            .with_span_list(false)
            .with_writer(|| Writer)
            .init();
    });
}

/// The lines of this thread, which is this test's (its runtime has one thread).
pub(crate) fn lines() -> Vec<Value> {
    let this = thread::current().id();
    let lines = LINES.lock().unwrap_or_else(PoisonError::into_inner);
    let lines = lines.iter().filter(|(thread, _)| *thread == this);
    lines.map(|(_, line)| serde_json::from_str(line).expect("a line is JSON")).collect()
}

/// The security events of this name among them.
pub(crate) fn lines_of(event: &str) -> Vec<Value> {
    lines().into_iter().filter(|line| line["event"] == event).collect()
}

/// The names of the security events of this thread, in order; registrations aside, with which a test begins.
pub(crate) fn events() -> Vec<String> {
    let events = lines().into_iter().filter_map(|line| line["event"].as_str().map(str::to_owned));
    events.filter(|event| event != "registered").collect()
}

/// The lines of all threads, blocking ones and other tests' included.
pub(crate) fn everything() -> String {
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
