//! The signing-key secret: its document, and the RSA key pairs in it.
//!
//! ```json
//! { "current": { "kid": "…", "alg": "RS256", "private_key": "<PEM, PKCS#1 or PKCS#8>" }, "next": { … } }
//! ```
//!
//! *Current* signs. *Next* is what a rotation promotes; its public half is published already, so that no verifier meets
//! it unprepared.

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::error::{KeyRejected, Unspecified};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize, PublicKeyComponents};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pem::{EncodeConfig, LineEnding, Pem};
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::token::{Claims, PublishedKey, TYPE};

const ALGORITHM: &str = "RS256";

/// The content of the signing-key secret.
#[derive(Clone, Serialize, Deserialize)]
pub struct SigningSecret {
    /// The key that signs.
    pub current: StoredKey,
    /// The key that will.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<StoredKey>,
}

/// A private key at rest.
#[derive(Clone, Serialize, Deserialize)]
pub struct StoredKey {
    /// The key's id: the RFC 7638 thumbprint of its public half.
    pub kid: String,
    /// The algorithm that it signs with, `RS256`.
    pub alg: String,
    /// The private key: PEM, PKCS#1 or PKCS#8.
    pub private_key: String,
}

/// Why a signing key cannot be used; never holds key material.
#[derive(Debug, thiserror::Error)]
pub enum InvalidSigningKey {
    /// The text is not the JSON document that it should be.
    #[error("not a JSON object with the signing key `current`")]
    NotJson,
    /// Another algorithm than the one that we sign with.
    #[error("alg is not {ALGORITHM}")]
    Algorithm,
    /// The private key is not PEM, or PEM of something else.
    #[error("private_key is not an unencrypted RSA private key in PEM (PKCS#1 or PKCS#8)")]
    NotPem,
    /// The library refuses the key.
    #[error("private_key is not a usable RSA key of 2048 to 8192 bits ({0})")]
    Rejected(KeyRejected),
    /// `kid` does not belong to the key.
    #[error("kid is not the key's RFC 7638 thumbprint, {0}")]
    KeyId(String),
    /// Nobody could verify what this key signs.
    #[error("the verification keys do not hold its public half, {0}")]
    NotPublished(String),
}

impl SigningSecret {
    /// Reads the secret's content.
    pub fn parse(json: &str) -> Result<Self, InvalidSigningKey> {
        // serde's message could quote the content.
        serde_json::from_str(json).map_err(|_| InvalidSigningKey::NotJson)
    }
}

/// A key pair that signs: parsed once, because parsing checks the key, which is slow.
#[derive(Debug)]
pub struct SigningKey {
    pair: KeyPair,
    public: PublishedKey,
    /// The JWS header, encoded: it is the same for each token.
    header: String,
}

impl SigningKey {
    /// Makes a new key of 2048 bits, and its form at rest.
    pub fn generate() -> Result<(Self, StoredKey), Unspecified> {
        let pair = KeyPair::generate(KeySize::Rsa2048)?;
        let der: Pkcs8V1Der<'_> = pair.as_der()?;
        let line_feeds = EncodeConfig::new().set_line_ending(LineEnding::LF);
        let private_key = pem::encode_config(&Pem::new("PRIVATE KEY", der.as_ref()), line_feeds);
        let key = Self::new(pair);
        let stored = StoredKey { kid: key.public.kid.clone(), alg: ALGORITHM.to_owned(), private_key };
        Ok((key, stored))
    }

    /// Parses and checks a key at rest.
    pub fn parse(stored: &StoredKey) -> Result<Self, InvalidSigningKey> {
        if stored.alg != ALGORITHM {
            return Err(InvalidSigningKey::Algorithm);
        }
        let pem = pem::parse(&stored.private_key).map_err(|_| InvalidSigningKey::NotPem)?;
        let pair = match pem.tag() {
            "PRIVATE KEY" => KeyPair::from_pkcs8(pem.contents()),
            "RSA PRIVATE KEY" => KeyPair::from_der(pem.contents()),
            _ => return Err(InvalidSigningKey::NotPem),
        };
        let key = Self::new(pair.map_err(InvalidSigningKey::Rejected)?);
        if stored.kid == key.public.kid { Ok(key) } else { Err(InvalidSigningKey::KeyId(key.public.kid)) }
    }

    fn new(pair: KeyPair) -> Self {
        let components = PublicKeyComponents::<Vec<u8>>::from(pair.public_key());
        let public = PublishedKey::rsa(&components.n, &components.e);
        let header = json!({ "alg": ALGORITHM, "kid": public.kid, "typ": TYPE });
        let header = URL_SAFE_NO_PAD.encode(header.to_string());
        Self { pair, public, header }
    }

    /// The public half, as published.
    pub fn public(&self) -> &PublishedKey {
        &self.public
    }

    /// The claims as a signed token (JWS compact serialization, RFC 7515 §3.1). By hand, because the JWT library parses
    /// the private key again for each signature.
    pub(crate) fn sign(&self, claims: &Claims) -> Result<String, SigningFailed> {
        let claims = URL_SAFE_NO_PAD.encode(serde_json::to_vec(claims)?);
        let signed = format!("{}.{claims}", self.header);
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature)?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

/// A token could not be signed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SigningFailed {
    #[error("the claims cannot be encoded")]
    Claims(#[from] serde_json::Error),
    #[error("the signature failed")]
    Signature(#[from] Unspecified),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::WEAK_PKCS1;

    fn reason(stored: &StoredKey) -> String {
        SigningKey::parse(stored).unwrap_err().to_string()
    }

    #[test]
    fn both_pem_forms_are_the_same_key() {
        let (key, pkcs8) = SigningKey::generate().unwrap();
        let der = pem::parse(&pkcs8.private_key).unwrap();
        // PKCS#8 wraps PKCS#1 (RFC 5208 §5): for RSA with 2048 bits, after 26 bytes.
        let private_key = pem::encode(&Pem::new("RSA PRIVATE KEY", &der.contents()[26..]));
        let pkcs1 = StoredKey { private_key, ..pkcs8.clone() };
        for stored in [pkcs8, pkcs1] {
            assert_eq!(SigningKey::parse(&stored).unwrap().public(), key.public());
        }
    }

    #[test]
    fn unusable_keys_are_refused_with_a_reason_that_holds_no_key() {
        let (_, good) = SigningKey::generate().unwrap();
        let with = |private_key: &str| StoredKey { private_key: private_key.to_owned(), ..good.clone() };
        let weak = URL_SAFE_NO_PAD.decode(WEAK_PKCS1).unwrap();
        let body = good.private_key.lines().nth(1).unwrap();
        for (stored, expected) in [
            (StoredKey { alg: "HS256".to_owned(), ..good.clone() }, "alg is not RS256"),
            (StoredKey { kid: "mine".to_owned(), ..good.clone() }, "thumbprint"),
            (with(""), "not an unencrypted RSA private key"),
            (with(&good.private_key.replace("PRIVATE", "PUBLIC")), "not an unencrypted RSA private key"),
            (with(&good.private_key.replace("PRIVATE", "ENCRYPTED PRIVATE")), "not an unencrypted"),
            (with(&good.private_key.replacen(body, "", 1)), "not a usable RSA key"),
            (with(&pem::encode(&Pem::new("RSA PRIVATE KEY", weak))), "2048 to 8192 bits (TooSmall)"),
        ] {
            let reason = reason(&stored);
            assert!(reason.contains(expected) && !reason.contains(body), "{reason}");
        }
    }
}
