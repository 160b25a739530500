//! What all seven functions share, so that each of them is only its own domain.
//!
//! A request passes, from the outside in: [`run`] (the Lambda runtime), [`http`] (request id, log line, panics,
//! size limit), [`routes`] (who may call), [`token`] (the one verifier), then the handler, which answers a value or
//! a [`problem::Problem`], and reaches its table through [`db`].

pub mod aws;
pub mod clock;
pub mod config;
pub mod db;
pub mod http;
pub mod id;
pub mod idempotency;
pub mod json;
pub mod mail;
pub mod metrics;
pub mod money;
pub mod oauth;
#[cfg(feature = "openapi")]
pub mod openapi;
pub mod page;
pub mod paths;
pub mod problem;
pub mod readiness;
pub mod refreshed;
pub mod routes;
pub mod run;
pub mod secret;
pub mod sending;
pub mod stream;
pub mod telemetry;
pub mod text;
pub mod token;
pub mod trace;

#[cfg(feature = "testing")]
pub mod testing;
