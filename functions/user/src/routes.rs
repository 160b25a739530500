//! One file per path.

pub(crate) mod address;
pub(crate) mod addresses;
pub(crate) mod profile;

#[cfg(test)]
pub(crate) mod testing;
