//! Makes events of how payments end, as the stream of the payment table tells it.

use jiff::Timestamp;
use payment::events::{Kind, PaymentEvent};

use crate::model::{Event, EventName};

/// A payment's event as Analytics stores it. Nothing is earned by it here: what is earned is the order's to tell, once.
pub(super) fn reported(event: &PaymentEvent, now: Timestamp) -> Event {
    let reason = match event.kind {
        Kind::Succeeded => None,
        Kind::Declined(reason) => Some(serde_json::json!({ "reason": reason }).to_string()),
    };
    Event {
        id: event.id.clone(),
        name: EventName::of_payment(event.kind),
        at: event.at,
        received_at: now,
        user_id: Some(event.user_id),
        anonymous_id: None,
        device: None,
        order_id: Some(event.order_id),
        revenue: None,
        refund: None,
        lines: Vec::new(),
        product_id: None,
        properties: reason,
        trace: event.trace,
    }
}
