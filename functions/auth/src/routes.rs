//! One file per path.

pub(crate) mod health;
pub(crate) mod jwks;
pub(crate) mod login;
pub(crate) mod openid_configuration;
pub(crate) mod register;
