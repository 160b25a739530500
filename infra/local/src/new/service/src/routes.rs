//! One file per path.

pub(crate) mod entry;
pub(crate) mod list;

#[cfg(test)]
pub(crate) mod testing;
