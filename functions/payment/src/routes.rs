//! One file per path.

pub(crate) mod pay;
pub(crate) mod payment;
pub(crate) mod payments;
pub(crate) mod receipt;
pub(crate) mod refund;
pub(crate) mod stripe_webhook;
