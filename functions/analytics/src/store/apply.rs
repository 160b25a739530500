//! Adding events to the figures.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use shared::db::{DbError, Item, Key, Transaction, TransactionError};

use super::cells::{self, Cell, SHARDS};
use super::events::{WRITES, event_key};
use super::{ATTEMPTS, AnalyticsStore, contended, number};
use crate::counting::{Cells, Portion, add_all};
use crate::sketch::Sketch;

impl AnalyticsStore {
    /// Adds each portion to the figures, unless it was added before, or its raw event is gone.
    pub(crate) async fn apply(&self, portions: Vec<Portion>) -> Result<(), DbError> {
        let mut group = Vec::new();
        let (mut events, mut cells) = (BTreeSet::new(), BTreeSet::new());
        for portion in portions {
            let new = portion.cells.keys().filter(|id| !cells.contains(*id)).count();
            // A transaction takes each item once, and both portions of an event mark the same one.
            let fits = events.len() + 1 + cells.len() + new <= WRITES && !events.contains(&portion.event);
            if !fits {
                self.apply_group(std::mem::take(&mut group)).await?;
                events.clear();
                cells.clear();
            }
            events.insert(portion.event.clone());
            cells.extend(portion.cells.keys().cloned());
            group.push(portion);
        }
        self.apply_group(group).await
    }

    /// Marks and adds in one transaction. Portions that are marked already are left out of the next attempt; sketches that
    /// somebody else changed are read again for it.
    async fn apply_group(&self, mut group: Vec<Portion>) -> Result<(), DbError> {
        let mut attempts = 0..ATTEMPTS;
        while let Some(first) = group.first() {
            let shard = shard(&first.event);
            let mut sums = Cells::new();
            for portion in &group {
                add_all(&mut sums, &portion.cells);
            }
            let stored = self.sketches(&sums, shard).await?;
            let mut transaction = Transaction::new(self.table.client());
            for portion in &group {
                transaction.add(self.mark(portion)?);
            }
            for (id, cell) in &sums {
                let key = id.key(shard);
                let stored = stored.get(&(key.pk.clone(), key.sk.clone()));
                if let Some(addition) = self.addition(&key, cell, stored)? {
                    transaction.add(addition);
                }
            }
            match transaction.run().await {
                Ok(()) => return Ok(()),
                Err(TransactionError::Cancelled(cancelled)) => {
                    let (all, mut index) = (group.len(), 0..);
                    group.retain(|_| !index.next().is_some_and(|index| cancelled.failed(index)));
                    // Where none is left out a sketch was changed, and that not for ever.
                    if group.len() == all && attempts.next().is_none() {
                        return Err(contended());
                    }
                }
                Err(TransactionError::Db(error)) => return Err(error),
            }
        }
        Ok(())
    }

    /// The items that have sketches to be changed, by key.
    async fn sketches(&self, sums: &Cells, shard: u8) -> Result<HashMap<(String, String), Item>, DbError> {
        let with_people = sums.iter().filter(|(_, cell)| !cell.people.is_empty());
        let keys: Vec<Key> = with_people.map(|(id, _)| id.key(shard)).collect();
        let items = self.table.get_many(&keys).await?;
        let text = |item: &Item, name| item.get(name).and_then(|value| value.as_s().ok()).cloned();
        let keyed =
            items.into_iter().filter_map(|item| Some(((text(&item, "pk")?, text(&item, "sk")?), item)));
        Ok(keyed.collect())
    }

    /// The raw event must be there: of one that expired nobody could tell whether it was counted.
    fn mark(&self, portion: &Portion) -> Result<TransactWriteItem, DbError> {
        self.table.update_write(&event_key(&portion.event), |update| {
            update
                .update_expression("SET #mark = :true")
                .condition_expression("attribute_exists(pk) AND attribute_not_exists(#mark)")
                .expression_attribute_names("#mark", portion.mark)
                .expression_attribute_values(":true", AttributeValue::Bool(true))
        })
    }

    /// Adds to the numbers, and to the sketches on condition that they are as they were `stored`.
    fn addition(
        &self,
        key: &Key,
        cell: &Cell,
        stored: Option<&Item>,
    ) -> Result<Option<TransactWriteItem>, DbError> {
        let (mut names, mut values) = (HashMap::new(), Item::new());
        let (mut adds, mut sets, mut conditions) = (Vec::new(), Vec::new(), Vec::new());
        for (index, (measure, by)) in cell.numbers.iter().enumerate() {
            names.insert(format!("#n{index}"), measure.attribute());
            values.insert(format!(":n{index}"), number(by));
            adds.push(format!("#n{index} :n{index}"));
        }
        for (index, (attribute, people)) in cell.people.iter().enumerate() {
            let before = stored.and_then(|item| item.get(*attribute));
            let mut sketch =
                stored.map_or_else(|| Ok(Sketch::default()), |item| cells::sketch(item, attribute))?;
            for person in people {
                sketch.add(person);
            }
            let after = AttributeValue::B(Blob::new(sketch.to_bytes()));
            // Most people came before; then there is nothing to write that others could be in the way of.
            if before == Some(&after) {
                continue;
            }
            names.insert(format!("#s{index}"), (*attribute).to_owned());
            values.insert(format!(":s{index}"), after);
            sets.push(format!("#s{index} = :s{index}"));
            if let Some(before) = before {
                values.insert(format!(":b{index}"), before.clone());
                conditions.push(format!("#s{index} = :b{index}"));
            } else {
                conditions.push(format!("attribute_not_exists(#s{index})"));
            }
        }
        let clause = |word: &str, parts: &[String]| match parts {
            [] => String::new(),
            parts => format!("{word} {} ", parts.join(", ")),
        };
        if names.is_empty() {
            return Ok(None);
        }
        let update = self.table.update_write(key, |update| {
            update
                .update_expression(clause("ADD", &adds) + &clause("SET", &sets))
                .set_condition_expression(Some(conditions.join(" AND ")).filter(|all| !all.is_empty()))
                .set_expression_attribute_names(Some(names))
                .set_expression_attribute_values(Some(values))
        });
        update.map(Some)
    }
}

/// The same for the same event; which one does not matter.
fn shard(event: &str) -> u8 {
    event.bytes().fold(0_u8, u8::wrapping_add) % SHARDS
}
