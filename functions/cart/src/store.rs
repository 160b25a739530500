//! Cart's table.
//!
//! | item | pk | sk | index `catalogue` |
//! |---|---|---|---|
//! | product | `PRODUCT#<product id>` | `PRODUCT` | `catalogue_pk` = `ALL`, `catalogue_sk` = product id |
//! | cart | `CART#<user id>` | `CART` | |

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, ReturnValue, TransactWriteItem};
use shared::db::{DbError, Item, Key, Table, from_item, retry_conflicts, to_item};
use shared::money::Money;
use shared::page::{Cursor, Page, PageQuery};
use uuid::Uuid;

use crate::model::{Cart, CatalogueEntry, Product, ProductId};

const CATALOGUE: &str = "catalogue";
const ALL: &str = "ALL";
/// `BatchGetItem` takes this many keys.
const BATCH: usize = 100;
/// How often the keys that `BatchGetItem` left over are asked for.
const ROUNDS: usize = 5;

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

    /// The user's cart; empty with version 0 where there was never one.
    pub async fn cart(&self, user_id: Uuid) -> Result<Cart, DbError> {
        Ok(self.table.get(&cart_key(user_id)).await?.unwrap_or_default())
    }

    /// Writes what `cart` (as read, then changed) holds now, with the next version. [`DbError::Conflict`] where someone
    /// else changed the cart since it was read: [`retry_conflicts`] reads and changes it again.
    pub async fn save_cart(&self, user_id: Uuid, cart: &Cart) -> Result<(), DbError> {
        let next = Cart { version: cart.version + 1, lines: cart.lines.clone() };
        let put = self
            .table
            .client()
            .put_item()
            .table_name(self.table.name())
            .set_item(Some(to_item(&cart_key(user_id), &next)?));
        let put = if cart.version == 0 {
            put.condition_expression("attribute_not_exists(pk)")
        } else {
            put.condition_expression("#version = :version")
                .expression_attribute_names("#version", "version")
                .expression_attribute_values(":version", number(cart.version))
        };
        match put.send().await.map_err(DbError::from) {
            Ok(_) => Ok(()),
            Err(DbError::ConditionFailed) => Err(DbError::Conflict),
            Err(error) => Err(error),
        }
    }

    /// Changes what is in the user's cart; changes made at once by others are kept.
    pub async fn edit_lines(
        &self,
        user_id: Uuid,
        change: impl Fn(&mut BTreeMap<ProductId, u32>),
    ) -> Result<(), DbError> {
        retry_conflicts(|| async {
            let mut cart = self.cart(user_id).await?;
            let before = cart.lines.clone();
            change(&mut cart.lines);
            if cart.lines == before {
                return Ok(());
            }
            self.save_cart(user_id, &cart).await
        })
        .await
    }

    /// Empties the cart, in the transaction of a checkout; fails where the cart is not at `version` any more.
    pub fn take_write(&self, user_id: Uuid, version: u64) -> Result<TransactWriteItem, DbError> {
        self.table.update_write(&cart_key(user_id), |update| {
            update
                .update_expression("SET #lines = :none, #version = :next")
                .condition_expression("#version = :version")
                .expression_attribute_names("#lines", "lines")
                .expression_attribute_names("#version", "version")
                .expression_attribute_values(":none", AttributeValue::M(HashMap::new()))
                .expression_attribute_values(":version", number(version))
                .expression_attribute_values(":next", number(version + 1))
        })
    }

    /// One product, read consistently.
    pub async fn product(&self, id: &ProductId) -> Result<Option<Product>, DbError> {
        self.table.get(&product_key(id)).await
    }

    /// Those of the products that exist, read consistently.
    pub async fn products(
        &self,
        ids: impl IntoIterator<Item = &ProductId>,
    ) -> Result<HashMap<ProductId, Product>, DbError> {
        let ids: BTreeSet<&ProductId> = ids.into_iter().collect();
        let keys: Vec<Item> = ids.into_iter().map(|id| product_key(id).attributes()).collect();
        let mut products = HashMap::with_capacity(keys.len());
        for keys in keys.chunks(BATCH) {
            for item in self.batch(keys.to_vec()).await? {
                let product: Product = from_item(item)?;
                products.insert(product.id.clone(), product);
            }
        }
        Ok(products)
    }

    async fn batch(&self, mut keys: Vec<Item>) -> Result<Vec<Item>, DbError> {
        let mut items = Vec::with_capacity(keys.len());
        for _ in 0..ROUNDS {
            let wanted = KeysAndAttributes::builder()
                .set_keys(Some(keys))
                .consistent_read(true)
                .build()
                .map_err(|error| DbError::Refused(error.into()))?;
            let output =
                self.table.client().batch_get_item().request_items(self.table.name(), wanted).send().await?;
            items.extend(output.responses.into_iter().flat_map(HashMap::into_values).flatten());
            // DynamoDB leaves keys over when it throttles or the answer exceeds 16 MB.
            keys = output
                .unprocessed_keys
                .into_iter()
                .flat_map(HashMap::into_values)
                .flat_map(|left| left.keys)
                .collect();
            if keys.is_empty() {
                return Ok(items);
            }
        }
        Err(DbError::Unavailable("BatchGetItem keeps leaving keys over".into()))
    }

    /// One page of the catalogue by product id, from the index: what changed in the last moments may be missing.
    pub async fn catalogue(&self, query: &PageQuery) -> Result<Page<CatalogueEntry>, DbError> {
        let limit = usize::try_from(query.limit.get()).unwrap_or(BATCH);
        let start = match &query.cursor {
            None => None,
            Some(cursor) => {
                let id = cursor.sort_key().to_owned().try_into();
                Some(catalogue_key(&id.map_err(|_| DbError::BadCursor)?))
            }
        };
        let output = self
            .table
            .client()
            .query()
            .table_name(self.table.name())
            .index_name(CATALOGUE)
            .key_condition_expression("catalogue_pk = :all")
            .expression_attribute_values(":all", AttributeValue::S(ALL.to_owned()))
            .set_exclusive_start_key(start)
            // One more than asked for, to know whether there is a next page.
            .limit(i32::try_from(limit + 1).unwrap_or(i32::MAX))
            .send()
            .await?;
        let mut items: Vec<CatalogueEntry> =
            output.items.unwrap_or_default().into_iter().map(from_item).collect::<Result<_, _>>()?;
        // DynamoDB also stops at 1 MB: then its own last key says where to go on.
        let more = items.len() > limit || output.last_evaluated_key.is_some();
        items.truncate(limit);
        let last = items.last().filter(|_| more);
        let next_cursor = last.map(|entry| Cursor::after(entry.id.as_str()));
        Ok(Page { items, next_cursor })
    }

    /// Adds or replaces a product; whether it is new.
    pub async fn put_product(&self, product: &Product) -> Result<bool, DbError> {
        let mut item = to_item(&product_key(&product.id), product)?;
        item.extend(catalogue_key(&product.id));
        retry_conflicts(|| async {
            let put = self
                .table
                .client()
                .put_item()
                .table_name(self.table.name())
                .set_item(Some(item.clone()))
                .return_values(ReturnValue::AllOld);
            let output = put.send().await?;
            Ok(output.attributes.is_none_or(|old| old.is_empty()))
        })
        .await
    }

    /// Takes pieces out of stock, in the transaction of a checkout; fails where there are fewer, or the price is not
    /// `price` any more.
    pub fn take_stock_write(
        &self,
        id: &ProductId,
        quantity: u32,
        price: Money,
    ) -> Result<TransactWriteItem, DbError> {
        self.table.update_write(&product_key(id), |update| {
            update
                .update_expression("SET #stock = #stock - :quantity")
                .condition_expression(
                    "#stock >= :quantity AND #price.#amount = :amount AND #price.#currency = :currency",
                )
                .expression_attribute_names("#stock", "stock")
                .expression_attribute_names("#price", "price")
                .expression_attribute_names("#amount", "amount")
                .expression_attribute_names("#currency", "currency")
                .expression_attribute_values(":quantity", number(quantity))
                .expression_attribute_values(":amount", number(price.amount))
                .expression_attribute_values(":currency", AttributeValue::S(price.currency.into()))
        })
    }

    /// Puts pieces back in stock, in the transaction of a cancellation; fails where the product is gone.
    pub fn return_stock_write(&self, id: &ProductId, quantity: u32) -> Result<TransactWriteItem, DbError> {
        self.table.update_write(&product_key(id), |update| {
            update
                .update_expression("SET #stock = #stock + :quantity")
                .condition_expression("attribute_exists(pk)")
                .expression_attribute_names("#stock", "stock")
                .expression_attribute_values(":quantity", number(quantity))
        })
    }
}

fn cart_key(user_id: Uuid) -> Key {
    Key::new(format!("CART#{user_id}"), "CART")
}

fn product_key(id: &ProductId) -> Key {
    Key::new(format!("PRODUCT#{id}"), "PRODUCT")
}

/// The key of a product in the index `catalogue`, which includes the table's own.
fn catalogue_key(id: &ProductId) -> Item {
    let mut key = product_key(id).attributes();
    key.insert("catalogue_pk".to_owned(), AttributeValue::S(ALL.to_owned()));
    key.insert("catalogue_sk".to_owned(), AttributeValue::S(id.to_string()));
    key
}

fn number(value: impl Into<u64>) -> AttributeValue {
    AttributeValue::N(value.into().to_string())
}
