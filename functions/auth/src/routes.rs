//! One file per path.

pub(crate) mod email_verification;
pub(crate) mod email_verify;
pub(crate) mod health;
pub(crate) mod introspect;
pub(crate) mod jwks;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod logout_all;
pub(crate) mod metadata;
pub(crate) mod openapi_json;
pub(crate) mod password_change;
pub(crate) mod password_forgot;
pub(crate) mod password_reset;
pub(crate) mod refresh;
pub(crate) mod register;
pub(crate) mod revoke;
pub(crate) mod session;
pub(crate) mod sessions;
pub(crate) mod token;
pub(crate) mod totp;
