//! What others react to: how each payment ended, read from the table's stream. What became of the order, refunds included, is
//! for [`order::events`] to tell.

use aws_lambda_events::event::dynamodb::EventRecord;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shared::money::Money;
pub use shared::stream::Unreadable;
use shared::stream::images;
use shared::trace::Trace;
use uuid::Uuid;

use crate::model::{DeclineReason, Payment, Progress};
use crate::store::PAYMENT;

/// The form of [`PaymentEvent`]: one more with each change that an older reader would get wrong.
pub const VERSION: u32 = 1;

/// A payment ended. Delivered at least once: [`id`](Self::id) tells what was seen before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentEvent {
    /// Of this form of events: [`VERSION`].
    pub version: u32,
    /// The same at every delivery: `<payment id>:<STATUS>`, for a payment ends once.
    pub id: String,
    /// How it ended.
    pub kind: Kind,
    /// When it ended.
    pub at: Timestamp,
    /// The payment.
    pub payment_id: Uuid,
    /// The order that was to be paid.
    pub order_id: Uuid,
    /// Who was to pay.
    pub user_id: Uuid,
    /// What was to be paid.
    pub amount: Money,
    /// The order's trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<Trace>,
}

/// How a payment ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "type", content = "reason")]
pub enum Kind {
    /// Charged, once.
    Succeeded,
    /// Not charged, for this reason.
    Declined(DeclineReason),
}

/// What happened between two images of a payment.
pub fn event(old: Option<&Payment>, new: &Payment) -> Option<PaymentEvent> {
    let (status, kind, at) = ending(&new.progress)?;
    if old.is_some_and(|old| ending(&old.progress).is_some()) {
        return None;
    }
    Some(PaymentEvent {
        version: VERSION,
        id: format!("{}:{status}", new.id),
        kind,
        at,
        payment_id: new.id,
        order_id: new.order_id,
        user_id: new.user_id,
        amount: new.amount,
        trace: new.trace,
    })
}

fn ending(progress: &Progress) -> Option<(&'static str, Kind, Timestamp)> {
    match progress {
        Progress::Processing { .. } => None,
        Progress::Succeeded { paid_at, .. } => Some(("SUCCEEDED", Kind::Succeeded, *paid_at)),
        Progress::Declined { declined_at, decline_reason } => {
            Some(("DECLINED", Kind::Declined(*decline_reason), *declined_at))
        }
    }
}

/// The event of one record of the payment table's stream; none for whatever else is in the table, for a change that ends no
/// payment, and for a deletion.
pub fn from_record(record: &EventRecord) -> Result<Option<PaymentEvent>, Unreadable> {
    let images = images::<Payment>(record, PAYMENT)?;
    Ok(images.and_then(|(old, new)| event(old.as_ref(), &new)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::db::Key;
    use shared::testing::record;

    use super::*;
    use crate::model::PaymentMethod;

    fn payment(progress: Progress) -> Payment {
        Payment {
            id: Uuid::from_u128(5),
            user_id: Uuid::from_u128(1),
            order_id: Uuid::from_u128(7),
            amount: Money::new(1999, "EUR".parse().unwrap()),
            method: serde_json::from_value::<PaymentMethod>(
                json!({ "brand": "visa", "last4": "4242", "token": "pm_card_visa" }),
            )
            .unwrap(),
            save_method: false,
            created_at: at(0),
            refunded: 0,
            refund_reserved: 0,
            trace: None,
            progress,
        }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_767_225_600 + second).unwrap()
    }

    fn processing() -> Payment {
        payment(Progress::Processing { in_flight_since: at(0) })
    }

    fn succeeded() -> Payment {
        payment(Progress::Succeeded { paid_at: at(2), charge_id: "ch_1".to_owned() })
    }

    fn key() -> Key {
        Key::new("USER#1", format!("{PAYMENT}{}", Uuid::from_u128(5)))
    }

    #[test]
    fn a_payment_ends_once_with_what_it_was_about() {
        let placed = from_record(&record(&key(), None, Some(&processing()), 1)).unwrap();
        assert_eq!(placed, None);
        let ended =
            from_record(&record(&key(), Some(&processing()), Some(&succeeded()), 2)).unwrap().unwrap();
        assert_eq!(
            serde_json::to_value(&ended).unwrap(),
            json!({
                "version": 1,
                "id": format!("{}:SUCCEEDED", Uuid::from_u128(5)),
                "kind": { "type": "succeeded" },
                "at": "2026-01-01T00:00:02Z",
                "payment_id": Uuid::from_u128(5),
                "order_id": Uuid::from_u128(7),
                "user_id": Uuid::from_u128(1),
                "amount": { "amount": 1999, "currency": "EUR" },
            })
        );
        let refunded = Payment { refunded: 500, refund_reserved: 500, ..succeeded() };
        assert_eq!(from_record(&record(&key(), Some(&succeeded()), Some(&refunded), 3)).unwrap(), None);
        assert_eq!(from_record(&record(&key(), Some(&refunded), None::<&Payment>, 4)).unwrap(), None);
        // Both images may be those of before and after several changes: an end is told all the same.
        assert_eq!(from_record(&record(&key(), None, Some(&succeeded()), 5)).unwrap(), Some(ended));
    }

    #[test]
    fn what_else_is_in_the_table_is_nobodys_event_and_what_cannot_be_read_is_an_error() {
        for sk in ["DEFAULT_METHOD", "OWNER", "REFUND#1#2"] {
            let other = record(&Key::new("USER#1", sk), None, Some(&json!({ "x": 1 })), 1);
            assert_eq!(from_record(&other).unwrap(), None, "{sk}");
        }
        let poison = record(&key(), None, Some(&json!({ "status": "?" })), 1);
        assert!(matches!(from_record(&poison), Err(Unreadable::Image(_))));
    }
}
