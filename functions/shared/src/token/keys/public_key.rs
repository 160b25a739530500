//! One public key as a JWK, and the one place where a signature is checked.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ParsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jsonwebtoken::{DecodingKey, crypto};
use serde::{Deserialize, Serialize};

/// The sizes of RSA keys that verify, in bits: at least what RFC 7518 §3.3 asks for, at most what stays cheap to verify.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
/// 65537, the one exponent that keys are made with; small ones invite forgeries.
const RSA_EXPONENT: [u8; 3] = [1, 0, 1];
/// A coordinate of P-256, in bytes (RFC 7518 §6.2.1.2).
const P256_BYTES: usize = 32;

/// How a key signs (RFC 7518 §3.1). It belongs to the key, and no token can ask for another (RFC 8725 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(inline))]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PSS with SHA-256, MGF1 with SHA-256 and a salt of 32 bytes.
    Ps256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
}

/// The public half of a key pair, as the members of a JWK (RFC 7518 §6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kty")]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub enum PublicKey {
    /// RSA (§6.3.1).
    #[serde(rename = "RSA")]
    Rsa {
        /// The modulus, base64url.
        n: String,
        /// The exponent, base64url.
        e: String,
    },
    /// A point on an elliptic curve (§6.2.1).
    #[serde(rename = "EC")]
    Ec {
        /// The curve, `P-256`.
        crv: String,
        /// The point's x, base64url.
        x: String,
        /// The point's y, base64url.
        y: String,
    },
}

/// A key of the verification-keys secret: a JWK (RFC 7517 §4) and when it came and goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct PublishedKey {
    /// The key itself.
    #[serde(flatten)]
    pub key: PublicKey,
    /// The one algorithm that this key verifies.
    pub alg: Algorithm,
    /// What the key is for, `sig`.
    #[serde(rename = "use")]
    pub usage: String,
    /// Where present, `["verify"]` (RFC 7517 §4.3).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_ops: Option<Vec<String>>,
    /// The key's id: its RFC 7638 thumbprint.
    pub kid: String,
    /// When it was first published; absent means long ago. Nothing is signed with a key that verifiers may not know yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published_at: Option<Timestamp>,
    /// After this, tokens signed with the key are refused: it was retired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Timestamp>,
}

/// A key, checked and ready to verify with.
#[derive(Debug)]
pub(in crate::token) struct Key {
    pub(in crate::token) algorithm: Algorithm,
    pub(in crate::token) not_after: Option<Timestamp>,
    decoding: DecodingKey,
}

impl Algorithm {
    /// Its name in JWTs and JWKs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Algorithm {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, &'static str> {
        let all = [Self::Rs256, Self::Ps256, Self::Es256];
        all.into_iter().find(|one| one.name() == name).ok_or("it must be RS256, PS256 or ES256")
    }
}

impl From<Algorithm> for jsonwebtoken::Algorithm {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::Rs256 => Self::RS256,
            Algorithm::Ps256 => Self::PS256,
            Algorithm::Es256 => Self::ES256,
        }
    }
}

impl PublicKey {
    /// The RSA key of `modulus` and `exponent`, big-endian and without leading zeros.
    pub fn rsa(modulus: &[u8], exponent: &[u8]) -> Self {
        Self::Rsa { n: URL_SAFE_NO_PAD.encode(modulus), e: URL_SAFE_NO_PAD.encode(exponent) }
    }

    /// The P-256 key of a point in the uncompressed form of SEC 1 §2.3.3 (0x04, x, y); `None` for other bytes.
    pub fn p256(point: &[u8]) -> Option<Self> {
        let coordinates = point.strip_prefix(&[4])?;
        let (x, y) = coordinates.split_at_checked(P256_BYTES).filter(|(_, y)| y.len() == P256_BYTES)?;
        let [x, y] = [x, y].map(|coordinate| URL_SAFE_NO_PAD.encode(coordinate));
        Some(Self::Ec { crv: "P-256".to_owned(), x, y })
    }

    /// The RFC 7638 thumbprint: SHA-256 over the required members in lexicographic order, base64url.
    pub fn thumbprint(&self) -> String {
        let canonical = match self {
            Self::Rsa { n, e } => format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#),
            Self::Ec { crv, x, y } => format!(r#"{{"crv":"{crv}","kty":"EC","x":"{x}","y":"{y}"}}"#),
        };
        URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, canonical.as_bytes()))
    }

    fn decoding(&self) -> Result<DecodingKey, &'static str> {
        match self {
            Self::Rsa { n, e } => {
                let modulus = URL_SAFE_NO_PAD.decode(n).map_err(|_| "n is not base64url")?;
                let leading = match modulus.first() {
                    None | Some(0) => return Err("n is empty or begins with a zero byte"),
                    Some(first) => first.leading_zeros() as usize,
                };
                if !RSA_BITS.contains(&(modulus.len() * 8 - leading)) {
                    return Err("the modulus is shorter than 2048 bits or longer than 8192");
                }
                if modulus.last().is_some_and(|last| last % 2 == 0) {
                    return Err("the modulus is even: it is no product of two primes");
                }
                if URL_SAFE_NO_PAD.decode(e).as_deref() != Ok(&RSA_EXPONENT) {
                    return Err("the exponent is not 65537");
                }
                Ok(DecodingKey::from_rsa_raw_components(&modulus, &RSA_EXPONENT))
            }
            Self::Ec { crv, x, y } => {
                if crv != "P-256" {
                    return Err("crv must be P-256");
                }
                let mut point = vec![4];
                for coordinate in [x, y] {
                    point.extend(URL_SAFE_NO_PAD.decode(coordinate).map_err(|_| "x or y is not base64url")?);
                    if point.len() % P256_BYTES != 1 {
                        return Err("x and y must have 32 bytes each");
                    }
                }
                // The library checks the point only when it verifies, and would then refuse each token.
                if point.len() != 1 + 2 * P256_BYTES
                    || ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point).is_err()
                {
                    return Err("x and y are not a point on P-256");
                }
                Ok(DecodingKey::from_ec_der(&point))
            }
        }
    }
}

impl PublishedKey {
    /// A key for signatures by `alg`, published for as long as anyone remembers.
    pub fn new(alg: Algorithm, key: PublicKey) -> Self {
        let kid = key.thumbprint();
        Self { key, alg, usage: "sig".to_owned(), key_ops: None, kid, published_at: None, not_after: None }
    }

    pub(in crate::token) fn parse(&self) -> Result<Key, &'static str> {
        if self.usage != "sig" {
            return Err("use must be sig");
        }
        if self.key_ops.as_ref().is_some_and(|ops| ops != &["verify"]) {
            return Err("key_ops must be verify and nothing else");
        }
        let fits = match self.key {
            PublicKey::Rsa { .. } => matches!(self.alg, Algorithm::Rs256 | Algorithm::Ps256),
            PublicKey::Ec { .. } => self.alg == Algorithm::Es256,
        };
        if !fits {
            return Err("alg is not one of kty: RS256 and PS256 are RSA's, ES256 is EC's");
        }
        let decoding = self.key.decoding()?;
        if self.kid != self.key.thumbprint() {
            return Err("kid is not the key's RFC 7638 thumbprint");
        }
        Ok(Key { algorithm: self.alg, not_after: self.not_after, decoding })
    }
}

impl Key {
    /// Whether `signature` (base64url) is this key's signature of `message`: the one check behind every token.
    pub(in crate::token) fn verify(&self, message: &[u8], signature: &str) -> bool {
        crypto::verify(signature, message, &self.decoding, self.algorithm.into()).unwrap_or(false)
    }
}
