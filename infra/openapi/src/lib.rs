//! The description of the API, as it is checked in: what `GET /openapi.json` answers.
//!
//! The tests of this crate make it from the code of the seven services, and say how to renew it.

/// An OpenAPI 3.1 document, JSON.
pub const DOCUMENT: &str = include_str!("../openapi.json");
