//! Raw events.

use std::collections::HashSet;

use aws_sdk_dynamodb::types::{Put, TransactWriteItem};
use shared::db::{DbError, Key, Transaction, TransactionError, to_item};
use tokio::task::JoinSet;
use tracing::Instrument as _;

use super::{AnalyticsStore, number, text};
use crate::model::Event;

/// A transaction takes this many writes.
pub(super) const WRITES: usize = 100;

/// The form of raw events; a later form has another number.
const VERSION: u32 = 1;

impl AnalyticsStore {
    /// Stores those events that are new; for each whether it was. An event whose id was there before, or twice among these,
    /// changes nothing.
    pub async fn add(&self, events: &[Event]) -> Result<Vec<bool>, DbError> {
        let mut seen = HashSet::new();
        let mut puts = Vec::new();
        for (index, event) in events.iter().enumerate() {
            if seen.insert(event.id.as_str()) {
                puts.push((index, self.event_put(event)?));
            }
        }
        let mut writes = JoinSet::new();
        while !puts.is_empty() {
            let rest = puts.split_off(puts.len().min(WRITES));
            let (store, chunk) = (self.clone(), std::mem::replace(&mut puts, rest));
            writes.spawn(async move { store.add_chunk(chunk).await }.in_current_span());
        }
        let mut new = vec![false; events.len()];
        for written in writes.join_all().await {
            for index in written? {
                if let Some(new) = new.get_mut(index) {
                    *new = true;
                }
            }
        }
        Ok(new)
    }

    /// Writes those that are new, and says which. One write too is a transaction: its token tells the SDK's second attempt, after
    /// an answer that was lost, from a duplicate.
    async fn add_chunk(&self, mut puts: Vec<(usize, TransactWriteItem)>) -> Result<Vec<usize>, DbError> {
        while !puts.is_empty() {
            let mut transaction = Transaction::new(self.table.client());
            for (_, put) in &puts {
                transaction.add(put.clone());
            }
            match transaction.run().await {
                Ok(()) => return Ok(puts.into_iter().map(|(index, _)| index).collect()),
                // At least one is taken out each time, so this ends.
                Err(TransactionError::Cancelled(cancelled)) => {
                    let mut index = 0..;
                    puts.retain(|_| !index.next().is_some_and(|index| cancelled.failed(index)));
                }
                Err(TransactionError::Db(error)) => return Err(error),
            }
        }
        Ok(Vec::new())
    }

    fn event_put(&self, event: &Event) -> Result<TransactWriteItem, DbError> {
        let mut item = to_item(&event_key(&event.id), event)?;
        if let Some(subject) = event.subject() {
            item.insert("subject".to_owned(), text(subject.to_string()));
        }
        item.insert("version".to_owned(), number(VERSION));
        item.insert("expires_at".to_owned(), number(event.expires_at()));
        let put = Put::builder()
            .table_name(self.table.name())
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk)");
        let put = put.build().map_err(|error| DbError::Refused(error.into()))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }
}

pub(super) fn event_key(id: &str) -> Key {
    Key::new(format!("{EVENT}{id}"), "EVENT")
}

/// What the partition keys of raw events begin with.
pub(crate) const EVENT: &str = "EVENT#";
