//! One file per path; but `POST /orders` is in `place`, and the three steps of the shop are together in `fulfil`.

pub(crate) mod cancel;
pub(crate) mod fulfil;
pub(crate) mod order;
pub(crate) mod orders;
pub(crate) mod place;
pub(crate) mod tracking;

mod view;

#[cfg(test)]
mod testing;

use shared::problem::Problem;

use crate::model::{Illegal, Status};

/// How often a write is tried when what it builds on has changed since it was read.
const ATTEMPTS: u32 = 5;

/// The same for an order that does not exist and for another user's.
fn no_order() -> Problem {
    Problem::not_found("There is no such order")
}

impl From<Illegal> for Problem {
    fn from(illegal: Illegal) -> Self {
        let problem =
            Self::conflict("illegal-transition", "The order's state does not allow it", illegal.to_string());
        match illegal {
            Illegal::State { from, .. } => problem.with("order_status", from.as_str()),
            Illegal::PaymentInProgress { .. } => problem
                .with("order_status", Status::PendingPayment.as_str())
                .with("payment_in_progress", true),
        }
    }
}
