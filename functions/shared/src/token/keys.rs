//! The published keys: a JWKS (RFC 7517) and whose it is.

use std::collections::HashMap;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::{Deserialize, Serialize};

/// RSA keys shorter than this are refused (RFC 7518 §3.3), in bits.
const MIN_RSA_BITS: usize = 2048;

/// The content of the verification-keys secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerificationKeys {
    /// `iss` of every token: the public base URL of Auth.
    pub issuer: String,
    /// `aud` of every token: our API.
    pub audience: String,
    /// The public keys, of which at least one.
    pub keys: Vec<PublishedKey>,
}

/// A public RSA key as a JWK (RFC 7517 §4, RFC 7518 §6.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedKey {
    /// Key type, `RSA`.
    pub kty: String,
    /// The one algorithm that this key verifies.
    pub alg: String,
    /// What the key is for, `sig`.
    #[serde(rename = "use")]
    pub usage: String,
    /// The key's id: its RFC 7638 thumbprint.
    pub kid: String,
    /// The modulus, base64url.
    pub n: String,
    /// The exponent, base64url.
    pub e: String,
    /// After this, tokens signed with the key are refused: it was retired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Timestamp>,
}

/// The keys, parsed and ready to verify with.
#[derive(Debug)]
pub struct KeySet {
    pub(super) document: VerificationKeys,
    keys: HashMap<String, Key>,
}

#[derive(Debug)]
pub(super) struct Key {
    pub(super) algorithm: Algorithm,
    pub(super) name: String,
    pub(super) decoding: DecodingKey,
    pub(super) not_after: Option<Timestamp>,
}

/// Why a set of keys cannot be used; never holds key material.
#[derive(Debug, thiserror::Error)]
pub enum InvalidKeys {
    /// The text is not the JSON document that it should be.
    #[error("not a JSON object with issuer, audience and keys")]
    NotJson,
    /// The issuer or the audience is empty.
    #[error("issuer and audience must not be empty")]
    NoIssuer,
    /// There is no key at all.
    #[error("it holds no key")]
    Empty,
    /// Two keys with one id.
    #[error("it holds the key id {0} twice")]
    Duplicate(String),
    /// A key is not one to verify our tokens with.
    #[error("key {kid}: {reason}")]
    Key {
        /// The key's id.
        kid: String,
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl KeySet {
    /// Reads the content of the verification-keys secret.
    pub fn parse(json: &str) -> Result<Self, InvalidKeys> {
        // serde's message could quote the content.
        Self::new(serde_json::from_str(json).map_err(|_| InvalidKeys::NotJson)?)
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
        for published in &document.keys {
            let key = published
                .parse()
                .map_err(|reason| InvalidKeys::Key { kid: published.kid.clone(), reason })?;
            if keys.insert(published.kid.clone(), key).is_some() {
                return Err(InvalidKeys::Duplicate(published.kid.clone()));
            }
        }
        Ok(Self { document, keys })
    }

    pub(super) fn get(&self, kid: &str) -> Option<&Key> {
        self.keys.get(kid)
    }

    /// The document that the set was made from; what `/.well-known/jwks.json` publishes.
    pub fn document(&self) -> &VerificationKeys {
        &self.document
    }
}

impl PublishedKey {
    /// The public key of `modulus` and `exponent` (big-endian, without leading zeros), for RS256.
    pub fn rsa(modulus: &[u8], exponent: &[u8]) -> Self {
        let n = URL_SAFE_NO_PAD.encode(modulus);
        let e = URL_SAFE_NO_PAD.encode(exponent);
        Self {
            kty: "RSA".to_owned(),
            alg: "RS256".to_owned(),
            usage: "sig".to_owned(),
            kid: thumbprint(&n, &e),
            n,
            e,
            not_after: None,
        }
    }

    fn parse(&self) -> Result<Key, &'static str> {
        if self.kty != "RSA" || self.usage != "sig" {
            return Err("kty must be RSA and use must be sig");
        }
        // The key decides the algorithm, never the token (RFC 8725 §3.1).
        let algorithm = match self.alg.as_str() {
            "RS256" => Algorithm::RS256,
            "PS256" => Algorithm::PS256,
            _ => return Err("alg must be RS256 or PS256"),
        };
        let modulus = URL_SAFE_NO_PAD.decode(&self.n).map_err(|_| "n is not base64url")?;
        let leading = modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
        if modulus.len() * 8 - leading < MIN_RSA_BITS {
            return Err("the modulus is shorter than 2048 bits");
        }
        let exponent = URL_SAFE_NO_PAD.decode(&self.e).map_err(|_| "e is not base64url")?;
        if exponent != [1, 0, 1] {
            return Err("the exponent is not 65537");
        }
        if self.kid != thumbprint(&self.n, &self.e) {
            return Err("kid is not the key's RFC 7638 thumbprint");
        }
        let decoding =
            DecodingKey::from_rsa_components(&self.n, &self.e).map_err(|_| "n and e are not a public key")?;
        Ok(Key { algorithm, name: self.alg.clone(), decoding, not_after: self.not_after })
    }
}

/// The RFC 7638 thumbprint (SHA-256, base64url) of an RSA public key given by its JWK members.
pub fn thumbprint(n: &str, e: &str) -> String {
    let canonical = format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#);
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, canonical.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 7638 §3.1.
    #[test]
    fn thumbprint_of_the_rfc() {
        let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRX\
                 jBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaS\
                 qzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksIN\
                 HaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
        assert_eq!(thumbprint(n, "AQAB"), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }

    #[test]
    fn unusable_keys_are_refused_with_a_reason() {
        let weak = PublishedKey::rsa(&[0xff; 128], &[1, 0, 1]);
        let low_exponent = PublishedKey::rsa(&[0xff; 256], &[3]);
        let good = PublishedKey::rsa(&[0xff; 256], &[1, 0, 1]);
        let renamed = PublishedKey { kid: "mine".to_owned(), ..good.clone() };
        let encryption = PublishedKey { usage: "enc".to_owned(), ..good.clone() };
        let symmetric = PublishedKey { alg: "HS256".to_owned(), ..good.clone() };
        let document = |keys| VerificationKeys { issuer: "i".to_owned(), audience: "a".to_owned(), keys };
        for (keys, reason) in [
            (vec![weak], "shorter than 2048"),
            (vec![low_exponent], "exponent"),
            (vec![renamed], "thumbprint"),
            (vec![encryption], "use must be sig"),
            (vec![symmetric], "alg must be"),
            (vec![good.clone(), good.clone()], "twice"),
            (vec![], "no key"),
        ] {
            let error = KeySet::new(document(keys)).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
        KeySet::new(document(vec![good])).unwrap();
    }
}
