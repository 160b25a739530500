//! One file per path; but `POST /orders` is in `place`, and the three steps of the shop are together in `fulfil`.

pub(crate) mod cancel;
pub(crate) mod fulfil;
pub(crate) mod order;
pub(crate) mod orders;
pub(crate) mod place;
pub(crate) mod tracking;

pub(crate) mod view;

#[cfg(test)]
mod cost_tests;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod trace_tests;

use shared::problem::Problem;

use crate::ending::EndError;
use crate::model::{Illegal, Status};
use serde_json::json;

/// How often a write is tried when what it builds on has changed since it was read.
const ATTEMPTS: u32 = 5;

/// The same for an order that does not exist and for another user's.
fn no_order() -> Problem {
    Problem::not_found("There is no such order")
}

impl From<Illegal> for Problem {
    fn from(illegal: Illegal) -> Self {
        let refused =
            Self::conflict("illegal-transition", "The order's state does not allow it", illegal.to_string());
        match illegal {
            Illegal::State { from, .. } => refused.with("order_status", from.as_str()),
            Illegal::PaymentInProgress { .. } => refused
                .with("order_status", Status::PendingPayment.as_str())
                .with("payment_in_progress", true),
            Illegal::Amount { left } => Self::conflict(
                "refund-exceeds-payment",
                "There is not that much to refund",
                illegal.to_string(),
            )
            .with("left", json!(left)),
        }
    }
}

impl From<EndError> for Problem {
    fn from(error: EndError) -> Self {
        match error {
            EndError::NoOrder => no_order(),
            EndError::Illegal(illegal) => illegal.into(),
            EndError::Contended => Self::unavailable(1),
            EndError::Db(error) => error.into(),
        }
    }
}
