//! OAuth clients: their ids and secrets.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

/// The client of all tokens that users get from us: our own shop front. It is a public one (RFC 6749 §2.1): a browser or an
/// app cannot keep a secret.
pub const SHOP: &str = "shop";

/// The name of a client that has a secret: 3 to 32 of `a-z 0-9 -`, beginning with a letter, and not [`SHOP`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClientId(String);

/// What a client proves itself with: 256 random bits, base64url. Not `Debug`: it must not be printed.
#[derive(Serialize)]
pub struct ClientSecret(String);

/// The SHA-256 of a client's secret, base64url. Nothing slower: nobody guesses 256 random bits.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretHash(String);

impl ClientId {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ClientId {
    type Error = &'static str;

    fn try_from(id: String) -> Result<Self, Self::Error> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let begins_well = id.starts_with(|first: char| first.is_ascii_lowercase());
        if !(3..=32).contains(&id.len()) || !id.bytes().all(allowed) || !begins_well {
            return Err("expected a client_id of 3 to 32 characters of a-z 0-9 -, beginning with a letter");
        }
        if id == SHOP {
            return Err("expected another client_id than shop, which is our own and has no secret");
        }
        Ok(Self(id))
    }
}

impl From<ClientId> for String {
    fn from(id: ClientId) -> Self {
        id.0
    }
}

impl ClientSecret {
    /// The secret made of these random bytes.
    pub fn new(random: [u8; 32]) -> Self {
        Self(URL_SAFE_NO_PAD.encode(random))
    }

    /// What is stored of it.
    pub fn hash(&self) -> SecretHash {
        SecretHash::of(&self.0)
    }
}

impl SecretHash {
    /// The hash of what somebody says is a secret.
    pub(crate) fn of(secret: &str) -> Self {
        Self(URL_SAFE_NO_PAD.encode(digest(&SHA256, secret.as_bytes())))
    }

    /// A hash that no known secret has.
    pub(crate) fn nobodys() -> Self {
        Self(URL_SAFE_NO_PAD.encode([0; 32]))
    }

    /// Whether `secret` is the one of this hash, in a time that tells nothing about either.
    pub(crate) fn matches(&self, secret: &str) -> bool {
        verify_slices_are_equal(self.0.as_bytes(), Self::of(secret).0.as_bytes()).is_ok()
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_clients() {
        for good in ["abc", "warehouse", "partner-2", &"a".repeat(32)] {
            ClientId::try_from(good.to_owned()).unwrap();
        }
        for bad in
            ["", "ab", "shop", "Warehouse", "a b c", "2nd", "-ab", "a:b", "ümlaut", "a#b", &"a".repeat(33)]
        {
            ClientId::try_from(bad.to_owned()).unwrap_err();
        }
    }

    #[test]
    fn a_hash_opens_to_its_secret_only_and_prints_nothing() {
        let secret = ClientSecret::new([7; 32]);
        let hash = secret.hash();
        assert!(hash.matches(&secret.0));
        for other in ["", "x", &secret.0[1..], &hash.0] {
            assert!(!hash.matches(other), "{other}");
        }
        assert_eq!(format!("{hash:?}"), "SecretHash(..)");
    }
}
