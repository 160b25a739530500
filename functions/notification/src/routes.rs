//! One file per path.

pub(crate) mod notifications;
pub(crate) mod preferences;
