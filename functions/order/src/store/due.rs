//! The index `due`: orders that something has to be done about, the longest due first.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use shared::db::{DbError, Item, from_item, retry_conflicts};
use uuid::Uuid;

use super::{OrderStore, refund_key};
use crate::model::Order;

const UNPAID: &str = "UNPAID";
const REFUND: &str = "REFUND";

/// A pointer to an order, with its place in the index.
#[derive(Serialize, Deserialize)]
pub(super) struct Pointer {
    user_id: Uuid,
    pub(super) order_id: Uuid,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payment_id: Option<Uuid>,
    due_pk: String,
    due_at: String,
}

/// An order whose time to be paid is over; as of a moment ago, for an index lags.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct UnpaidOrder {
    /// Whose it is.
    pub user_id: Uuid,
    /// The order.
    pub order_id: Uuid,
}

/// A cancelled order with something left to pay back; as of a moment ago, for an index lags.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct RefundDue {
    /// Whose it is.
    pub user_id: Uuid,
    /// The order.
    pub order_id: Uuid,
    /// The payment that paid it.
    pub payment_id: Uuid,
    /// Since when, or from when on after it was postponed.
    pub due_at: Timestamp,
}

/// Some of a work list.
#[derive(Debug)]
pub struct DueOrders<T> {
    /// The longest due first.
    pub items: Vec<T>,
    /// What comes after them; none where nothing does.
    pub next: Option<Item>,
}

impl Pointer {
    pub(super) fn open(order: &Order) -> Self {
        Self::new(order, UNPAID, order.pay_until)
    }

    pub(super) fn refund(order: &Order, due_at: Timestamp) -> Self {
        Self { payment_id: order.payment_id, ..Self::new(order, REFUND, due_at) }
    }

    fn new(order: &Order, due_pk: &str, due_at: Timestamp) -> Self {
        Self {
            user_id: order.user_id,
            order_id: order.id,
            payment_id: None,
            due_pk: due_pk.to_owned(),
            due_at: sortable(due_at),
        }
    }
}

impl OrderStore {
    /// Up to `limit` orders that were to be paid by `now`, after those before `start`; a payment may be under way.
    pub async fn unpaid(
        &self,
        now: Timestamp,
        limit: i32,
        start: Option<Item>,
    ) -> Result<DueOrders<UnpaidOrder>, DbError> {
        self.due(UNPAID, now, limit, start).await
    }

    /// Up to `limit` orders whose refund is due at `now`.
    pub async fn refunds_due(&self, now: Timestamp, limit: i32) -> Result<Vec<RefundDue>, DbError> {
        Ok(self.due(REFUND, now, limit, None).await?.items)
    }

    /// Has the refund due at `until`, after a provider could not make it; nothing happens where it is not due any more,
    /// or was postponed by someone else.
    pub async fn postpone_refund(&self, due: &RefundDue, until: Timestamp) -> Result<(), DbError> {
        let postponed = retry_conflicts(|| async {
            let update = self
                .table
                .client()
                .update_item()
                .table_name(self.table.name())
                .set_key(Some(refund_key(due.user_id, due.order_id).attributes()))
                .update_expression("SET due_at = :until")
                .condition_expression("due_at = :seen")
                .expression_attribute_values(":until", AttributeValue::S(sortable(until)))
                .expression_attribute_values(":seen", AttributeValue::S(sortable(due.due_at)));
            update.send().await?;
            Ok(())
        });
        match postponed.await {
            Err(DbError::ConditionFailed) => Ok(()),
            outcome => outcome,
        }
    }

    async fn due<T: DeserializeOwned>(
        &self,
        list: &str,
        now: Timestamp,
        limit: i32,
        start: Option<Item>,
    ) -> Result<DueOrders<T>, DbError> {
        let output = self
            .table
            .client()
            .query()
            .table_name(self.table.name())
            .index_name("due")
            .key_condition_expression("due_pk = :list AND due_at <= :now")
            .expression_attribute_values(":list", AttributeValue::S(list.to_owned()))
            .expression_attribute_values(":now", AttributeValue::S(sortable(now)))
            .set_exclusive_start_key(start)
            .limit(limit)
            .send()
            .await?;
        let items = output.items.unwrap_or_default();
        let items = items.into_iter().map(from_item).collect::<Result<_, _>>()?;
        Ok(DueOrders { items, next: output.last_evaluated_key })
    }
}

/// A time as text that sorts: RFC 3339 with milliseconds.
fn sortable(at: Timestamp) -> String {
    format!("{at:.3}")
}
