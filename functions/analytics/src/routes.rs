//! One file per path.

pub(crate) mod cohorts;
pub(crate) mod events;
pub(crate) mod funnel;
pub(crate) mod summary;
pub(crate) mod timeseries;
pub(crate) mod top_products;
pub(crate) mod users;

#[cfg(test)]
mod tests;
