//! Access tokens: JWT in the RFC 9068 profile, verified as RFC 8725 asks.

#[cfg(test)]
mod attack_tests;
mod caller;
mod claims;
mod key_source;
mod keys;
mod revocations;
#[cfg(test)]
mod tests;
mod verified;
mod verifier;

pub use caller::Caller;
pub use claims::{Audience, Claims, LIFETIME, TYPE};
pub use key_source::{LoadError, issuer};
pub use keys::{Algorithm, InvalidKeys, KeySet, PublicKey, PublishedKey, VerificationKeys};
pub use revocations::RevocationLog;
pub use verifier::{CLOCK_SKEW, Refused, Verifier};
