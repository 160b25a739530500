//! A payment as its payer sees it.

use jiff::Timestamp;
use serde::Serialize;
use shared::money::Money;
use uuid::Uuid;

use crate::model::{DeclineReason, Payment, Progress};

/// A payment, paid or not.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "Payment"))]
pub(crate) struct Receipt {
    payment_id: Uuid,
    order_id: Uuid,
    #[cfg_attr(feature = "openapi", schemars(extend("enum" = ["PROCESSING", "SUCCEEDED", "DECLINED"])))]
    status: &'static str,
    amount: Money,
    /// What went back of it.
    refunded: Money,
    payment_method: Card,
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    paid_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    decline_reason: Option<DeclineReason>,
}

/// Enough for people to recognise the card.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
struct Card {
    brand: String,
    #[cfg_attr(feature = "openapi", schemars(extend("pattern" = "^[0-9]{4}$")))]
    last4: String,
}

impl From<Payment> for Receipt {
    fn from(payment: Payment) -> Self {
        let (status, paid_at, decline_reason) = match payment.progress {
            Progress::Processing { .. } => ("PROCESSING", None, None),
            Progress::Succeeded { paid_at, .. } => ("SUCCEEDED", Some(paid_at), None),
            Progress::Declined { decline_reason, .. } => ("DECLINED", None, Some(decline_reason)),
        };
        Self {
            payment_id: payment.id,
            order_id: payment.order_id,
            status,
            amount: payment.amount,
            refunded: Money { amount: payment.refunded, ..payment.amount },
            payment_method: Card { brand: payment.method.brand, last4: payment.method.last4 },
            created_at: payment.created_at,
            paid_at,
            decline_reason,
        }
    }
}
