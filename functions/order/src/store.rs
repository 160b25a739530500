//! Order's table.
//!
//! | item | pk | sk | |
//! |---|---|---|---|
//! | order | `USER#<user id>` | `ORDER#<order id>` | with its lines and history |
//! | open pointer | `USER#<user id>` | `OPEN#<order id>` | exists while the order awaits payment |
//! | owner pointer | `ORDER#<order id>` | `OWNER` | so that an admin finds an order by its id |
//!
//! Order ids are UUIDv7, so both lists of a user sort by time. Every change of an order is part of a transaction, also
//! where it is the only one: its `ClientRequestToken` makes a repeated call harmless, where a repeated `UpdateItem`
//! would fail on its own success.

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shared::db::{DbError, Key, Table, Transaction, TransactionError};
use shared::page::{Page, PageQuery};
use uuid::Uuid;

use crate::model::{Fulfilment, Order, Status, Transition};

pub(crate) const ORDER: &str = "ORDER#";
const OPEN: &str = "OPEN#";

/// The only way to Order's table.
#[derive(Debug, Clone)]
pub struct OrderStore {
    table: Table,
}

#[derive(Serialize, Deserialize)]
struct OpenPointer {
    order_id: Uuid,
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

    /// One of the user's orders.
    pub async fn order(&self, user_id: Uuid, order_id: Uuid) -> Result<Option<Order>, DbError> {
        self.table.get(&order_key(user_id, order_id)).await
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
        let pointers: Page<OpenPointer> =
            self.table.page(&partition(user_id), OPEN, &PageQuery::default()).await?;
        for pointer in pointers.items {
            let order = self.order(user_id, pointer.order_id).await?;
            // Between the two reads the order may have been paid or cancelled.
            if let Some(order) = order.filter(|order| order.status == Status::PendingPayment) {
                return Ok(Some(order));
            }
        }
        Ok(None)
    }

    /// Writes a new order with its pointers.
    pub fn place_writes(&self, order: &Order) -> Result<[TransactWriteItem; 3], DbError> {
        let absent = "attribute_not_exists(pk)";
        let open = OpenPointer { order_id: order.id };
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
        Ok(vec![self.transition_write(order, &Change::Pay(payment_id), at)?, self.close_write(order)?])
    }

    /// Moves the order to cancelled, in the transaction that returns its stock; fails unless it awaits payment and no
    /// payment is under way.
    pub fn cancel_writes(&self, order: &Order, at: Timestamp) -> Result<[TransactWriteItem; 2], DbError> {
        Ok([self.transition_write(order, &Change::Cancel, at)?, self.close_write(order)?])
    }

    /// Moves a paid order on; [`TransactionError::Cancelled`] where it is not in the state that the move leads out of
    /// any more.
    pub async fn fulfil(
        &self,
        order: &Order,
        step: &Fulfilment,
        at: Timestamp,
    ) -> Result<(), TransactionError> {
        let mut transaction = self.transaction();
        transaction.add(self.transition_write(order, &Change::Fulfil(step), at)?);
        transaction.run().await
    }

    fn transition_write(
        &self,
        order: &Order,
        change: &Change<'_>,
        at: Timestamp,
    ) -> Result<TransactWriteItem, DbError> {
        let transition = change.transition();
        let entry = attribute(&[transition.entry(at)])?;
        let shipment = match change {
            Change::Fulfil(Fulfilment::Ship(shipment)) => Some(attribute(shipment)?),
            _ => None,
        };
        self.table.update_write(&order_key(order.user_id, order.id), |update| {
            let update = update
                .expression_attribute_names("#status", "status")
                .expression_attribute_names("#history", "history")
                .expression_attribute_values(":from", text(transition.from().as_str()))
                .expression_attribute_values(":to", text(transition.to().as_str()))
                .expression_attribute_values(":entry", entry);
            let mut expression = "SET #status = :to, #history = list_append(#history, :entry)".to_owned();
            let update = match shipment {
                None => update,
                Some(shipment) => {
                    expression.push_str(", #shipment = :shipment");
                    update
                        .expression_attribute_names("#shipment", "shipment")
                        .expression_attribute_values(":shipment", shipment)
                }
            };
            let update = update.update_expression(expression);
            match change {
                Change::Pay(payment_id) => update
                    .condition_expression("#status = :from AND #payment_id = :payment_id")
                    .expression_attribute_names("#payment_id", "payment_id")
                    .expression_attribute_values(":payment_id", text(&payment_id)),
                Change::Cancel => update
                    .condition_expression("#status = :from AND attribute_not_exists(#payment_id)")
                    .expression_attribute_names("#payment_id", "payment_id"),
                Change::Fulfil(_) => update.condition_expression("#status = :from"),
            }
        })
    }

    fn close_write(&self, order: &Order) -> Result<TransactWriteItem, DbError> {
        self.table.delete_write(&open_key(order.user_id, order.id), |delete| delete)
    }
}

/// A move with what it writes besides the state.
enum Change<'a> {
    Pay(Uuid),
    Cancel,
    Fulfil(&'a Fulfilment),
}

impl Change<'_> {
    fn transition(&self) -> Transition {
        match self {
            Self::Pay(_) => Transition::Pay,
            Self::Cancel => Transition::Cancel,
            Self::Fulfil(step) => step.transition(),
        }
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

fn owner_key(order_id: Uuid) -> Key {
    Key::new(format!("{ORDER}{order_id}"), "OWNER")
}

fn text(value: &(impl ToString + ?Sized)) -> AttributeValue {
    AttributeValue::S(value.to_string())
}

fn attribute<T: Serialize + ?Sized>(value: &T) -> Result<AttributeValue, DbError> {
    serde_dynamo::to_attribute_value(value).map_err(DbError::Format)
}
