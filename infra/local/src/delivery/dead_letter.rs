//! The message that tells a queue about records that are not tried again, in the shape that AWS documents.
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html>

use jiff::Timestamp;
use serde_json::{Value, json};
use template::{ACCOUNT, REGION};

use super::batch::{Batch, GivenUp, created, sequence_number};
use crate::ambient;

/// It names the records' place in the stream and does not contain them.
pub(super) fn message(
    batch: &Batch,
    given_up: GivenUp,
    function: &str,
    arn: &str,
    shard: &str,
    now: Timestamp,
) -> Value {
    let (first, last) = (batch.records.first(), batch.records.last());
    let time = |record: Option<&Value>| record.and_then(created).map(|time| time.to_string());
    let (condition, response_context) = match given_up {
        GivenUp::Exhausted { function_error } => {
            let mut context = json!({ "statusCode": 200, "executedVersion": "$LATEST" });
            if function_error {
                context["functionError"] = json!("Unhandled");
            }
            ("RetryAttemptsExhausted", context)
        }
        GivenUp::TooOld => ("RecordAgeExceeded", Value::Null),
    };
    json!({
        "requestContext": {
            "requestId": ambient::request_id(),
            "functionArn": format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{function}"),
            "condition": condition,
            "approximateInvokeCount": batch.failures,
        },
        "responseContext": response_context,
        "version": "1.0",
        "timestamp": format!("{now:.3}"),
        "DDBStreamBatchInfo": {
            "shardId": shard,
            "startSequenceNumber": first.and_then(sequence_number),
            "endSequenceNumber": last.and_then(sequence_number),
            "approximateArrivalOfFirstRecord": time(first),
            "approximateArrivalOfLastRecord": time(last),
            "batchSize": batch.records.len(),
            "streamArn": arn,
        },
    })
}
