//! What measuring a Lambda function takes: the Runtime API that it asks for events ([`sandbox`]), the HTTP that both speak
//! ([`http`]), and figures ([`statistics`]).
//!
//! The benchmark itself is in `benches/lambda`, the functions that it compares ours with in `examples` (Rust) and `yardsticks`.

pub mod http;
pub mod sandbox;
pub mod statistics;
