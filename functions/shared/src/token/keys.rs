//! The published keys: a JWKS (RFC 7517) and whose it is.

mod public_key;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod wycheproof;

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub(super) use public_key::Key;
pub use public_key::{Algorithm, PublicKey, PublishedKey};

use super::verified::VerifiedTokens;
use crate::json;

/// The members of private and symmetric keys (RFC 7518 §6.2.2, §6.3.2, §6.4.1). A key that has one is not for publishing.
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// The content of the verification-keys secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VerificationKeys {
    /// `iss` of every token: the public base URL of Auth.
    pub issuer: String,
    /// `aud` of every token: our API.
    pub audience: String,
    /// The public keys, of which at least one.
    pub keys: Vec<PublishedKey>,
}

/// The same, with its keys unread.
#[derive(Deserialize)]
struct Document {
    issuer: String,
    audience: String,
    keys: Vec<Value>,
}

/// The keys, parsed and ready to verify with.
#[derive(Debug)]
pub struct KeySet {
    pub(super) document: VerificationKeys,
    keys: HashMap<String, Key>,
    /// What they have verified.
    pub(super) verified: VerifiedTokens,
}

/// Why a set of keys cannot be used; never holds key material.
#[derive(Debug, thiserror::Error)]
pub enum InvalidKeys {
    /// The text is not the JSON document that it should be.
    #[error("not a JSON object with issuer, audience and keys, each named once")]
    NotJson,
    /// The issuer or the audience is empty.
    #[error("issuer and audience must not be empty")]
    NoIssuer,
    /// There is no key at all.
    #[error("it holds no key")]
    Empty,
    /// Two keys with one id.
    #[error("key number {0} is there twice")]
    Duplicate(usize),
    /// A key is not one to verify our tokens with.
    #[error("key number {place}: {reason}")]
    Key {
        /// Its place in the list, from 1. Not its `kid`, which may be anything that somebody pasted there.
        place: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl KeySet {
    /// Reads the content of the verification-keys secret.
    pub fn parse(text: &str) -> Result<Self, InvalidKeys> {
        // serde's messages could quote the content: here and below they are dropped.
        let Document { issuer, audience, keys } =
            json::strict_object(text.as_bytes()).map_err(|_| InvalidKeys::NotJson)?;
        let key = |(place, key): (usize, Value)| {
            let refused = |reason| InvalidKeys::Key { place: place + 1, reason };
            if PRIVATE_MEMBERS.iter().any(|member| key.get(member).is_some()) {
                return Err(refused("it holds private members; only its public half belongs here"));
            }
            let reason = "kty, alg, use and kid, and n and e (RSA) or crv, x and y (EC), are not all there, or \
                          alg is none of RS256, PS256 and ES256";
            serde_json::from_value(key).map_err(|_| refused(reason))
        };
        let keys = keys.into_iter().enumerate().map(key).collect::<Result<_, _>>()?;
        Self::new(VerificationKeys { issuer, audience, keys })
    }

    /// Checks and prepares the keys of `document`.
    pub fn new(document: VerificationKeys) -> Result<Self, InvalidKeys> {
        if document.issuer.is_empty() || document.audience.is_empty() {
            return Err(InvalidKeys::NoIssuer);
        }
        if document.keys.is_empty() {
            return Err(InvalidKeys::Empty);
        }
        let mut keys = HashMap::new();
        for (place, published) in document.keys.iter().enumerate() {
            let place = place + 1;
            let key = published.parse().map_err(|reason| InvalidKeys::Key { place, reason })?;
            if keys.insert(published.kid.clone(), key).is_some() {
                return Err(InvalidKeys::Duplicate(place));
            }
        }
        Ok(Self { document, keys, verified: VerifiedTokens::default() })
    }

    pub(super) fn get(&self, kid: &str) -> Option<&Key> {
        self.keys.get(kid)
    }

    /// The published key with this id.
    pub fn published(&self, kid: &str) -> Option<&PublishedKey> {
        self.document.keys.iter().find(|key| key.kid == kid)
    }

    /// The document that the set was made from; what `/.well-known/jwks.json` publishes.
    pub fn document(&self) -> &VerificationKeys {
        &self.document
    }
}
