//! The two workers: one makes events of what happens to orders, the other adds events to the figures.
//!
//! Streams tell everything at least once. The raw event has the id of the order's event and is written once; it is added to
//! the figures once, by the mark that it gets in the same transaction. What comes again changes nothing, in whatever order.

mod aggregator;
mod orders;

pub use aggregator::{Aggregator, event_of};
pub use orders::{Worker, orders_of};

use order::events::Unreadable;
use shared::db::DbError;

/// Why records have to come again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The record is not what the order table's stream brings.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The record's image is not an event.
    #[error("the record's image is not an event")]
    Image(#[source] serde_dynamo::Error),
    /// A table.
    #[error(transparent)]
    Db(#[from] DbError),
}
