//! Makes events of what happens to orders, as the stream of the order table tells it.

use jiff::Timestamp;
use order::events::{Kind, OrderEvent};

use crate::model::{Event, EventName, Sold};

/// An order's event as Analytics stores it.
pub(super) fn reported(event: &OrderEvent, now: Timestamp) -> Event {
    let (order, paid) = (&event.order, event.kind == Kind::Paid);
    let sold = order.lines.iter().map(|line| Sold {
        product_id: line.product_id.clone(),
        quantity: line.quantity,
        total: line.total,
    });
    Event {
        id: event.id.clone(),
        name: EventName::of_order(event.kind),
        // The time of the event itself: a late delivery counts on the day when it happened.
        at: event.at,
        received_at: now,
        user_id: Some(order.user_id),
        anonymous_id: None,
        device: None,
        order_id: Some(order.id),
        revenue: paid.then_some(order.total),
        refund: event.refund,
        lines: if paid { sold.collect() } else { Vec::new() },
        product_id: None,
        properties: None,
        trace: order.trace,
    }
}
