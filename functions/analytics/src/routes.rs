//! One file per path.

pub(crate) mod dashboard;
pub(crate) mod events;
pub(crate) mod summary;
