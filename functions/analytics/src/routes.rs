//! One file per path.

pub(crate) mod events;
pub(crate) mod summary;
pub(crate) mod users;
