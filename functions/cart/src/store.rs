//! Cart's table.
//!
//! | item | pk | sk | indexes |
//! |---|---|---|---|
//! | product | `PRODUCT#<product id>` | `PRODUCT` | `catalogue`: `catalogue_pk` = `ALL`; `availability`: `availability` = `IN_STOCK` or `SOLD_OUT`; both: `catalogue_sk` = `<category>#<product id>` |
//! | user's cart | `CART#<user id>` | `CART` | |
//! | anonymous cart | `ANON#<SHA-256 of its token>` | `CART` | |
//!
//! A product without a category has an empty one in `catalogue_sk`; one that is retired has no `catalogue_sk`, and so is in
//! neither index. `availability` changes in the very write that changes the stock to or from 0. An anonymous cart has
//! `expires_at`, seconds since the epoch, by which DynamoDB deletes it.

mod carts;
mod catalogue;
mod products;

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use shared::db::{DbError, Table, Transaction, TransactionError};

pub use catalogue::Filter;

/// The only way to Cart's table.
#[derive(Debug, Clone)]
pub struct CartStore {
    table: Table,
}

impl CartStore {
    /// The store over `table`.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// The table, for readiness probes.
    pub fn table(&self) -> Table {
        self.table.clone()
    }

    /// One item too is written by a transaction: its token tells the SDK's second attempt at a write whose answer was lost
    /// from somebody else's write, which a condition on the version cannot.
    async fn write<const N: usize>(&self, writes: [TransactWriteItem; N]) -> Result<(), DbError> {
        let mut transaction = Transaction::new(self.table.client());
        for write in writes {
            transaction.add(write);
        }
        match transaction.run().await {
            Ok(()) => Ok(()),
            Err(TransactionError::Cancelled(_)) => Err(DbError::Conflict),
            Err(TransactionError::Db(error)) => Err(error),
        }
    }
}

fn number(value: impl Into<u64>) -> AttributeValue {
    AttributeValue::N(value.into().to_string())
}

fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}
