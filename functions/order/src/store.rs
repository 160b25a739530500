//! Order's table.
//!
//! | item | pk | sk | |
//! |---|---|---|---|
//! | order | `USER#<user id>` | `ORDER#<order id>` | with its lines and history |
//! | open pointer | `USER#<user id>` | `OPEN#<order id>` | exists while the order awaits payment |
//! | refund pointer | `USER#<user id>` | `REFUND#<order id>` | exists while a refund is due: cancelled after it was paid |
//! | owner pointer | `ORDER#<order id>` | `OWNER` | so that an admin finds an order by its id |
//! | answer to an `Idempotency-Key` | see [`shared::idempotency`] | | |
//!
//! Open and refund pointers, and they alone, are in the sparse index `due`, the work lists of `order-expiry` and of
//! payment's reconciler: `due_pk` is `UNPAID` or `REFUND`, `due_at` when there is something to do.
//!
//! Order ids are UUIDv7, so the lists of a user sort by time. Every change of an order is part of a transaction, also
//! where it is the only one: its `ClientRequestToken` makes a repeated call harmless, where a repeated `UpdateItem`
//! would fail on its own success.

mod due;

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shared::db::{DbError, Key, Table, Transaction, TransactionError};
use shared::page::{Limit, Page, PageQuery};
use shared::trace;
use uuid::Uuid;

pub use due::{DueOrders, RefundDue, UnpaidOrder};

use crate::model::{Act, Actor, Illegal, Order, Refunded, Status, Transition};
use due::Pointer;

pub(crate) const ORDER: &str = "ORDER#";
const OPEN: &str = "OPEN#";
const REFUND: &str = "REFUND#";

/// The only way to Order's table.
#[derive(Debug, Clone)]
pub struct OrderStore {
    table: Table,
}

#[derive(Serialize, Deserialize)]
struct OwnerPointer {
    user_id: Uuid,
}

impl OrderStore {
    /// The store over `table`.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// The table, for readiness probes.
    pub fn table(&self) -> Table {
        self.table.clone()
    }

    /// An empty transaction.
    pub fn transaction(&self) -> Transaction {
        Transaction::new(self.table.client())
    }

    /// One of the user's orders. From then on, what runs is about it ([`trace::is_about_order`]).
    pub async fn order(&self, user_id: Uuid, order_id: Uuid) -> Result<Option<Order>, DbError> {
        let order: Option<Order> = self.table.get(&order_key(user_id, order_id)).await?;
        Ok(order.inspect(|order| trace::is_about_order(order.trace)))
    }

    /// Whose order it is; for admins, who know an order by its id alone.
    pub async fn owner(&self, order_id: Uuid) -> Result<Option<Uuid>, DbError> {
        let pointer: Option<OwnerPointer> = self.table.get(&owner_key(order_id)).await?;
        Ok(pointer.map(|pointer| pointer.user_id))
    }

    /// The user's orders, newest first.
    pub async fn orders(&self, user_id: Uuid, page: &PageQuery) -> Result<Page<Order>, DbError> {
        self.table.page(&partition(user_id), ORDER, page).await
    }

    /// The newest of the user's orders that awaits payment; a payment for it may be under way.
    pub async fn newest_open(&self, user_id: Uuid) -> Result<Option<Order>, DbError> {
        // One by one: the first is nearly always the answer, and what a client owes costs the same however many there are.
        let mut next = PageQuery { limit: Limit::ONE, cursor: None };
        loop {
            let pointers: Page<Pointer> = self.table.page(&partition(user_id), OPEN, &next).await?;
            for pointer in pointers.items {
                let order = self.order(user_id, pointer.order_id).await?;
                // Between the two reads the order may have left the state.
                if let Some(order) = order.filter(|order| order.status == Status::PendingPayment) {
                    return Ok(Some(order));
                }
            }
            if pointers.next_cursor.is_none() {
                return Ok(None);
            }
            next.cursor = pointers.next_cursor;
        }
    }

    /// Writes a new order with its pointers.
    pub fn place_writes(&self, order: &Order) -> Result<[TransactWriteItem; 3], DbError> {
        let absent = "attribute_not_exists(pk)";
        let open = Pointer::open(order);
        let owner = OwnerPointer { user_id: order.user_id };
        Ok([
            self.table.put_write(&order_key(order.user_id, order.id), order, absent)?,
            self.table.put_write(&open_key(order.user_id, order.id), &open, absent)?,
            self.table.put_write(&owner_key(order.id), &owner, absent)?,
        ])
    }

    /// Marks the order as being paid by `payment_id`; fails unless it awaits payment and no payment is under way.
    pub fn begin_payment_write(&self, order: &Order, payment_id: Uuid) -> Result<TransactWriteItem, DbError> {
        self.mark_write(
            order,
            payment_id,
            "SET #payment_id = :payment_id",
            "attribute_not_exists(#payment_id)",
        )
    }

    /// Takes the mark of [`begin_payment_write`](Self::begin_payment_write) off again, after a payment that failed;
    /// fails unless that very payment is the one under way.
    pub fn release_payment_write(
        &self,
        order: &Order,
        payment_id: Uuid,
    ) -> Result<TransactWriteItem, DbError> {
        self.mark_write(order, payment_id, "REMOVE #payment_id", "#payment_id = :payment_id")
    }

    fn mark_write(
        &self,
        order: &Order,
        payment_id: Uuid,
        expression: &str,
        mark: &str,
    ) -> Result<TransactWriteItem, DbError> {
        self.table.update_write(&order_key(order.user_id, order.id), |update| {
            update
                .update_expression(expression)
                .condition_expression(format!("#status = :pending AND {mark}"))
                .expression_attribute_names("#status", "status")
                .expression_attribute_names("#payment_id", "payment_id")
                .expression_attribute_values(":pending", text(Status::PendingPayment.as_str()))
                .expression_attribute_values(":payment_id", text(&payment_id))
        })
    }

    /// Moves the order to paid by `payment_id`, in the transaction that records the payment; fails unless that very
    /// payment is the one under way. The mark stays, as the id of the payment that paid it.
    pub fn mark_paid_writes(
        &self,
        order: &Order,
        payment_id: Uuid,
        at: Timestamp,
    ) -> Result<Vec<TransactWriteItem>, DbError> {
        // Whatever the order was when it was read: this is what it has to be.
        let being_paid =
            Order { status: Status::PendingPayment, payment_id: Some(payment_id), ..order.clone() };
        let paid = being_paid.clone().moved(Transition::Pay, Act::of(Actor::Payment, at)).map_err(bug)?;
        Ok(vec![self.move_write(&being_paid, &paid)?, self.close_write(order)?])
    }

    /// Makes of the order what `ended` is, cancelled or expired, in the transaction that returns its stock; fails where
    /// the order has changed since it was read. Where it was paid, a refund is due from then on.
    pub fn end_writes(&self, order: &Order, ended: &Order) -> Result<[TransactWriteItem; 2], DbError> {
        let pointer = match (ended.refund_due(), ended.history.last()) {
            (true, Some(entry)) => {
                let key = refund_key(order.user_id, order.id);
                let due = Pointer::refund(ended, entry.at);
                self.table.put_write(&key, &due, "attribute_not_exists(pk)")?
            }
            _ => self.close_write(order)?,
        };
        Ok([self.move_write(order, ended)?, pointer])
    }

    /// Makes of the order what `fulfilled` is, one step of the shop's further; [`TransactionError::Cancelled`] where it
    /// has changed since it was read.
    pub async fn fulfil(&self, order: &Order, fulfilled: &Order) -> Result<(), TransactionError> {
        let mut transaction = self.transaction();
        transaction.add(self.move_write(order, fulfilled)?);
        transaction.run().await
    }

    /// Records a refund, in the transaction that records it as paid out; fails where the order has changed since it was
    /// read: read it again. With the last of what was paid, the order is refunded and no refund due any more. A refund
    /// that the order does not allow ([`Order::refunded`]) is [`DbError::Refused`].
    pub fn refund_writes(
        &self,
        order: &Order,
        refunded: &Refunded,
        at: Timestamp,
    ) -> Result<Vec<TransactWriteItem>, DbError> {
        let after = order.clone().refunded(refunded, at).map_err(bug)?;
        let mut writes = vec![self.move_write(order, &after)?];
        if order.refund_due() && !after.refund_due() {
            writes.push(self.table.delete_write(&refund_key(order.user_id, order.id), |delete| delete)?);
        }
        Ok(writes)
    }

    /// Makes of the order what `after` is; fails unless its state, its payment and what was refunded are as in `before`.
    fn move_write(&self, before: &Order, after: &Order) -> Result<TransactWriteItem, DbError> {
        let entries = after.history.get(before.history.len()..).unwrap_or_default();
        let entries = attribute(entries)?;
        let shipment = after.shipment.as_ref().map(attribute).transpose()?;
        self.table.update_write(&order_key(before.user_id, before.id), |update| {
            let mut set = "SET #status = :to, #history = list_append(#history, :entries)".to_owned();
            let mut condition = "#status = :from".to_owned();
            let mut update = update
                .expression_attribute_names("#status", "status")
                .expression_attribute_names("#history", "history")
                .expression_attribute_names("#payment_id", "payment_id")
                .expression_attribute_names("#refunded", "refunded")
                .expression_attribute_values(":from", text(before.status.as_str()))
                .expression_attribute_values(":to", text(after.status.as_str()))
                .expression_attribute_values(":entries", entries);
            match before.payment_id {
                None => condition.push_str(" AND attribute_not_exists(#payment_id)"),
                Some(payment_id) => {
                    condition.push_str(" AND #payment_id = :payment_id");
                    update = update.expression_attribute_values(":payment_id", text(&payment_id));
                }
            }
            if before.refunded == 0 {
                condition.push_str(" AND attribute_not_exists(#refunded)");
            } else {
                condition.push_str(" AND #refunded = :refunded");
                update = update.expression_attribute_values(":refunded", number(before.refunded));
            }
            if after.refunded != before.refunded {
                set.push_str(", #refunded = :sum");
                update = update.expression_attribute_values(":sum", number(after.refunded));
            }
            if let Some(shipment) = shipment.filter(|_| before.shipment.is_none()) {
                set.push_str(", #shipment = :shipment");
                update = update
                    .expression_attribute_names("#shipment", "shipment")
                    .expression_attribute_values(":shipment", shipment);
            }
            update.update_expression(set).condition_expression(condition)
        })
    }

    fn close_write(&self, order: &Order) -> Result<TransactWriteItem, DbError> {
        self.table.delete_write(&open_key(order.user_id, order.id), |delete| delete)
    }
}

fn partition(user_id: Uuid) -> String {
    format!("USER#{user_id}")
}

fn order_key(user_id: Uuid, order_id: Uuid) -> Key {
    Key::new(partition(user_id), format!("{ORDER}{order_id}"))
}

fn open_key(user_id: Uuid, order_id: Uuid) -> Key {
    Key::new(partition(user_id), format!("{OPEN}{order_id}"))
}

fn refund_key(user_id: Uuid, order_id: Uuid) -> Key {
    Key::new(partition(user_id), format!("{REFUND}{order_id}"))
}

fn owner_key(order_id: Uuid) -> Key {
    Key::new(format!("{ORDER}{order_id}"), "OWNER")
}

fn text(value: &(impl ToString + ?Sized)) -> AttributeValue {
    AttributeValue::S(value.to_string())
}

fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// What the caller should not have asked for.
fn bug(illegal: Illegal) -> DbError {
    DbError::Refused(illegal.into())
}

fn attribute<T: Serialize + ?Sized>(value: &T) -> Result<AttributeValue, DbError> {
    serde_dynamo::to_attribute_value(value).map_err(DbError::Format)
}

#[cfg(test)]
mod tests;
