//! An order as clients see it.

use jiff::Timestamp;
use serde::Serialize;
use shared::money::Money;
use user::model::Label;
use uuid::Uuid;

use crate::model::{HistoryEntry, Line, Order, Shipment, Status};

/// An order without what is only for us: whose it is (the caller's), and which payment is under way.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "Order"))]
pub(crate) struct OrderView {
    id: Uuid,
    status: Status,
    lines: Vec<Line>,
    total: Money,
    /// How much of it was paid back.
    refunded: Money,
    /// Whether the rest of it will be.
    refund_due: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    shipping_address: Option<Label>,
    payment_in_progress: bool,
    /// The payment that paid it.
    #[serde(skip_serializing_if = "Option::is_none")]
    payment_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shipment: Option<Shipment>,
    created_at: Timestamp,
    pay_until: Timestamp,
    history: Vec<HistoryEntry>,
}

impl OrderView {
    /// With who exactly moved it.
    pub(crate) fn for_the_shop(order: Order) -> Self {
        let payment_in_progress = order.payment_in_progress();
        Self {
            id: order.id,
            status: order.status,
            refunded: Money { amount: order.refunded, ..order.total },
            refund_due: order.refund_due(),
            lines: order.lines,
            total: order.total,
            shipping_address: order.shipping_address,
            payment_in_progress,
            payment_id: order.payment_id.filter(|_| !payment_in_progress),
            shipment: order.shipment,
            created_at: order.created_at,
            pay_until: order.pay_until,
            history: order.history,
        }
    }
}

impl From<Order> for OrderView {
    /// For its owner.
    fn from(order: Order) -> Self {
        let view = Self::for_the_shop(order);
        Self { history: for_customers(view.history), ..view }
    }
}

/// A history that does not tell which people work in the shop.
pub(crate) fn for_customers(mut history: Vec<HistoryEntry>) -> Vec<HistoryEntry> {
    for entry in &mut history {
        entry.by_id = None;
    }
    history
}
