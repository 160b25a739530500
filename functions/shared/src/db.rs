//! DynamoDB, as much of it as every store needs.
//!
//! Each service has one table with string keys `pk` and `sk`; its layout is at the top of that service's `store.rs`.

mod error;
mod transaction;

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::builders::{ConditionCheckBuilder, DeleteBuilder, UpdateBuilder};
use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Delete, KeysAndAttributes, Put, TransactWriteItem, Update,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use error::DbError;
pub use transaction::{Cancelled, Transaction, TransactionError, retry_conflicts};

use crate::page::{Cursor, Page, PageQuery};

/// `BatchGetItem` takes this many keys.
const BATCH: usize = 100;

/// How often the keys that `BatchGetItem` left over are asked for.
const ROUNDS: usize = 5;

/// An item as DynamoDB has it.
pub type Item = HashMap<String, AttributeValue>;

/// The primary key of an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// The partition key.
    pub pk: String,
    /// The sort key.
    pub sk: String,
}

impl Key {
    /// The key of (`pk`, `sk`).
    pub fn new(pk: impl Into<String>, sk: impl Into<String>) -> Self {
        Self { pk: pk.into(), sk: sk.into() }
    }

    /// The key as the attributes `pk` and `sk`.
    pub fn attributes(&self) -> Item {
        HashMap::from([
            ("pk".to_owned(), AttributeValue::S(self.pk.clone())),
            ("sk".to_owned(), AttributeValue::S(self.sk.clone())),
        ])
    }
}

/// A client and the name of the one table that a store knows.
#[derive(Debug, Clone)]
pub struct Table {
    client: Client,
    name: String,
}

impl Table {
    /// The table `name`.
    pub fn new(client: Client, name: impl Into<String>) -> Self {
        Self { client, name: name.into() }
    }

    /// The client, for what the helpers here do not cover.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The table's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Reads one item, consistently.
    pub async fn get<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<T>, DbError> {
        let output = self
            .client
            .get_item()
            .table_name(&self.name)
            .set_key(Some(key.attributes()))
            .consistent_read(true)
            .send()
            .await?;
        output.item.map(from_item).transpose()
    }

    /// Reads those of these items that exist, consistently, in any order; each key must be another one.
    pub async fn get_many(&self, keys: &[Key]) -> Result<Vec<Item>, DbError> {
        let mut items = Vec::with_capacity(keys.len());
        for keys in keys.chunks(BATCH) {
            self.get_batch(keys.iter().map(Key::attributes).collect(), &mut items).await?;
        }
        Ok(items)
    }

    async fn get_batch(&self, mut keys: Vec<Item>, items: &mut Vec<Item>) -> Result<(), DbError> {
        for _ in 0..ROUNDS {
            let wanted = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true);
            let wanted = wanted.build().map_err(refused)?;
            let output = self.client.batch_get_item().request_items(&self.name, wanted).send().await?;
            items.extend(output.responses.into_iter().flat_map(HashMap::into_values).flatten());
            // DynamoDB leaves keys over when it throttles or the answer exceeds 16 MB.
            let left = output.unprocessed_keys.into_iter().flat_map(HashMap::into_values);
            keys = left.flat_map(|left| left.keys).collect();
            if keys.is_empty() {
                return Ok(());
            }
        }
        Err(DbError::Unavailable("BatchGetItem keeps leaving keys over".into()))
    }

    /// Writes one item, whatever was there before.
    pub async fn put<T: Serialize>(&self, key: &Key, value: &T) -> Result<(), DbError> {
        let item = to_item(key, value)?;
        retry_conflicts(|| async {
            let put = self.client.put_item().table_name(&self.name).set_item(Some(item.clone()));
            put.send().await?;
            Ok(())
        })
        .await
    }

    /// Deletes one item; whether it existed.
    pub async fn delete(&self, key: &Key) -> Result<bool, DbError> {
        retry_conflicts(|| async {
            let output = self
                .client
                .delete_item()
                .table_name(&self.name)
                .set_key(Some(key.attributes()))
                .return_values(aws_sdk_dynamodb::types::ReturnValue::AllOld)
                .send()
                .await?;
            Ok(output.attributes.is_some_and(|old| !old.is_empty()))
        })
        .await
    }

    /// One page of the items of `pk` whose sort key begins with `prefix`, read consistently, newest (highest) first.
    /// A cursor that another list gave out is [`DbError::BadCursor`].
    pub async fn page<T: DeserializeOwned>(
        &self,
        pk: &str,
        prefix: &str,
        query: &PageQuery,
    ) -> Result<Page<T>, DbError> {
        let limit = usize::try_from(query.limit.get()).unwrap_or(100);
        let start = match &query.cursor {
            None => None,
            Some(cursor) if cursor.sort_key().starts_with(prefix) => {
                Some(Key::new(pk, cursor.sort_key()).attributes())
            }
            Some(_) => return Err(DbError::BadCursor),
        };
        let output = self
            .client
            .query()
            .table_name(&self.name)
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":pk", AttributeValue::S(pk.to_owned()))
            .expression_attribute_values(":prefix", AttributeValue::S(prefix.to_owned()))
            .set_exclusive_start_key(start)
            .scan_index_forward(false)
            .consistent_read(true)
            // One more than asked for, to know whether there is a next page.
            .limit(i32::try_from(limit + 1).unwrap_or(i32::MAX))
            .send()
            .await?;
        let mut items = output.items.unwrap_or_default();
        // DynamoDB also stops at 1 MB: then its own last key says where to go on.
        let mut last = output.last_evaluated_key;
        if items.len() > limit {
            items.truncate(limit);
            last = items.last().cloned();
        }
        let next_cursor = last
            .and_then(|mut item| item.remove("sk"))
            .and_then(|sk| sk.as_s().ok().map(|sk| Cursor::after(sk.as_str())));
        let items = items.into_iter().map(from_item).collect::<Result<_, _>>()?;
        Ok(Page { items, next_cursor })
    }

    /// A put for a [`Transaction`], on `condition` (an expression without placeholders, such as
    /// `attribute_not_exists(pk)`; empty is none).
    pub fn put_write<T: Serialize>(
        &self,
        key: &Key,
        value: &T,
        condition: &str,
    ) -> Result<TransactWriteItem, DbError> {
        let condition = Some(condition.to_owned()).filter(|condition| !condition.is_empty());
        let put = Put::builder()
            .table_name(&self.name)
            .set_item(Some(to_item(key, value)?))
            .set_condition_expression(condition);
        Ok(TransactWriteItem::builder().put(put.build().map_err(refused)?).build())
    }

    /// An update for a [`Transaction`]; `fill` adds the expressions.
    pub fn update_write(
        &self,
        key: &Key,
        fill: impl FnOnce(UpdateBuilder) -> UpdateBuilder,
    ) -> Result<TransactWriteItem, DbError> {
        let update = fill(Update::builder().table_name(&self.name).set_key(Some(key.attributes())));
        Ok(TransactWriteItem::builder().update(update.build().map_err(refused)?).build())
    }

    /// A delete for a [`Transaction`]; `fill` adds the condition.
    pub fn delete_write(
        &self,
        key: &Key,
        fill: impl FnOnce(DeleteBuilder) -> DeleteBuilder,
    ) -> Result<TransactWriteItem, DbError> {
        let delete = fill(Delete::builder().table_name(&self.name).set_key(Some(key.attributes())));
        Ok(TransactWriteItem::builder().delete(delete.build().map_err(refused)?).build())
    }

    /// A condition of a [`Transaction`] on an item that it does not change; `fill` adds it.
    pub fn check(
        &self,
        key: &Key,
        fill: impl FnOnce(ConditionCheckBuilder) -> ConditionCheckBuilder,
    ) -> Result<TransactWriteItem, DbError> {
        let check = fill(ConditionCheck::builder().table_name(&self.name).set_key(Some(key.attributes())));
        Ok(TransactWriteItem::builder().condition_check(check.build().map_err(refused)?).build())
    }

    /// Whether the table answers; for readiness probes.
    pub async fn probe(&self) -> Result<(), DbError> {
        self.get::<serde::de::IgnoredAny>(&Key::new("READY", "READY")).await.map(|_| ())
    }
}

fn refused(error: BuildError) -> DbError {
    DbError::Refused(error.into())
}

/// A value and its key as an item.
pub fn to_item<T: Serialize>(key: &Key, value: &T) -> Result<Item, DbError> {
    let mut item: Item = serde_dynamo::to_item(value).map_err(DbError::Format)?;
    item.extend(key.attributes());
    Ok(item)
}

/// The value that an item holds; its key is left aside.
pub fn from_item<T: DeserializeOwned>(item: Item) -> Result<T, DbError> {
    serde_dynamo::from_item(item).map_err(DbError::Format)
}
