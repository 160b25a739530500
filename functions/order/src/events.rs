//! What others react to: each state that an order enters is one event, and each refund, read from the table's stream.

use aws_lambda_events::event::dynamodb::EventRecord;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shared::money::Money;
pub use shared::stream::Unreadable;
use shared::stream::images;

use crate::model::{HistoryEntry, Order, Status};
use crate::store::ORDER;

/// The form of [`OrderEvent`]: one more with each change that an older reader would get wrong.
pub const VERSION: u32 = 1;

/// Something happened to an order. Delivered at least once: [`id`](Self::id) tells what was seen before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderEvent {
    /// Of this form of events: [`VERSION`]. Who keeps events tells by it what it can read.
    pub version: u32,
    /// The same at every delivery: `<order id>:<STATUS>`, for an order enters each state once, or
    /// `<order id>:REFUND:<refund id>` for a refund of a part.
    pub id: String,
    /// What happened.
    pub kind: Kind,
    /// When it happened.
    pub at: Timestamp,
    /// What was refunded by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund: Option<Money>,
    /// The order as it was written with the event.
    pub order: Order,
}

/// What happened to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The customer placed it.
    Placed,
    /// It was paid.
    Paid,
    /// The shop packed it.
    Packed,
    /// A carrier took it.
    Shipped,
    /// The carrier brought it.
    Delivered,
    /// The customer, or the shop, gave it up.
    Cancelled,
    /// Nobody paid it in time.
    Expired,
    /// Some of what was paid was paid back.
    PartiallyRefunded,
    /// The last of what was paid was paid back.
    Refunded,
}

impl From<&HistoryEntry> for Kind {
    fn from(entry: &HistoryEntry) -> Self {
        match entry.status {
            Status::Refunded => Self::Refunded,
            // Only a refund of a part leaves the order in its state.
            _ if entry.refund.is_some() => Self::PartiallyRefunded,
            Status::PendingPayment => Self::Placed,
            Status::Paid => Self::Paid,
            Status::Packed => Self::Packed,
            Status::Shipped => Self::Shipped,
            Status::Delivered => Self::Delivered,
            Status::Cancelled => Self::Cancelled,
            Status::Expired => Self::Expired,
        }
    }
}

/// What happened between two images of an order: all of `new`'s history that is not in `old`'s.
pub fn events(old: Option<&Order>, new: &Order) -> Vec<OrderEvent> {
    let known = old.map_or(0, |old| old.history.len());
    new.history
        .iter()
        .skip(known)
        .map(|entry| OrderEvent {
            version: VERSION,
            id: event_id(new, entry),
            kind: entry.into(),
            at: entry.at,
            refund: entry.refund,
            order: new.clone(),
        })
        .collect()
}

fn event_id(order: &Order, entry: &HistoryEntry) -> String {
    match (Kind::from(entry), entry.refund_id) {
        (Kind::PartiallyRefunded, Some(refund_id)) => format!("{}:REFUND:{refund_id}", order.id),
        _ => format!("{}:{}", order.id, entry.status),
    }
}

/// The events of one record of the order table's stream; none for the pointers beside an order, for a change that
/// adds nothing to its history, and for a deletion.
pub fn from_record(record: &EventRecord) -> Result<Vec<OrderEvent>, Unreadable> {
    let images = images::<Order>(record, ORDER)?;
    Ok(images.map(|(old, new)| events(old.as_ref(), &new)).unwrap_or_default())
}

#[cfg(test)]
mod tests;
