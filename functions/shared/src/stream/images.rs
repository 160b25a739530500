//! What a record says that became of an item.

use aws_lambda_events::event::dynamodb::EventRecord;
use serde::de::DeserializeOwned;
use serde_dynamo::AttributeValue;

/// A record of a stream that cannot be read; it must not be passed over.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// The record has no key, or not ours.
    #[error("the record has no string key pk, sk")]
    Key,
    /// The record was written without images: the stream is not `NEW_AND_OLD_IMAGES`.
    #[error("the record has no new image")]
    NoImage,
    /// An image is not what the table holds there.
    #[error("the record's image is not what it should be")]
    Image(#[source] serde_dynamo::Error),
}

/// The old image, where there was one, and the new one, of an item whose sort key begins with `prefix`; none for any other item,
/// and for a deletion.
pub fn images<T: DeserializeOwned>(
    record: &EventRecord,
    prefix: &str,
) -> Result<Option<(Option<T>, T)>, Unreadable> {
    let change = &record.change;
    let (Some(AttributeValue::S(_)), Some(AttributeValue::S(sk))) =
        (change.keys.get("pk"), change.keys.get("sk"))
    else {
        return Err(Unreadable::Key);
    };
    if !sk.starts_with(prefix) || record.event_name == "REMOVE" {
        return Ok(None);
    }
    let new = read(&change.new_image)?.ok_or(Unreadable::NoImage)?;
    Ok(Some((read(&change.old_image)?, new)))
}

fn read<T: DeserializeOwned>(image: &serde_dynamo::Item) -> Result<Option<T>, Unreadable> {
    if image.is_empty() {
        return Ok(None);
    }
    serde_dynamo::from_item(image.clone()).map(Some).map_err(Unreadable::Image)
}
