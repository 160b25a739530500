//! User's table.
//!
//! | item | pk | sk |
//! |---|---|---|
//! | profile | `USER#<user id>` | `PROFILE` |
//! | address | `USER#<user id>` | `ADDRESS#<address id>` |
//! | claim of a verified e-mail address | `EMAIL#<address, lower case>` | `EMAIL` |
//! | answer to an idempotency key | see [`shared::idempotency`] | |
//!
//! A claim holds the `user_id` of the one profile that has the address as verified. It is written by the verification, in
//! the transaction that marks the profile ([`UserStore::verify_writes`]), and goes with the address.

mod change;
mod claim;

use aws_sdk_dynamodb::types::{AttributeValue, Select, TransactWriteItem};
use shared::db::{DbError, Key, Table, Transaction, to_item};
use shared::page::{Page, PageQuery};
use uuid::Uuid;

use crate::model::{Address, Profile};

pub use change::ProfileChange;

/// The only way to User's table.
#[derive(Debug, Clone)]
pub struct UserStore {
    table: Table,
}

impl UserStore {
    /// The store over `table`.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// The table, for readiness probes.
    pub fn table(&self) -> Table {
        self.table.clone()
    }

    /// An empty transaction.
    pub fn transaction(&self) -> Transaction {
        Transaction::new(self.table.client())
    }

    /// The profile, where the user has one.
    pub async fn profile(&self, user_id: Uuid) -> Result<Option<Profile>, DbError> {
        self.table.get(&profile_key(user_id)).await
    }

    /// Writes the profile of a new user, in the transaction of the registration; fails where there is one.
    pub fn create_write(&self, profile: &Profile) -> Result<TransactWriteItem, DbError> {
        self.table.put_write(&profile_key(profile.user_id), profile, "attribute_not_exists(pk)")
    }

    /// Writes a profile, whatever was there before.
    pub async fn put_profile(&self, profile: &Profile) -> Result<(), DbError> {
        self.table.put(&profile_key(profile.user_id), profile).await
    }

    /// One of the user's addresses.
    pub async fn address(&self, user_id: Uuid, address_id: Uuid) -> Result<Option<Address>, DbError> {
        self.table.get(&address_key(user_id, address_id)).await
    }

    /// The user's addresses, newest first.
    pub async fn addresses(&self, user_id: Uuid, page: &PageQuery) -> Result<Page<Address>, DbError> {
        self.table.page(&partition(user_id), ADDRESS, page).await
    }

    /// How many addresses the user has.
    pub async fn count_addresses(&self, user_id: Uuid) -> Result<usize, DbError> {
        let query = self
            .table
            .client()
            .query()
            .table_name(self.table.name())
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":pk", AttributeValue::S(partition(user_id)))
            .expression_attribute_values(":prefix", AttributeValue::S(ADDRESS.to_owned()))
            .select(Select::Count)
            .consistent_read(true);
        Ok(usize::try_from(query.send().await?.count).unwrap_or_default())
    }

    /// Adds an address; in a transaction, for the idempotency key beside it.
    pub fn add_address_write(&self, user_id: Uuid, address: &Address) -> Result<TransactWriteItem, DbError> {
        self.table.put_write(&address_key(user_id, address.id), address, "attribute_not_exists(pk)")
    }

    /// Replaces an address; whether it was there.
    pub async fn replace_address(&self, user_id: Uuid, address: &Address) -> Result<bool, DbError> {
        let item = to_item(&address_key(user_id, address.id), address)?;
        let put = self.table.client().put_item().table_name(self.table.name()).set_item(Some(item));
        match put.condition_expression("attribute_exists(pk)").send().await.map_err(DbError::from) {
            Ok(_) => Ok(true),
            Err(DbError::ConditionFailed) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Deletes an address; whether it was there.
    pub async fn delete_address(&self, user_id: Uuid, address_id: Uuid) -> Result<bool, DbError> {
        self.table.delete(&address_key(user_id, address_id)).await
    }
}

const ADDRESS: &str = "ADDRESS#";

fn partition(user_id: Uuid) -> String {
    format!("USER#{user_id}")
}

fn profile_key(user_id: Uuid) -> Key {
    Key::new(partition(user_id), "PROFILE")
}

fn address_key(user_id: Uuid, address_id: Uuid) -> Key {
    Key::new(partition(user_id), format!("{ADDRESS}{address_id}"))
}

fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}
