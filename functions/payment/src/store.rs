//! Payment's table.
//!
//! | item | pk | sk |
//! |---|---|---|
//! | payment | `USER#<user id>` | `PAYMENT#<payment id>` |
//! | refund | `USER#<user id>` | `REFUND#<payment id>#<refund id>` |
//! | owner pointer | `PAYMENT#<payment id>` | `OWNER`, so that admins and webhooks find a payment by its id |
//! | default payment method | `USER#<user id>` | `DEFAULT_METHOD` |
//! | event of a webhook that was seen | `WEBHOOK#<event id>` | `WEBHOOK`, expires |
//! | answer to an `Idempotency-Key` | see [`shared::idempotency`] | expires |
//! | the built-in provider's book | see [`crate::provider::TestProvider`] | |
//!
//! A payment or refund that is being processed, and only such a one, has `in_flight_pk` and `in_flight_since`, and so is in
//! the sparse index `in_flight`: the reconciler's work lists, the longest untouched first. Conditions ask for that attribute.

mod refunds;
mod webhooks;

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use shared::db::{DbError, Key, Table, Transaction, from_item};
use shared::page::{Page, PageQuery};
use shared::trace;
use uuid::Uuid;

use crate::model::{LEASE, Payment, PaymentMethod, sortable};

/// The only way to Payment's table.
#[derive(Debug, Clone)]
pub struct PaymentStore {
    table: Table,
}

/// An intent with the index's partition key.
#[derive(Serialize)]
struct InFlight<'a, T> {
    #[serde(flatten)]
    intent: &'a T,
    in_flight_pk: &'static str,
}

#[derive(Serialize, Deserialize)]
struct OwnerPointer {
    user_id: Uuid,
}

impl PaymentStore {
    /// The store over `table`.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// The table, for readiness probes and the built-in provider.
    pub fn table(&self) -> Table {
        self.table.clone()
    }

    /// An empty transaction.
    pub fn transaction(&self) -> Transaction {
        Transaction::new(self.table.client())
    }

    /// One of the user's payments.
    pub async fn payment(&self, user_id: Uuid, payment_id: Uuid) -> Result<Option<Payment>, DbError> {
        let payment: Option<Payment> = self.table.get(&payment_key(user_id, payment_id)).await?;
        Ok(payment.inspect(|payment| trace::is_about_order(payment.trace)))
    }

    /// The user's payments, newest first.
    pub async fn payments(&self, user_id: Uuid, page: &PageQuery) -> Result<Page<Payment>, DbError> {
        self.table.page(&partition(user_id), PAYMENT, page).await
    }

    /// What the user pays with unless told otherwise.
    pub async fn default_method(&self, user_id: Uuid) -> Result<Option<PaymentMethod>, DbError> {
        self.table.get(&default_method_key(user_id)).await
    }

    /// Makes `method` the user's default.
    pub async fn set_default_method(&self, user_id: Uuid, method: &PaymentMethod) -> Result<(), DbError> {
        self.table.put(&default_method_key(user_id), method).await
    }

    /// [`set_default_method`](Self::set_default_method) within a transaction.
    pub fn default_method_write(
        &self,
        user_id: Uuid,
        method: &PaymentMethod,
    ) -> Result<TransactWriteItem, DbError> {
        self.table.put_write(&default_method_key(user_id), method, "")
    }

    /// Whose payment it is; for admins and webhooks, who know a payment by its id alone.
    pub async fn owner(&self, payment_id: Uuid) -> Result<Option<Uuid>, DbError> {
        let pointer: Option<OwnerPointer> = self.table.get(&owner_key(payment_id)).await?;
        Ok(pointer.map(|pointer| pointer.user_id))
    }

    /// Records the intent; fails where the payment is recorded already.
    pub fn begin_writes(&self, payment: &Payment) -> Result<[TransactWriteItem; 2], DbError> {
        let in_flight = InFlight { intent: payment, in_flight_pk: IN_FLIGHT };
        let owner = OwnerPointer { user_id: payment.user_id };
        let key = payment_key(payment.user_id, payment.id);
        Ok([
            self.table.put_write(&key, &in_flight, "attribute_not_exists(pk)")?,
            self.table.put_write(&owner_key(payment.id), &owner, "attribute_not_exists(pk)")?,
        ])
    }

    /// Records the outcome; fails where one is recorded already.
    pub fn finish_write(&self, finished: &Payment) -> Result<TransactWriteItem, DbError> {
        let key = payment_key(finished.user_id, finished.id);
        self.table.put_write(&key, finished, "attribute_exists(in_flight_pk)")
    }

    /// Takes the lease of `payment`, as it was read, from `now` on; fails where somebody else did so since. None where the
    /// payment is final.
    pub fn take_over_write(
        &self,
        payment: &Payment,
        now: Timestamp,
    ) -> Result<Option<TransactWriteItem>, DbError> {
        self.lease_write(&payment_key(payment.user_id, payment.id), payment.in_flight_since(), now)
    }

    /// Up to `limit` payments whose lease ran out before `now`, the longest untouched first. From an index, so a
    /// payment may be further than it says: [`take_over_write`](Self::take_over_write) tells.
    pub async fn abandoned(&self, now: Timestamp, limit: i32) -> Result<Vec<Payment>, DbError> {
        self.in_flight(IN_FLIGHT, now, limit).await
    }

    /// Begins the lease anew where it still is as it was `seen`.
    fn lease_write(
        &self,
        key: &Key,
        seen: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Option<TransactWriteItem>, DbError> {
        let Some(seen) = seen else { return Ok(None) };
        let write = self.table.update_write(key, |update| {
            update
                .update_expression("SET in_flight_since = :now")
                .condition_expression("in_flight_since = :seen")
                .expression_attribute_values(":now", AttributeValue::S(sortable::text(now)))
                .expression_attribute_values(":seen", AttributeValue::S(sortable::text(seen)))
        })?;
        Ok(Some(write))
    }

    async fn in_flight<T: DeserializeOwned>(
        &self,
        list: &str,
        now: Timestamp,
        limit: i32,
    ) -> Result<Vec<T>, DbError> {
        let before = now.checked_sub(LEASE).unwrap_or(Timestamp::MIN);
        let output = self
            .table
            .client()
            .query()
            .table_name(self.table.name())
            .index_name("in_flight")
            .key_condition_expression("in_flight_pk = :list AND in_flight_since <= :before")
            .expression_attribute_values(":list", AttributeValue::S(list.to_owned()))
            .expression_attribute_values(":before", AttributeValue::S(sortable::text(before)))
            .limit(limit)
            .send()
            .await?;
        let items = output.items.unwrap_or_default();
        items.into_iter().map(from_item).collect()
    }
}

/// What the sort keys of payments begin with.
pub(crate) const PAYMENT: &str = "PAYMENT#";
const IN_FLIGHT: &str = "IN_FLIGHT";

fn partition(user_id: Uuid) -> String {
    format!("USER#{user_id}")
}

fn payment_key(user_id: Uuid, payment_id: Uuid) -> Key {
    Key::new(partition(user_id), format!("{PAYMENT}{payment_id}"))
}

fn owner_key(payment_id: Uuid) -> Key {
    Key::new(format!("{PAYMENT}{payment_id}"), "OWNER")
}

fn default_method_key(user_id: Uuid) -> Key {
    Key::new(partition(user_id), "DEFAULT_METHOD")
}
