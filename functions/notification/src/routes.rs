//! One file per path.

pub(crate) mod notifications;
pub(crate) mod preferences;
pub(crate) mod read;
pub(crate) mod unsubscribe;
