//! The signing-key secret: its document, and the key pairs in it.
//!
//! ```json
//! { "current": { "kid": "…", "alg": "RS256", "private_key": "<PEM>" }, "next": { … } }
//! ```
//!
//! *Current* signs. *Next* is what a rotation promotes; its public half is published already, so that no verifier meets
//! it unprepared. The PEM is PKCS#8, or PKCS#1 (RSA) or SEC 1 (EC).

use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der};
use aws_lc_rs::error::{KeyRejected, Unspecified};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize, PublicKeyComponents};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PSS_SHA256,
    RsaEncoding,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use pem::{EncodeConfig, LineEnding, Pem};
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::config::{ConfigError, Env};
use shared::json;
use shared::token::{Algorithm, Claims, PublicKey, PublishedKey, TYPE};

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
    /// The algorithm that it signs with.
    pub alg: Algorithm,
    /// The private key: PEM, unencrypted.
    pub private_key: String,
}

/// Why a signing key cannot be used; never holds key material.
#[derive(Debug, thiserror::Error)]
pub enum InvalidSigningKey {
    /// The text is not the JSON document that it should be.
    #[error(
        "not a JSON object with the signing key `current` and perhaps `next`, each with kid, alg (RS256, PS256 or \
         ES256) and private_key"
    )]
    NotJson,
    /// The private key is not PEM, or PEM of something else.
    #[error(
        "private_key is not an unencrypted private key in PEM: PKCS#8, PKCS#1 (for RS256 and PS256) or SEC 1 (for ES256)"
    )]
    NotPem,
    /// The library refuses the key.
    #[error("private_key is not a usable RSA key of 2048 to 8192 bits, which {0} needs ({1})")]
    NotRsa(Algorithm, KeyRejected),
    /// The library refuses the key.
    #[error("private_key is not a usable EC key on P-256, which ES256 needs ({0})")]
    NotP256(KeyRejected),
    /// `kid` does not belong to the key.
    #[error("kid is not the key's RFC 7638 thumbprint, {0}")]
    KeyId(String),
    /// Nobody could verify what this key signs.
    #[error("the verification keys do not hold its public half, {0}, with the same alg")]
    NotPublished(String),
    /// The key that is to come.
    #[error("the key `next`")]
    Next(#[source] Box<Self>),
}

impl SigningSecret {
    /// Reads the secret's content.
    pub fn parse(text: &str) -> Result<Self, InvalidSigningKey> {
        // serde's message could quote the content.
        json::strict_object(text.as_bytes()).map_err(|_| InvalidSigningKey::NotJson)
    }

    /// Parses and checks both keys.
    pub fn keys(&self) -> Result<(SigningKey, Option<SigningKey>), InvalidSigningKey> {
        let current = SigningKey::parse(&self.current)?;
        let next = self.next.as_ref().map(SigningKey::parse).transpose();
        Ok((current, next.map_err(|error| InvalidSigningKey::Next(Box::new(error)))?))
    }
}

/// What new keys are like; those that exist stay as they are.
#[derive(Debug, Clone, Copy)]
pub struct KeyKind {
    /// How they sign.
    pub algorithm: Algorithm,
    /// How long they are if they are RSA keys.
    pub rsa_size: KeySize,
}

impl KeyKind {
    /// Reads `SIGNING_ALGORITHM` (`RS256`, `PS256` or `ES256`) and `SIGNING_KEY_BITS` (`2048` or `3072`; of RSA keys).
    pub fn from_env(env: &Env) -> Result<Self, ConfigError> {
        let invalid = |name: &str, reason: &str| ConfigError::Invalid {
            name: name.to_owned(),
            reason: reason.to_owned(),
        };
        let algorithm = env.required("SIGNING_ALGORITHM")?.parse();
        let rsa_size = match env.required("SIGNING_KEY_BITS")? {
            "2048" => KeySize::Rsa2048,
            "3072" => KeySize::Rsa3072,
            _ => return Err(invalid("SIGNING_KEY_BITS", "it must be 2048 or 3072")),
        };
        Ok(Self { algorithm: algorithm.map_err(|reason| invalid("SIGNING_ALGORITHM", reason))?, rsa_size })
    }
}

impl Default for KeyKind {
    /// RS256 with 2048 bits; decisions/0001-signature-algorithm.md says why.
    fn default() -> Self {
        Self { algorithm: Algorithm::Rs256, rsa_size: KeySize::Rsa2048 }
    }
}

/// A key pair that signs: parsed once, because parsing checks the key, which is slow.
#[derive(Debug)]
pub struct SigningKey {
    pair: Pair,
    public: PublishedKey,
    /// The JWS header, encoded: it is the same for each token.
    header: String,
}

#[derive(Debug)]
enum Pair {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
}

impl SigningKey {
    /// Makes a new key, and its form at rest.
    pub fn generate(kind: KeyKind) -> Result<(Self, StoredKey), Unspecified> {
        let (pair, der) = match kind.algorithm {
            Algorithm::Rs256 | Algorithm::Ps256 => {
                let pair = RsaKeyPair::generate(kind.rsa_size)?;
                let der: Pkcs8V1Der<'_> = pair.as_der()?;
                let der = der.as_ref().to_vec();
                (Pair::Rsa(pair), der)
            }
            Algorithm::Es256 => {
                let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING)?;
                let der = pair.to_pkcs8v1()?.as_ref().to_vec();
                (Pair::P256(pair), der)
            }
        };
        let line_feeds = EncodeConfig::new().set_line_ending(LineEnding::LF);
        let private_key = pem::encode_config(&Pem::new("PRIVATE KEY", der), line_feeds);
        let key = Self::new(pair, kind.algorithm)?;
        let stored = StoredKey { kid: key.public.kid.clone(), alg: kind.algorithm, private_key };
        Ok((key, stored))
    }

    /// Parses and checks a key at rest.
    pub fn parse(stored: &StoredKey) -> Result<Self, InvalidSigningKey> {
        let key = Self::from_pem(&stored.private_key, stored.alg)?;
        if stored.kid == key.public.kid { Ok(key) } else { Err(InvalidSigningKey::KeyId(key.public.kid)) }
    }

    /// Parses and checks a private key in PEM that is to sign by `algorithm`.
    pub fn from_pem(private_key: &str, algorithm: Algorithm) -> Result<Self, InvalidSigningKey> {
        let pem = pem::parse(private_key).map_err(|_| InvalidSigningKey::NotPem)?;
        let der = pem.contents();
        let not_rsa = |rejected| InvalidSigningKey::NotRsa(algorithm, rejected);
        let pair = match (algorithm, pem.tag()) {
            (Algorithm::Rs256 | Algorithm::Ps256, "PRIVATE KEY") => {
                Pair::Rsa(RsaKeyPair::from_pkcs8(der).map_err(not_rsa)?)
            }
            (Algorithm::Rs256 | Algorithm::Ps256, "RSA PRIVATE KEY") => {
                Pair::Rsa(RsaKeyPair::from_der(der).map_err(not_rsa)?)
            }
            // PKCS#8 or SEC 1: the library looks.
            (Algorithm::Es256, "PRIVATE KEY" | "EC PRIVATE KEY") => {
                let pair = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, der);
                Pair::P256(pair.map_err(InvalidSigningKey::NotP256)?)
            }
            _ => return Err(InvalidSigningKey::NotPem),
        };
        Self::new(pair, algorithm).map_err(|_| InvalidSigningKey::NotPem)
    }

    fn new(pair: Pair, algorithm: Algorithm) -> Result<Self, Unspecified> {
        let key = match &pair {
            Pair::Rsa(pair) => {
                let components = PublicKeyComponents::<Vec<u8>>::from(pair.public_key());
                PublicKey::rsa(&components.n, &components.e)
            }
            Pair::P256(pair) => PublicKey::p256(pair.public_key().as_ref()).ok_or(Unspecified)?,
        };
        let public = PublishedKey::new(algorithm, key);
        let header = json!({ "alg": algorithm, "kid": public.kid, "typ": TYPE });
        let header = URL_SAFE_NO_PAD.encode(header.to_string());
        Ok(Self { pair, public, header })
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
        let signature = self.signature(signed.as_bytes())?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    fn signature(&self, message: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let encoding: &'static dyn RsaEncoding =
                    if self.public.alg == Algorithm::Ps256 { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &random, message, &mut signature)?;
                Ok(signature)
            }
            Pair::P256(pair) => Ok(pair.sign(&random, message)?.as_ref().to_vec()),
        }
    }
}

/// A token could not be signed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SigningFailed {
    #[error("the claims cannot be encoded")]
    Claims(#[from] serde_json::Error),
    #[error("the signature failed")]
    Signature(#[from] Unspecified),
    /// Its tokens would be refused before they expire.
    #[error("the signing key is retired, and no other can be read")]
    Retired,
}

#[cfg(test)]
mod tests {
    use shared::clock::Clock;
    use shared::testing::{AUDIENCE, ISSUER, issuer};
    use shared::token::{KeySet, VerificationKeys, Verifier};
    use uuid::Uuid;

    use super::*;
    use crate::testing::WEAK_PKCS1;

    const ALL: [Algorithm; 3] = [Algorithm::Rs256, Algorithm::Ps256, Algorithm::Es256];

    fn generate(algorithm: Algorithm) -> (SigningKey, StoredKey) {
        SigningKey::generate(KeyKind { algorithm, ..KeyKind::default() }).unwrap()
    }

    #[tokio::test]
    async fn tokens_of_every_algorithm_and_size_are_accepted_by_the_services() {
        let clock = Clock::fixed("2026-01-01T00:00:00Z".parse().unwrap());
        let longer = KeyKind { rsa_size: KeySize::Rsa3072, ..KeyKind::default() };
        for (key, stored) in ALL.map(generate).into_iter().chain([SigningKey::generate(longer).unwrap()]) {
            let keys = vec![key.public().clone()];
            let document =
                VerificationKeys { issuer: ISSUER.to_owned(), audience: AUDIENCE.to_owned(), keys };
            let verifier = Verifier::fixed(KeySet::new(document).unwrap(), clock.clone());
            let claims = issuer().claims(Uuid::nil(), "mahindra", clock.now());
            // The key itself, and what comes back from its form at rest.
            for key in [key, SigningKey::parse(&stored).unwrap()] {
                assert_eq!(verifier.verify(&key.sign(&claims).unwrap()).await.unwrap(), claims);
            }
        }
    }

    #[test]
    fn both_pem_forms_are_the_same_key() {
        // PKCS#8 wraps PKCS#1 (RFC 5208 §5): for RSA with 2048 bits, after 26 bytes. For P-256 it wraps SEC 1, without the
        // curve's name that SEC 1 alone needs; openssl made the pair of which this is one half twice.
        let (key, pkcs8) = generate(Algorithm::Rs256);
        let der = pem::parse(&pkcs8.private_key).unwrap();
        let private_key = pem::encode(&Pem::new("RSA PRIVATE KEY", &der.contents()[26..]));
        let pkcs1 = StoredKey { private_key, ..pkcs8.clone() };
        for stored in [pkcs8, pkcs1] {
            assert_eq!(SigningKey::parse(&stored).unwrap().public(), key.public());
        }
        let [sec1, pkcs8] = [("EC PRIVATE KEY", SEC1_P256), ("PRIVATE KEY", PKCS8_P256)].map(|(tag, der)| {
            let der = URL_SAFE_NO_PAD.decode(der).unwrap();
            SigningKey::from_pem(&pem::encode(&Pem::new(tag, der)), Algorithm::Es256).unwrap()
        });
        assert_eq!(sec1.public(), pkcs8.public());
    }

    #[test]
    fn unusable_keys_are_refused_with_a_reason_that_holds_no_key() {
        let (_, good) = generate(Algorithm::Rs256);
        let (_, point) = generate(Algorithm::Es256);
        let with = |private_key: &str| StoredKey { private_key: private_key.to_owned(), ..good.clone() };
        let weak = URL_SAFE_NO_PAD.decode(WEAK_PKCS1).unwrap();
        let other_curve = URL_SAFE_NO_PAD.decode(PKCS8_P384).unwrap();
        let body = good.private_key.lines().nth(1).unwrap();
        for (stored, expected) in [
            (StoredKey { kid: "mine".to_owned(), ..good.clone() }, "thumbprint"),
            (StoredKey { alg: Algorithm::Es256, ..good.clone() }, "EC key on P-256"),
            (
                StoredKey { alg: Algorithm::Ps256, ..point.clone() },
                "RSA key of 2048 to 8192 bits, which PS256 needs",
            ),
            (with(""), "not an unencrypted private key"),
            (with(&good.private_key.replace("PRIVATE", "PUBLIC")), "not an unencrypted private key"),
            (with(&good.private_key.replace("PRIVATE", "ENCRYPTED PRIVATE")), "not an unencrypted"),
            (with(&good.private_key.replacen(body, "", 1)), "not a usable RSA key"),
            (
                with(&pem::encode(&Pem::new("RSA PRIVATE KEY", weak))),
                "2048 to 8192 bits, which RS256 needs (TooSmall)",
            ),
            (
                StoredKey {
                    private_key: pem::encode(&Pem::new("PRIVATE KEY", other_curve)),
                    ..point.clone()
                },
                "EC key on P-256",
            ),
        ] {
            let reason = SigningKey::parse(&stored).unwrap_err().to_string();
            assert!(reason.contains(expected) && !reason.contains(body), "{reason}");
        }
        let document = json!({"current": good, "next": point}).to_string();
        assert!(SigningSecret::parse(&document).unwrap().keys().unwrap().1.is_some());
        for bad in [document.replace("ES256", "HS256"), document.replace("current", "next"), "{}".to_owned()]
        {
            assert!(matches!(SigningSecret::parse(&bad), Err(InvalidSigningKey::NotJson)));
        }
    }

    #[test]
    fn what_new_keys_are_like_is_configuration() {
        let read = |algorithm, bits| {
            KeyKind::from_env(&Env::of([("SIGNING_ALGORITHM", algorithm), ("SIGNING_KEY_BITS", bits)]))
                .map(|kind| (kind.algorithm, kind.rsa_size.len() * 8))
                .map_err(|error| error.to_string())
        };
        assert_eq!(read("RS256", "2048").unwrap(), (Algorithm::Rs256, 2048));
        assert_eq!(read("PS256", "3072").unwrap(), (Algorithm::Ps256, 3072));
        assert_eq!(read("ES256", "2048").unwrap(), (Algorithm::Es256, 2048));
        for (algorithm, bits, name) in [
            ("HS256", "2048", "SIGNING_ALGORITHM"),
            ("RS256", "1024", "SIGNING_KEY_BITS"),
            ("RS256", "", "SIGNING_KEY_BITS"),
        ] {
            assert!(read(algorithm, bits).unwrap_err().contains(name));
        }
    }

    /// A key on P-256 by `openssl ecparam -name prime256v1 -genkey -noout`, made for this test.
    const SEC1_P256: &str = "MHcCAQEEIMvqDaSFFXx2aPdzXv3VinxfkRu8SbDDgWYmYFiG5vYHoAoGCCqGSM49AwEHoUQDQgAECsk7edewchlohSmIN907ZaPSiHbCmKqLUF1EYUrdBJ6ZV1Mb7cKJ4k4UYzsLTqVvWE0RGJwv4Tj6N8vJcaczKA";
    /// The same by `openssl pkcs8 -topk8 -nocrypt`.
    const PKCS8_P256: &str = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgy-oNpIUVfHZo93Ne_dWKfF-RG7xJsMOBZiZgWIbm9gehRANCAAQKyTt517ByGWiFKYg33Ttlo9KIdsKYqotQXURhSt0EnplXUxvtwoniThRjOwtOpW9YTREYnC_hOPo3y8lxpzMo";
    /// A key on P-384, PKCS#8.
    const PKCS8_P384: &str = "MIGkAgEBBDC-ANctZL03XKbqPGZgs7JckClfOZOAXav1-2-OwNkvHROe0kQzA7pNWdh2yEIRqq6gBwYFK4EEACKhZANiAAS8oW-hczmfPzcCYefD21eoJs3kadzpkYBzYTBP31fgmOiMPuWQyM-b-m194f3tVsKq21VB07AQv_fr6OZ9fQ-gc-Qh9Iry9X4jMqXsBVIPSojpqL1VMYEwDGIt-uynnlc";
}
