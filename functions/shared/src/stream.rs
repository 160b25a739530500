//! Workers that a DynamoDB stream invokes with batches of records.
//!
//! Lambda delivers each record at least once, those of one item in order. A worker that answers with partial failures
//! (`ReportBatchItemFailures`) is invoked again with the failed record and all that follow it in the shard; what lies
//! before counts as done. <https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html>

use std::error::Error;

use aws_lambda_events::event::dynamodb::{Event, EventRecord};
use aws_lambda_events::event::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use lambda_runtime::{LambdaEvent, service_fn};
use tracing::Instrument as _;

use crate::problem::Chain;
use crate::run::Failure;

/// Serves batches, each record by `process`, which must tolerate records that it has seen before.
pub async fn serve<E: Error + 'static>(
    process: impl AsyncFn(&EventRecord) -> Result<(), E>,
) -> Result<(), Failure> {
    let process = &process;
    lambda_runtime::run(service_fn(move |invocation: LambdaEvent<Event>| {
        let span = tracing::info_span!("batch", request_id = invocation.context.request_id);
        // Boxed, because the compiler limits how deep futures may nest.
        Box::pin(async move { Ok::<_, Failure>(handle_batch(&invocation.payload, process).await) })
            .instrument(span)
    }))
    .await
}

/// Processes the records of a batch in order, up to the first that fails: Lambda delivers that one and everything
/// after it again, so going on would only do work twice.
pub async fn handle_batch<E: Error + 'static>(
    batch: &Event,
    process: impl AsyncFn(&EventRecord) -> Result<(), E>,
) -> DynamoDbEventResponse {
    let mut response = DynamoDbEventResponse::default();
    for record in &batch.records {
        if let Err(error) = process(record).await {
            let sequence_number = record.change.sequence_number.as_deref();
            tracing::error!(
                event_id = record.event_id,
                sequence_number,
                error = %Chain(&error),
                "a record failed; it will be delivered again"
            );
            // An empty identifier means the whole batch: the safe answer for a record that cannot be named.
            let mut failure = DynamoDbBatchItemFailure::default();
            failure.item_identifier = Some(sequence_number.unwrap_or_default().to_owned());
            response.batch_item_failures.push(failure);
            break;
        }
    }
    tracing::info!(
        records = batch.records.len(),
        failures = response.batch_item_failures.len(),
        "batch done"
    );
    response
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use serde_json::{Value, json};

    use super::*;

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
    async fn a_failure_that_cannot_be_named_fails_the_whole_batch() {
        let (_, answer) = run(vec![record("a", None)], &["a"]).await;
        assert_eq!(answer, json!({ "batchItemFailures": [{ "itemIdentifier": "" }] }));
    }
}
