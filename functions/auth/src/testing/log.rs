//! What the tests log, as the functions write it on AWS; and the security events in it.

use serde_json::Value;

pub(crate) use shared::testing::log::{everything, lines, start};

/// The security events of this name among them.
pub(crate) fn lines_of(event: &str) -> Vec<Value> {
    lines().into_iter().filter(|line| line["event"] == event).collect()
}

/// The names of the security events of this thread, in order; registrations aside, with which a test begins.
pub(crate) fn events() -> Vec<String> {
    let events = lines().into_iter().filter_map(|line| line["event"].as_str().map(str::to_owned));
    events.filter(|event| event != "registered").collect()
}
