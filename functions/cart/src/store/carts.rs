//! Carts, of users and of whoever has a token.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;

use aws_sdk_dynamodb::types::builders::PutBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shared::db::{DbError, Key, retry_conflicts, to_item};
use uuid::Uuid;

use super::{CartStore, number};
use crate::model::{AnonymousCart, Cart, CartLine, Owner, ProductId, TokenHash};

/// A cart's item.
#[derive(Serialize, Deserialize)]
struct Stored {
    version: u64,
    lines: BTreeMap<ProductId, CartLine>,
    /// Of an anonymous cart only: a user's lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    merged_into: Option<Uuid>,
}

impl CartStore {
    /// The user's cart; empty with version 0 where there was never one.
    pub async fn cart(&self, user_id: Uuid) -> Result<Cart, DbError> {
        Ok(self.table.get(&user_key(user_id)).await?.unwrap_or_default())
    }

    /// Writes what `cart` (as read, then changed) holds now, with the next version. [`DbError::Conflict`] where someone
    /// else changed the cart since it was read: [`retry_conflicts`] reads and changes it again.
    pub async fn save_cart(&self, user_id: Uuid, cart: &Cart) -> Result<(), DbError> {
        self.write([self.user_write(user_id, cart)?]).await
    }

    /// Changes what is in the user's cart; changes made at once by others are kept.
    pub async fn edit_lines(
        &self,
        user_id: Uuid,
        change: impl Fn(&mut BTreeMap<ProductId, CartLine>),
    ) -> Result<(), DbError> {
        let change = |cart: &mut Cart| {
            change(&mut cart.lines);
            Ok::<_, Infallible>(())
        };
        // A user's cart does not expire, whatever the time.
        self.edit(&Owner::User(user_id), Timestamp::UNIX_EPOCH, change).await.map(|_| ())
    }

    /// Changes the owner's cart, unless `change` refuses; edits made at once by others are kept. The version after it; none
    /// where a token opens no cart.
    pub(crate) async fn edit<E>(
        &self,
        owner: &Owner,
        now: Timestamp,
        change: impl Fn(&mut Cart) -> Result<(), E>,
    ) -> Result<Option<Result<u64, E>>, DbError> {
        retry_conflicts(|| async {
            let Some(mut cart) = self.open(owner, now).await? else { return Ok(None) };
            let before = cart.clone();
            if let Err(refused) = change(&mut cart) {
                return Ok(Some(Err(refused)));
            }
            let version = if cart == before { cart.version } else { self.save(owner, &cart, now).await? };
            Ok(Some(Ok(version)))
        })
        .await
    }

    /// Empties the cart, in the transaction of a checkout; fails where the cart is not at `version` any more.
    pub fn take_write(&self, user_id: Uuid, version: u64) -> Result<TransactWriteItem, DbError> {
        self.table.update_write(&user_key(user_id), |update| {
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

    /// The owner's cart. None where a token opens none: there was never one, it expired, or it is merged.
    pub(crate) async fn open(&self, owner: &Owner, now: Timestamp) -> Result<Option<Cart>, DbError> {
        match owner {
            Owner::User(user_id) => self.cart(*user_id).await.map(Some),
            Owner::Anonymous(hash) => {
                let found = self.anonymous(hash, now).await?;
                Ok(found.filter(|found| found.merged_into.is_none()).map(|found| found.cart))
            }
        }
    }

    /// [`save_cart`](Self::save_cart) for any owner; an anonymous cart lasts the longer for it. The cart's new version.
    pub(crate) async fn save(&self, owner: &Owner, cart: &Cart, now: Timestamp) -> Result<u64, DbError> {
        let write = match owner {
            Owner::User(user_id) => self.user_write(*user_id, cart)?,
            Owner::Anonymous(hash) => self.anonymous_write(hash, cart, None, now)?,
        };
        self.write([write]).await?;
        Ok(cart.version + 1)
    }

    /// The anonymous cart, merged ones included. None where there was never one, and after its end.
    pub(crate) async fn anonymous(
        &self,
        hash: &TokenHash,
        now: Timestamp,
    ) -> Result<Option<AnonymousCart>, DbError> {
        let stored: Option<Stored> = self.table.get(&anonymous_key(hash)).await?;
        let found = stored.map(|stored| AnonymousCart {
            cart: Cart { version: stored.version, lines: stored.lines },
            expires_at: stored.expires_at.unwrap_or_default(),
            merged_into: stored.merged_into,
        });
        Ok(found.filter(|found| !found.is_over(now)))
    }

    /// Puts an empty anonymous cart there, until `expires_at`; its version.
    pub(crate) async fn open_anonymous(
        &self,
        hash: &TokenHash,
        expires_at: Timestamp,
    ) -> Result<u64, DbError> {
        let empty = Stored { expires_at: Some(expires_at.as_second()), ..Stored::next(&Cart::default()) };
        let put = self.table.put_write(&anonymous_key(hash), &empty, "attribute_not_exists(pk)")?;
        self.write([put]).await?;
        Ok(empty.version)
    }

    /// Writes the user's cart `merged`, which has the lines of the anonymous cart `from` in it, and leaves of `from` no
    /// more than whose it became, all at once. Both are as read, and one of them changed: [`DbError::Conflict`] where
    /// somebody else changed one since. The new version of the user's cart.
    pub(crate) async fn merge(
        &self,
        user_id: Uuid,
        merged: &Cart,
        hash: &TokenHash,
        from: &Cart,
        now: Timestamp,
    ) -> Result<u64, DbError> {
        let emptied = Cart { version: from.version, lines: BTreeMap::new() };
        let emptied = self.anonymous_write(hash, &emptied, Some(user_id), now)?;
        self.write([self.user_write(user_id, merged)?, emptied]).await?;
        Ok(merged.version + 1)
    }

    fn user_write(&self, user_id: Uuid, cart: &Cart) -> Result<TransactWriteItem, DbError> {
        self.put_write(&user_key(user_id), &Stored::next(cart), |put| match cart.version {
            0 => put.condition_expression("attribute_not_exists(pk)"),
            version => at_version(put, version),
        })
    }

    fn anonymous_write(
        &self,
        hash: &TokenHash,
        cart: &Cart,
        merged_into: Option<Uuid>,
        now: Timestamp,
    ) -> Result<TransactWriteItem, DbError> {
        let expires_at = Some(AnonymousCart::expiry(now).as_second());
        let next = Stored { expires_at, merged_into, ..Stored::next(cart) };
        self.put_write(&anonymous_key(hash), &next, |put| at_version(put, cart.version))
    }

    fn put_write(
        &self,
        key: &Key,
        stored: &Stored,
        condition: impl FnOnce(PutBuilder) -> PutBuilder,
    ) -> Result<TransactWriteItem, DbError> {
        let put = Put::builder().table_name(self.table.name()).set_item(Some(to_item(key, stored)?));
        let put = condition(put).build().map_err(|error| DbError::Refused(error.into()))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }
}

impl Stored {
    /// What comes after `cart` as it was read and then changed.
    fn next(cart: &Cart) -> Self {
        Self { version: cart.version + 1, lines: cart.lines.clone(), expires_at: None, merged_into: None }
    }
}

fn at_version(put: PutBuilder, version: u64) -> PutBuilder {
    put.condition_expression("#version = :version")
        .expression_attribute_names("#version", "version")
        .expression_attribute_values(":version", number(version))
}

fn user_key(user_id: Uuid) -> Key {
    Key::new(format!("CART#{user_id}"), "CART")
}

fn anonymous_key(hash: &TokenHash) -> Key {
    Key::new(format!("ANON#{}", hash.as_str()), "CART")
}
