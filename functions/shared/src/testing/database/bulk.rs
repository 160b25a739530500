//! Many items at once.

use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};

use super::Database;
use crate::db::Item;

impl Database {
    /// Puts items of what JSON has, so no sets and no bytes; for more of them than a test could write one by one.
    ///
    /// # Panics
    /// When the table is not there, or an item cannot be put.
    pub async fn put_all(&self, logical_id: &str, items: Vec<Item>) {
        if let Some(embedded) = &self.embedded {
            let items = items.into_iter().map(embedded_item).collect();
            embedded
                .0
                .import_items(logical_id, items, dynoxide::ImportOptions::default())
                .expect("good items");
            return;
        }
        let table = self.table(logical_id);
        let request = |item: &Item| {
            let put = PutRequest::builder().set_item(Some(item.clone())).build().expect("an item");
            WriteRequest::builder().put_request(put).build()
        };
        for batch in items.chunks(25) {
            let mut batch: Vec<_> = batch.iter().map(request).collect();
            while !batch.is_empty() {
                let call = table.client().batch_write_item().request_items(table.name(), batch);
                let left = call.send().await.expect("good items").unprocessed_items;
                batch = left.and_then(|mut left| left.remove(table.name())).unwrap_or_default();
            }
        }
    }
}

fn embedded_item(item: Item) -> dynoxide::Item {
    item.into_iter().map(|(name, attribute)| (name, embedded_value(attribute))).collect()
}

fn embedded_value(value: AttributeValue) -> dynoxide::AttributeValue {
    match value {
        AttributeValue::S(string) => dynoxide::AttributeValue::S(string),
        AttributeValue::N(number) => dynoxide::AttributeValue::N(number),
        AttributeValue::Bool(bool) => dynoxide::AttributeValue::BOOL(bool),
        AttributeValue::Null(null) => dynoxide::AttributeValue::NULL(null),
        AttributeValue::L(list) => {
            dynoxide::AttributeValue::L(list.into_iter().map(embedded_value).collect())
        }
        AttributeValue::M(map) => dynoxide::AttributeValue::M(embedded_item(map)),
        other => panic!("{other:?} is nothing that JSON has"),
    }
}
