//! The message that tells a queue about records that are not tried again, in the shape that AWS documents.
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html>

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
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

/// Keeps the records that a message names beside the feed's checkpoint. On AWS the stream has them for a day; the emulator
/// forgets its streams when it ends.
pub(super) fn keep(checkpoint: &Path, message: &Value, records: &[Value]) -> Result<()> {
    let file = kept_file(checkpoint, message).context("the message names no record")?;
    let directory = file.parent().context("a file is in a directory")?;
    fs::create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
    fs::write(&file, Value::from(records).to_string())
        .with_context(|| format!("cannot write {}", file.display()))
}

/// The records that were kept for a message, if they were.
pub(super) fn kept(checkpoint: &Path, message: &Value) -> Result<Option<Vec<Value>>> {
    let Some(file) = kept_file(checkpoint, message) else {
        return Ok(None);
    };
    let text = match fs::read_to_string(&file) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        text => text.with_context(|| format!("cannot read {}", file.display()))?,
    };
    serde_json::from_str(&text).map(Some).with_context(|| format!("{} is damaged", file.display()))
}

/// Forgets what was kept for a message that is done with.
pub(super) fn forget(checkpoint: &Path, message: &Value) {
    if let Some(file) = kept_file(checkpoint, message) {
        let _never_kept = fs::remove_file(file);
    }
}

fn kept_file(checkpoint: &Path, message: &Value) -> Option<PathBuf> {
    let first = message["DDBStreamBatchInfo"]["startSequenceNumber"].as_str()?;
    let mapping = checkpoint.file_stem()?.to_str()?;
    // Of a message that others wrote, it would be a path of theirs.
    let digits = first.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| checkpoint.with_file_name("dead").join(format!("{mapping}.{first}.json")))
}
