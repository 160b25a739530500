//! What the deployed functions log, collected into a file as that of a local run. The emulator's own log has only what those log that
//! nobody waits for.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use tokio::time::sleep;
use tracing::warn;

use crate::logs::{Console, WATCH};
use crate::provision::Wire;

/// Between looks at CloudWatch Logs.
const POLL: Duration = Duration::from_millis(500);
/// How much later than its neighbours an invocation may appear there, in milliseconds.
const LATE: u64 = 5_000;

/// What Lambda itself writes around each invocation.
const LAMBDA: [&str; 3] = ["START ", "END ", "REPORT "];

/// Writes what the functions log into `file`, until dropped. `functions` has their names here by their names there.
pub(super) async fn follow(
    endpoint: &str,
    group: &str,
    functions: BTreeMap<String, String>,
    file: &Path,
) -> Result<Infallible> {
    let console = Console::file(file)?;
    let wire = Wire::new(endpoint)?;
    let (mut newest, mut seen) = (0, BTreeSet::new());
    loop {
        let body = json!({ "logGroupName": group, "startTime": newest.max(LATE) - LATE });
        match wire.call("logs", "Logs_20140328.FilterLogEvents", &body).await {
            Ok(page) => newest = newest.max(show(&page, &functions, &mut seen, &console)),
            Err(error) => warn!(error = format!("{error:#}"), "cannot read the functions' logs"),
        }
        sleep(POLL).await;
    }
}

/// Shows the invocations that are complete and not shown yet, each of which has a stream of its own, and returns the newest time.
fn show(
    page: &Value,
    functions: &BTreeMap<String, String>,
    seen: &mut BTreeSet<String>,
    console: &Console,
) -> u64 {
    let mut invocations: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut newest = 0;
    for event in page["events"].as_array().into_iter().flatten() {
        newest = newest.max(event["timestamp"].as_u64().unwrap_or_default());
        let stream = event["logStreamName"].as_str().unwrap_or_default();
        invocations.entry(stream).or_default().push(event["message"].as_str().unwrap_or_default());
    }
    for (stream, messages) in invocations {
        let is_complete = messages.iter().any(|message| message.starts_with("REPORT "));
        if is_complete && seen.insert(stream.to_owned()) {
            let of_lambda = |message: &&str| LAMBDA.iter().any(|kind| message.starts_with(kind));
            for message in messages.into_iter().filter(|message| !of_lambda(message)) {
                let (whose, text) = attribute(message, functions);
                console.line(whose, text);
            }
        }
    }
    newest
}

/// Whose line it is: the emulator puts the function's name before what is written to standard error.
fn attribute<'a>(message: &'a str, functions: &'a BTreeMap<String, String>) -> (&'a str, &'a str) {
    let named = message.strip_prefix('[').and_then(|rest| rest.split_once("] "));
    let known = named.and_then(|(name, text)| Some((functions.get(name)?.as_str(), text)));
    known.unwrap_or((WATCH, message))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn each_invocation_is_shown_once_when_it_is_complete() {
        let file = std::env::temp_dir().join(format!("rehearsal-{}.log", std::process::id()));
        let console = Console::file(&file).unwrap();
        let functions = [("stack-OrderFunction-1".to_owned(), "order".to_owned())].into();
        let event = |at: u64, stream: &str, message: &str| json!({ "timestamp": at, "logStreamName": stream, "message": message });
        let mut events = vec![
            event(7, "a", "[stack-OrderFunction-1]  INFO answered"),
            event(7, "a", "{\"service\":\"order\"}"),
            event(8, "b", "[stack-OrderFunction-1]  INFO half"),
        ];
        let mut seen = BTreeSet::new();
        let mut look = |events: &[Value]| {
            let newest = show(&json!({ "events": events }), &functions, &mut seen, &console);
            (newest, fs::read_to_string(&file).unwrap().lines().count())
        };
        assert_eq!(look(&events), (8, 0), "neither is complete");
        events.push(event(7, "a", "REPORT RequestId: 1"));
        assert_eq!(look(&events), (8, 2));
        assert_eq!(look(&events), (8, 2), "again changes nothing");
        let text = fs::read_to_string(&file).unwrap();
        let lines: Vec<_> = text.lines().filter_map(|line| line.split_once(" | ")).collect();
        assert_eq!(lines[0].0.trim(), "order");
        assert_eq!((lines[1].0.trim(), lines[1].1), ("watch", "{\"service\":\"order\"}"));
        fs::remove_file(&file).unwrap();
    }
}
