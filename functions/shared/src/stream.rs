//! Workers that a DynamoDB stream invokes with batches of records.
//!
//! Lambda delivers each record at least once, those of one item in order. A worker that answers with partial failures
//! (`ReportBatchItemFailures`) is invoked again with the failed record and all that follow it in the shard; what lies
//! before counts as done. <https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html>

mod images;

use std::error::Error;

use aws_lambda_events::event::dynamodb::{Event, EventRecord};
use aws_lambda_events::event::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use lambda_runtime::{LambdaEvent, service_fn};
use serde_dynamo::AttributeValue;

pub use images::{Unreadable, images};

use crate::metrics;
use crate::problem::Chain;
use crate::run::{Failure, invocation};
use crate::trace::{self, Trace};

/// Serves batches, each record by `process`, which must tolerate records that it has seen before.
pub async fn serve<E: Error + 'static>(
    process: impl AsyncFn(&EventRecord) -> Result<(), E>,
) -> Result<(), Failure> {
    let process = &process;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Event>| {
        // Boxed, because the compiler limits how deep futures may nest.
        Box::pin(async move {
            Ok::<_, Failure>(invocation(&event.context, handle_batch(&event.payload, process)).await)
        })
    }))
    .await
}

/// Processes the records of a batch in order, up to the first that fails: Lambda delivers that one and everything
/// after it again, so going on would only do work twice.
pub async fn handle_batch<E: Error + 'static>(
    batch: &Event,
    process: impl AsyncFn(&EventRecord) -> Result<(), E>,
) -> DynamoDbEventResponse {
    for (done, record) in batch.records.iter().enumerate() {
        let work = async {
            let outcome = process(record).await;
            tell(record, &outcome);
            outcome
        };
        if trace::follow(carried(record), work).await.is_err() {
            return answer(batch, done);
        }
    }
    answer(batch, batch.records.len())
}

/// Serves batches, the records of each at once: `read` says what a record is, and `process` takes all of them, and must
/// tolerate records that it has seen before.
pub async fn serve_whole<T, E: Error + 'static>(
    read: impl Fn(&EventRecord) -> Result<T, E>,
    process: impl AsyncFn(&[T]) -> Result<(), E>,
) -> Result<(), Failure> {
    let (read, process) = (&read, &process);
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Event>| {
        Box::pin(async move {
            let work = handle_whole(&event.payload, read, process);
            Ok::<_, Failure>(invocation(&event.context, work).await)
        })
    }))
    .await
}

/// Processes at once the records of a batch up to the first that cannot be read, and reports that one. Where processing
/// fails they are processed one by one, up to the first that fails: it alone must not hold up all others.
pub async fn handle_whole<T, E: Error + 'static>(
    batch: &Event,
    read: impl Fn(&EventRecord) -> Result<T, E>,
    process: impl AsyncFn(&[T]) -> Result<(), E>,
) -> DynamoDbEventResponse {
    let mut readable = Vec::with_capacity(batch.records.len());
    for record in &batch.records {
        match read(record) {
            Ok(value) => readable.push(value),
            Err(error) => {
                tell_in_trace(record, &Err(error)).await;
                break;
            }
        }
    }
    let mut done = readable.len();
    if !readable.is_empty()
        && let Err(error) = process(&readable).await
    {
        tracing::warn!(error = %Chain(&error), "the batch failed; its records are processed one by one");
        done = 0;
        for (record, value) in batch.records.iter().zip(&readable) {
            if let Err(error) = process(std::slice::from_ref(value)).await {
                tell_in_trace(record, &Err(error)).await;
                break;
            }
            done += 1;
        }
    }
    for record in &batch.records[..done] {
        tell_in_trace::<E>(record, &Ok(())).await;
    }
    answer(batch, done)
}

/// The trace that the record's item carries: of the request that it came of.
fn carried(record: &EventRecord) -> Option<Trace> {
    match record.change.new_image.get(trace::ATTRIBUTE) {
        Some(AttributeValue::S(carried)) => carried.parse().ok(),
        _ => None,
    }
}

async fn tell_in_trace<E: Error + 'static>(record: &EventRecord, outcome: &Result<(), E>) {
    trace::follow(carried(record), async { tell(record, outcome) }).await;
}

/// What became of a record; of those that no request is behind only if it failed.
fn tell<E: Error + 'static>(record: &EventRecord, outcome: &Result<(), E>) {
    let event_id = &record.event_id;
    match outcome {
        Ok(()) if carried(record).is_some() => tracing::info!(event_id, "record done"),
        Ok(()) => {}
        Err(error) => tracing::error!(
            event_id,
            sequence_number = record.change.sequence_number,
            error = %Chain(error),
            "a record failed; it will be delivered again"
        ),
    }
}

/// The first `done` records of the batch are; the next one, if any, failed.
fn answer(batch: &Event, done: usize) -> DynamoDbEventResponse {
    let mut response = DynamoDbEventResponse::default();
    if let Some(record) = batch.records.get(done) {
        // An empty identifier means the whole batch: the safe answer for a record that cannot be named.
        let mut failure = DynamoDbBatchItemFailure::default();
        failure.item_identifier = Some(record.change.sequence_number.clone().unwrap_or_default());
        response.batch_item_failures.push(failure);
    }
    let failures = response.batch_item_failures.len();
    metrics::handled(done, failures);
    tracing::info!(records = batch.records.len(), failures, "batch done");
    response
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use serde_json::{Value, json};

    use super::*;
    use crate::testing::log;

    #[derive(Debug, thiserror::Error)]
    #[error("it failed")]
    struct Failed;

    fn record(id: &str, sequence_number: Option<&str>) -> Value {
        json!({
            "eventID": id,
            "eventName": "INSERT",
            "awsRegion": "us-east-1",
            "dynamodb": { "SizeBytes": 1, "SequenceNumber": sequence_number },
        })
    }

    /// What was processed of `records`, and what the worker answers, when those named in `failing` fail.
    async fn run(records: Vec<Value>, failing: &[&str]) -> (Vec<String>, Value) {
        let batch: Event = serde_json::from_value(json!({ "Records": records })).unwrap();
        let seen = RefCell::new(Vec::new());
        let response = handle_batch(&batch, async |record| {
            seen.borrow_mut().push(record.event_id.clone());
            if failing.contains(&record.event_id.as_str()) { Err(Failed) } else { Ok(()) }
        })
        .await;
        (seen.into_inner(), serde_json::to_value(response).unwrap())
    }

    #[tokio::test]
    async fn a_batch_without_failure_is_done() {
        let (seen, answer) = run(vec![record("a", Some("1")), record("b", Some("2"))], &[]).await;
        assert_eq!(seen, ["a", "b"]);
        assert_eq!(answer, json!({ "batchItemFailures": [] }));
    }

    #[tokio::test]
    async fn the_first_failure_is_reported_and_what_follows_waits_for_the_retry() {
        let records = vec![record("a", Some("1")), record("b", Some("2")), record("c", Some("3"))];
        let (seen, answer) = run(records, &["b", "c"]).await;
        assert_eq!(seen, ["a", "b"]);
        assert_eq!(answer, json!({ "batchItemFailures": [{ "itemIdentifier": "2" }] }));
    }

    #[tokio::test]
    async fn a_batch_is_taken_whole_and_one_by_one_only_to_find_what_fails() {
        let records = ["a", "b", "c"].map(|id| record(id, Some(id)));
        let batch: Event = serde_json::from_value(json!({ "Records": records })).unwrap();
        for (unreadable, failing, calls, reported) in [
            ("", "", "abc", None),
            ("c", "", "ab", Some("c")),
            ("a", "", "", Some("a")),
            ("", "b", "abc a b", Some("b")),
            ("c", "b", "ab a b", Some("b")),
            ("b", "a", "a a", Some("a")),
        ] {
            let seen = RefCell::new(Vec::new());
            let read = |record: &EventRecord| {
                if record.event_id == unreadable { Err(Failed) } else { Ok(record.event_id.clone()) }
            };
            let response = handle_whole(&batch, read, async |ids| {
                seen.borrow_mut().push(ids.concat());
                if ids.iter().any(|id| id == failing) { Err(Failed) } else { Ok(()) }
            })
            .await;
            let failures: Vec<_> = reported.into_iter().map(|id| json!({ "itemIdentifier": id })).collect();
            assert_eq!(serde_json::to_value(response).unwrap(), json!({ "batchItemFailures": failures }));
            assert_eq!(seen.into_inner().join(" "), calls);
        }
        // What fails only in company is done one by one.
        let response =
            handle_whole(&batch, |_| Ok(()), async |all| if all.len() > 1 { Err(Failed) } else { Ok(()) });
        assert_eq!(serde_json::to_value(response.await).unwrap(), json!({ "batchItemFailures": [] }));
    }

    #[tokio::test]
    async fn a_failure_that_cannot_be_named_fails_the_whole_batch() {
        let (_, answer) = run(vec![record("a", None)], &["a"]).await;
        assert_eq!(answer, json!({ "batchItemFailures": [{ "itemIdentifier": "" }] }));
    }

    /// What the lines of this test say: message, event and trace.
    fn said() -> Vec<(String, Value, Value)> {
        let line = |line: Value| {
            (
                line["message"].as_str().unwrap().to_owned(),
                line["event_id"].clone(),
                line["span"]["trace_id"].clone(),
            )
        };
        log::lines().into_iter().map(line).collect()
    }

    #[tokio::test]
    async fn what_is_done_about_an_item_continues_the_trace_that_it_carries() {
        log::start();
        let trace = |n: u32| format!("{n:032x}");
        let carrying = |id: &str, n: u32| {
            let mut record = record(id, Some(id));
            let traceparent = format!("00-{}-00f067aa0ba902b7-01", trace(n));
            record["dynamodb"]["NewImage"] = json!({ "trace": { "S": traceparent } });
            record
        };
        let (done, failed) = ("record done", "a record failed; it will be delivered again");
        let records = || vec![carrying("a", 1), record("b", Some("b")), carrying("c", 3), carrying("d", 4)];
        let seen = RefCell::new(Vec::new());
        let batch: Event = serde_json::from_value(json!({ "Records": records() })).unwrap();
        let _response = handle_batch(&batch, async |record| {
            seen.borrow_mut().push(Trace::current().unwrap().trace_id().to_string());
            if record.event_id == "c" { Err(Failed) } else { Ok(()) }
        })
        .await;
        let [a, _none, c] = <[String; 3]>::try_from(seen.into_inner()).unwrap();
        assert_eq!([a, c], [trace(1), trace(3)]);
        let line = |message: &str, id: &str, n: u32| (message.to_owned(), json!(id), json!(trace(n)));
        let batch_done = ("batch done".to_owned(), Value::Null, Value::Null);
        assert_eq!(said(), [line(done, "a", 1), line(failed, "c", 3), batch_done.clone()]);

        let before = said().len();
        let fails = |ids: &[String]| ids.iter().any(|id| id == "c");
        let read = |record: &EventRecord| Ok(record.event_id.clone());
        let _response =
            handle_whole(&batch, read, async |ids| if fails(ids) { Err(Failed) } else { Ok(()) }).await;
        let said: Vec<_> = said().split_off(before + 1);
        assert_eq!(said, [line(failed, "c", 3), line(done, "a", 1), batch_done]);
    }
}
