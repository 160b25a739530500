//! The list of products, from its two indexes.

use aws_sdk_dynamodb::types::AttributeValue;
use shared::db::{DbError, Item, from_item};
use shared::page::{Cursor, Page, PageQuery};

use super::products::{ALL, IN_STOCK, SOLD_OUT, catalogue_sk, product_key};
use super::{CartStore, text};
use crate::model::{CatalogueEntry, Category, ProductId};

/// Which products a list holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only those of this category.
    pub category: Option<Category>,
    /// Only those of which there are pieces, or only those of which there are none.
    pub available: Option<bool>,
}

impl CartStore {
    /// One page of the catalogue by category and product id, from an index: what changed in the last moments may be
    /// missing. A cursor of another filter is [`DbError::BadCursor`].
    pub async fn catalogue(
        &self,
        filter: &Filter,
        query: &PageQuery,
    ) -> Result<Page<CatalogueEntry>, DbError> {
        let limit = usize::try_from(query.limit.get()).unwrap_or(100);
        let start = query.cursor.as_ref().map(|cursor| filter.start(cursor).ok_or(DbError::BadCursor));
        let (index, pk_name, pk) = filter.partition();
        let call = self
            .table
            .client()
            .query()
            .table_name(self.table.name())
            .index_name(index)
            .expression_attribute_names("#pk", pk_name)
            .expression_attribute_values(":pk", text(pk))
            .set_exclusive_start_key(start.transpose()?)
            // One more than asked for, to know whether there is a next page.
            .limit(i32::try_from(limit + 1).unwrap_or(i32::MAX));
        let call = match &filter.category {
            None => call.key_condition_expression("#pk = :pk"),
            Some(category) => call
                .key_condition_expression("#pk = :pk AND begins_with(#sk, :category)")
                .expression_attribute_names("#sk", "catalogue_sk")
                .expression_attribute_values(":category", text(format!("{}#", category.as_str()))),
        };
        let output = call.send().await?;
        let items = output.items.unwrap_or_default();
        let mut items: Vec<CatalogueEntry> = items.into_iter().map(entry).collect::<Result<_, _>>()?;
        // DynamoDB also stops at 1 MB: then its own last key says where to go on.
        let more = items.len() > limit || output.last_evaluated_key.is_some();
        items.truncate(limit);
        let last = items.last().filter(|_| more);
        let next_cursor = last.map(|last| filter.cursor(last));
        Ok(Page { items, next_cursor })
    }
}

impl Filter {
    /// The index, its partition key, and the partition.
    fn partition(&self) -> (&'static str, &'static str, &'static str) {
        match self.available {
            None => ("catalogue", "catalogue_pk", ALL),
            Some(true) => ("availability", "availability", IN_STOCK),
            Some(false) => ("availability", "availability", SOLD_OUT),
        }
    }

    /// What a cursor of this list begins with, and of no other.
    fn name(&self) -> String {
        let category = self.category.as_ref().map_or("", Category::as_str);
        format!("{}/{category}/", self.partition().2)
    }

    fn cursor(&self, last: &CatalogueEntry) -> Cursor {
        Cursor::after(self.name() + &catalogue_sk(last.category.as_ref(), &last.id))
    }

    /// The key in the index, which includes the table's own; none where the cursor is not this list's.
    fn start(&self, cursor: &Cursor) -> Option<Item> {
        let (category, id) = cursor.sort_key().strip_prefix(&self.name())?.split_once('#')?;
        let category = match category {
            "" => None,
            category => Some(Category::try_from(category.to_owned()).ok()?),
        };
        if self.category.is_some() && self.category != category {
            return None;
        }
        let id: ProductId = id.to_owned().try_into().ok()?;
        let (_, pk_name, pk) = self.partition();
        let mut key = product_key(&id).attributes();
        key.insert(pk_name.to_owned(), text(pk));
        key.insert("catalogue_sk".to_owned(), text(catalogue_sk(category.as_ref(), &id)));
        Some(key)
    }
}

fn entry(mut item: Item) -> Result<CatalogueEntry, DbError> {
    let available = item.get("availability").is_some_and(|state| *state == text(IN_STOCK));
    item.insert("available".to_owned(), AttributeValue::Bool(available));
    from_item(item)
}
