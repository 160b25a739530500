//! Records of a table's stream, for tests of workers.

use aws_lambda_events::event::dynamodb::EventRecord;
use serde::Serialize;
use serde_json::json;

use crate::db::Key;

/// A record as AWS shapes it, of the change of the item at `key` from `old` to `new`.
///
/// # Panics
/// When the images are no items.
pub fn record<T: Serialize>(
    key: &Key,
    old: Option<&T>,
    new: Option<&T>,
    sequence_number: u64,
) -> EventRecord {
    let keys = json!({ "pk": { "S": key.pk }, "sk": { "S": key.sk } });
    let image = |value: Option<&T>| {
        value.map(|value| {
            let item: serde_dynamo::Item = serde_dynamo::to_item(value).expect("an item");
            let mut image = serde_json::to_value(item).expect("JSON");
            image["pk"] = keys["pk"].clone();
            image["sk"] = keys["sk"].clone();
            image
        })
    };
    let name = match (&old, &new) {
        (None, _) => "INSERT",
        (Some(_), Some(_)) => "MODIFY",
        (Some(_), None) => "REMOVE",
    };
    let record = json!({
        "eventID": format!("{sequence_number:032x}"),
        "eventName": name,
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-1",
        "dynamodb": {
            "ApproximateCreationDateTime": 1_767_225_600.0,
            "Keys": keys,
            "NewImage": image(new),
            "OldImage": image(old),
            "SequenceNumber": sequence_number.to_string(),
            "SizeBytes": 1000,
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
        "eventSourceARN": "arn:aws:dynamodb:us-east-1:000000000000:table/T/stream/2026-01-01T00:00:00.000",
    });
    serde_json::from_value(record).expect("a stream record")
}
