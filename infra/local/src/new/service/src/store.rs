//! Sample's table.
//!
//! | item | pk | sk |
//! |---|---|---|
//! | entry | `USER#<user id>` | `ENTRY#<entry id>` |

use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use shared::db::{DbError, Key, Table, Transaction, TransactionError, to_item};
use shared::page::{Page, PageQuery};
use uuid::Uuid;

use crate::model::Entry;

/// The only way to Sample's table.
#[derive(Debug, Clone)]
pub struct SampleStore {
    table: Table,
}

impl SampleStore {
    /// The store over `table`.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// The table, for readiness probes.
    pub fn table(&self) -> Table {
        self.table.clone()
    }

    /// One of the user's entries.
    pub async fn entry(&self, user_id: Uuid, id: Uuid) -> Result<Option<Entry>, DbError> {
        self.table.get(&entry_key(user_id, id)).await
    }

    /// The user's entries, the highest id first.
    pub async fn entries(&self, user_id: Uuid, page: &PageQuery) -> Result<Page<Entry>, DbError> {
        self.table.page(&partition(user_id), ENTRY, page).await
    }

    /// Writes the entry in place of the one at the version `before` (none: not there). [`DbError::Conflict`] where it is at
    /// another one.
    pub async fn put(&self, user_id: Uuid, entry: &Entry, before: Option<u64>) -> Result<(), DbError> {
        let put = Put::builder()
            .table_name(self.table.name())
            .set_item(Some(to_item(&entry_key(user_id, entry.id), entry)?));
        let put = match before {
            None => put.condition_expression("attribute_not_exists(pk)"),
            Some(before) => put
                .condition_expression("#version = :version")
                .expression_attribute_names("#version", "version")
                .expression_attribute_values(":version", number(before)),
        };
        let put = put.build().map_err(|error| DbError::Refused(error.into()))?;
        self.write(TransactWriteItem::builder().put(put).build()).await
    }

    /// Deletes the entry that is at this version. [`DbError::Conflict`] where it is at another one, or not there.
    pub async fn delete(&self, user_id: Uuid, id: Uuid, version: u64) -> Result<(), DbError> {
        let delete = self.table.delete_write(&entry_key(user_id, id), |delete| {
            delete
                .condition_expression("#version = :version")
                .expression_attribute_names("#version", "version")
                .expression_attribute_values(":version", number(version))
        })?;
        self.write(delete).await
    }

    /// One item too is written by a transaction: its token tells the SDK's second attempt at a write whose answer was lost
    /// from somebody else's write, which a condition on the version cannot.
    async fn write(&self, write: TransactWriteItem) -> Result<(), DbError> {
        let mut transaction = Transaction::new(self.table.client());
        transaction.add(write);
        match transaction.run().await {
            Ok(()) => Ok(()),
            Err(TransactionError::Cancelled(_)) => Err(DbError::Conflict),
            Err(TransactionError::Db(error)) => Err(error),
        }
    }
}

const ENTRY: &str = "ENTRY#";

fn partition(user_id: Uuid) -> String {
    format!("USER#{user_id}")
}

fn entry_key(user_id: Uuid, id: Uuid) -> Key {
    Key::new(partition(user_id), format!("{ENTRY}{id}"))
}

fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}
