//! Products and their stock.

use std::collections::{BTreeSet, HashMap};

use aws_sdk_dynamodb::types::builders::UpdateBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use jiff::Timestamp;
use shared::db::{DbError, Item, Key, from_item, retry_conflicts, to_item};
use shared::text::Text;

use super::{CartStore, number, text};
use crate::model::{Category, ImageUrl, Product, ProductId, ProductPatch};

pub(super) const ALL: &str = "ALL";
pub(super) const IN_STOCK: &str = "IN_STOCK";
pub(super) const SOLD_OUT: &str = "SOLD_OUT";

impl CartStore {
    /// One product, read consistently, retired ones included.
    pub async fn product(&self, id: &ProductId) -> Result<Option<Product>, DbError> {
        self.table.get(&product_key(id)).await
    }

    /// Those of the products that exist, read consistently, retired ones included.
    pub async fn products(
        &self,
        ids: impl IntoIterator<Item = &ProductId>,
    ) -> Result<HashMap<ProductId, Product>, DbError> {
        let ids: BTreeSet<&ProductId> = ids.into_iter().collect();
        let keys: Vec<Key> = ids.into_iter().map(product_key).collect();
        let mut products = HashMap::with_capacity(keys.len());
        for item in self.table.get_many(&keys).await? {
            let product: Product = from_item(item)?;
            products.insert(product.id.clone(), product);
        }
        Ok(products)
    }

    /// Adds or replaces a product, whatever was there before (the version is the next one, not that of `product`); whether
    /// it is new.
    pub async fn put_product(&self, product: &Product) -> Result<bool, DbError> {
        retry_conflicts(|| async {
            let previous = self.product(&product.id).await?.map(|previous| previous.version);
            self.replace_product(product.clone(), previous).await?;
            Ok(previous.is_none())
        })
        .await
    }

    /// Adds or replaces the product that is at the version `previous` (none: not there), and gives it the next one.
    /// [`DbError::Conflict`] where it is at another one.
    pub(crate) async fn replace_product(
        &self,
        product: Product,
        previous: Option<u64>,
    ) -> Result<Product, DbError> {
        let product = Product { version: previous.unwrap_or_default() + 1, ..product };
        let mut item = to_item(&product_key(&product.id), &product)?;
        item.insert("catalogue_pk".to_owned(), text(ALL));
        item.insert("catalogue_sk".to_owned(), text(catalogue_sk(product.category.as_ref(), &product.id)));
        item.insert("availability".to_owned(), availability(product.stock));
        let put = Put::builder().table_name(self.table.name()).set_item(Some(item));
        let put = match previous {
            None => put.condition_expression("attribute_not_exists(pk)"),
            Some(previous) => put
                .condition_expression("#version = :version")
                .expression_attribute_names("#version", "version")
                .expression_attribute_values(":version", number(previous)),
        };
        let put = put.build().map_err(|error| DbError::Refused(error.into()))?;
        self.write([TransactWriteItem::builder().put(put).build()]).await?;
        Ok(product)
    }

    /// Changes just what `patch` names, so that checkouts at the same time last. [`DbError::Conflict`] where the product is
    /// not in the catalogue any more, or not at the version `only_at`, where one is given.
    pub(crate) async fn patch_product(
        &self,
        id: &ProductId,
        patch: &ProductPatch,
        only_at: Option<u64>,
    ) -> Result<(), DbError> {
        let mut change = Change::of_sold(only_at);
        if let Some(name) = &patch.name {
            change.set("name", text(name.as_str()));
        }
        if let Some(description) = &patch.description {
            change.set_or_remove("description", description.as_ref().map(Text::as_str));
        }
        if let Some(amount) = patch.amount {
            change.set_in_price("amount", number(amount.get()));
        }
        if let Some(currency) = patch.currency {
            change.set_in_price("currency", text(currency.as_str()));
        }
        if let Some(category) = &patch.category {
            change.set_or_remove("category", category.as_ref().map(Category::as_str));
            change.set("catalogue_sk", text(catalogue_sk(category.as_ref(), id)));
        }
        if let Some(image_url) = &patch.image_url {
            change.set_or_remove("image_url", image_url.as_ref().map(ImageUrl::as_str));
        }
        if let Some(stock) = patch.stock {
            change.set("stock", number(stock.get()));
            change.set("availability", availability(stock.get()));
        }
        self.write([self.table.update_write(&product_key(id), |update| change.fill(update))?]).await
    }

    /// Takes the product out of the catalogue. [`DbError::Conflict`] where it is not in there any more, or not at the version
    /// `only_at`, where one is given.
    pub(crate) async fn retire_product(
        &self,
        id: &ProductId,
        only_at: Option<u64>,
        now: Timestamp,
    ) -> Result<(), DbError> {
        let mut change = Change::of_sold(only_at);
        change.set("retired_at", text(now.to_string()));
        change.set_or_remove("catalogue_sk", None);
        self.write([self.table.update_write(&product_key(id), |update| change.fill(update))?]).await
    }

    /// Takes pieces out of stock, in the transaction of a checkout. Fails where the product is retired, is not sold at the
    /// price of `product` (as it was read) any more, or has fewer pieces; and, because the index must learn when the last
    /// one is sold, where this sale would sell it and would not have by the stock that was read, or the other way round.
    pub fn take_stock_write(&self, product: &Product, quantity: u32) -> Result<TransactWriteItem, DbError> {
        let mut change = Change::of_sold(None);
        change.on("#price.#amount = :amount AND #price.#currency = :currency");
        change.name(["price", "amount", "currency"]);
        change.value("amount", number(product.price.amount));
        change.value("currency", text(product.price.currency));
        if product.stock > quantity {
            change.on("#stock > :quantity");
        } else {
            change.on("#stock = :quantity");
            change.set("availability", text(SOLD_OUT));
        }
        change.add("stock", "-", quantity);
        self.table.update_write(&product_key(&product.id), |update| change.fill(update))
    }

    /// Puts pieces back in stock, in the transaction of a cancellation; of retired products too. Fails where there was
    /// never such a product.
    pub fn return_stock_write(&self, id: &ProductId, quantity: u32) -> Result<TransactWriteItem, DbError> {
        let mut change = Change::on_condition("attribute_exists(pk)");
        change.add("stock", "+", quantity);
        // A retired product has no `catalogue_sk`, so that this puts it into no index.
        change.set("availability", text(IN_STOCK));
        self.table.update_write(&product_key(id), |update| change.fill(update))
    }
}

/// A change of a product, which is always a new version of it. Every attribute has a placeholder, because `name` is a
/// reserved word.
struct Change {
    conditions: Vec<String>,
    sets: Vec<String>,
    removes: Vec<String>,
    names: HashMap<String, String>,
    values: Item,
}

impl Change {
    fn on_condition(condition: &str) -> Self {
        let mut change = Self {
            conditions: vec![condition.to_owned()],
            sets: Vec::new(),
            removes: Vec::new(),
            names: HashMap::new(),
            values: Item::new(),
        };
        change.sets.push("#version = #version + :one".to_owned());
        change.name(["version"]);
        change.value("one", number(1u32));
        change
    }

    /// Of a product that is in the catalogue, and at this version where one is given.
    fn of_sold(only_at: Option<u64>) -> Self {
        let mut change = Self::on_condition("attribute_exists(pk) AND attribute_not_exists(#retired_at)");
        change.name(["retired_at"]);
        if let Some(version) = only_at {
            change.on("#version = :version");
            change.value("version", number(version));
        }
        change
    }

    fn on(&mut self, condition: &str) {
        self.conditions.push(condition.to_owned());
    }

    fn name<const N: usize>(&mut self, names: [&str; N]) {
        self.names.extend(names.map(|name| (format!("#{name}"), name.to_owned())));
    }

    fn value(&mut self, name: &str, value: AttributeValue) {
        self.values.insert(format!(":{name}"), value);
    }

    fn set(&mut self, name: &str, value: AttributeValue) {
        self.name([name]);
        self.value(name, value);
        self.sets.push(format!("#{name} = :{name}"));
    }

    fn set_or_remove(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.set(name, text(value));
        } else {
            self.name([name]);
            self.removes.push(format!("#{name}"));
        }
    }

    fn set_in_price(&mut self, name: &str, value: AttributeValue) {
        self.name(["price", name]);
        self.value(name, value);
        self.sets.push(format!("#price.#{name} = :{name}"));
    }

    fn add(&mut self, name: &str, sign: &str, quantity: u32) {
        self.name([name]);
        self.value("quantity", number(quantity));
        self.sets.push(format!("#{name} = #{name} {sign} :quantity"));
    }

    fn fill(self, update: UpdateBuilder) -> UpdateBuilder {
        let mut expression = format!("SET {}", self.sets.join(", "));
        if !self.removes.is_empty() {
            expression = format!("{expression} REMOVE {}", self.removes.join(", "));
        }
        update
            .update_expression(expression)
            .condition_expression(self.conditions.join(" AND "))
            .set_expression_attribute_names(Some(self.names))
            .set_expression_attribute_values(Some(self.values))
    }
}

pub(super) fn product_key(id: &ProductId) -> Key {
    Key::new(format!("PRODUCT#{id}"), "PRODUCT")
}

/// The sort key in both indexes: by category, those without one first, then by id (`#` sorts before all that either may
/// hold).
pub(super) fn catalogue_sk(category: Option<&Category>, id: &ProductId) -> String {
    format!("{}#{id}", category.map_or("", Category::as_str))
}

fn availability(stock: u32) -> AttributeValue {
    text(if stock > 0 { IN_STOCK } else { SOLD_OUT })
}
