//! The description of the API (OpenAPI 3.1), made from the code; never part of a released function.
//!
//! What a route takes and answers follows from the types of its handler ([`Described`]), and who may call it from its
//! declaration. A service adds in its own `openapi.rs` what types do not say: a name and a summary, an example, the
//! statuses of success, and the problems that are its own.

mod document;
mod extractors;
mod handler;
mod operation;
mod schemas;

pub use document::{Document, ServiceDescription};
pub use handler::{Answered, Described, Extracted};
pub use operation::Operation;
pub use schemas::Schemas;
