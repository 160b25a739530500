//! Payment's table.
//!
//! | item | pk | sk |
//! |---|---|---|
//! | payment | `USER#<user id>` | `PAYMENT#<payment id>` |
//! | default payment method | `USER#<user id>` | `DEFAULT_METHOD` |
//! | the built-in provider's book | see [`crate::provider::TestProvider`] | |
//!
//! A payment that is being processed, and only such a one, has `in_flight_pk` and `in_flight_since`, and so is in the
//! sparse index `in_flight`: the reconciler's work list, the longest untouched first. Conditions ask for that attribute.

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use jiff::Timestamp;
use serde::Serialize;
use shared::db::{DbError, Key, Table, Transaction, TransactionError, from_item, to_item};
use shared::page::{Page, PageQuery};
use uuid::Uuid;

use crate::model::{LEASE, Payment, PaymentMethod, Progress, sortable};

/// The only way to Payment's table.
#[derive(Debug, Clone)]
pub struct PaymentStore {
    table: Table,
}

/// A payment with the index's partition key.
#[derive(Serialize)]
struct InFlight<'a> {
    #[serde(flatten)]
    payment: &'a Payment,
    in_flight_pk: &'static str,
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
        self.table.get(&payment_key(user_id, payment_id)).await
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
        let put = Put::builder()
            .table_name(self.table.name())
            .set_item(Some(to_item(&default_method_key(user_id), method)?))
            .build()
            .map_err(|error: BuildError| DbError::Refused(error.into()))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// Records the intent; fails where the payment is recorded already.
    pub fn begin_write(&self, payment: &Payment) -> Result<TransactWriteItem, DbError> {
        let payment_in_flight = InFlight { payment, in_flight_pk: IN_FLIGHT };
        let key = payment_key(payment.user_id, payment.id);
        self.table.put_write(&key, &payment_in_flight, "attribute_not_exists(pk)")
    }

    /// Records the outcome; fails where one is recorded already.
    pub fn finish_write(&self, finished: &Payment) -> Result<TransactWriteItem, DbError> {
        let key = payment_key(finished.user_id, finished.id);
        self.table.put_write(&key, finished, "attribute_exists(in_flight_pk)")
    }

    /// Takes the lease of `payment`, as it was read, from `now` on; none where somebody else did so since, or the
    /// payment is final.
    pub async fn take_over(&self, payment: Payment, now: Timestamp) -> Result<Option<Payment>, DbError> {
        let Progress::Processing { in_flight_since } = payment.progress else {
            return Ok(None);
        };
        // A transaction, for its `ClientRequestToken`: an update whose answer got lost would fail on its own success.
        let mut transaction = self.transaction();
        let key = payment_key(payment.user_id, payment.id);
        transaction.add(self.table.update_write(&key, |update| {
            update
                .update_expression("SET in_flight_since = :now")
                .condition_expression("in_flight_since = :seen")
                .expression_attribute_values(":now", AttributeValue::S(sortable::text(now)))
                .expression_attribute_values(":seen", AttributeValue::S(sortable::text(in_flight_since)))
        })?);
        match transaction.run().await {
            Ok(()) => {
                Ok(Some(Payment { progress: Progress::Processing { in_flight_since: now }, ..payment }))
            }
            Err(TransactionError::Cancelled(_)) => Ok(None),
            Err(TransactionError::Db(error)) => Err(error),
        }
    }

    /// Up to `limit` payments whose lease ran out before `now`, the longest untouched first. From an index, so a
    /// payment may be further than it says: [`take_over`](Self::take_over) tells.
    pub async fn abandoned(&self, now: Timestamp, limit: i32) -> Result<Vec<Payment>, DbError> {
        let before = now.checked_sub(LEASE).unwrap_or(Timestamp::MIN);
        let output = self
            .table
            .client()
            .query()
            .table_name(self.table.name())
            .index_name("in_flight")
            .key_condition_expression("in_flight_pk = :pk AND in_flight_since <= :before")
            .expression_attribute_values(":pk", AttributeValue::S(IN_FLIGHT.to_owned()))
            .expression_attribute_values(":before", AttributeValue::S(sortable::text(before)))
            .limit(limit)
            .send()
            .await?;
        let items = output.items.unwrap_or_default();
        items.into_iter().map(from_item).collect()
    }
}

const PAYMENT: &str = "PAYMENT#";
const IN_FLIGHT: &str = "IN_FLIGHT";

fn partition(user_id: Uuid) -> String {
    format!("USER#{user_id}")
}

fn payment_key(user_id: Uuid, payment_id: Uuid) -> Key {
    Key::new(partition(user_id), format!("{PAYMENT}{payment_id}"))
}

fn default_method_key(user_id: Uuid) -> Key {
    Key::new(partition(user_id), "DEFAULT_METHOD")
}
