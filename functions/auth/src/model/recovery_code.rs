//! Recovery codes: what opens an account whose authenticator app is lost, each once ("lookup secrets", ASVS 5 §6.5).

use std::fmt;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use totp_rs::Secret;

/// How many a user has.
pub(crate) const RECOVERY_CODES: usize = 10;

const BYTES: usize = 15;
/// Five bits a letter.
const LETTERS: usize = BYTES * 8 / 5;

/// A recovery code: 120 random bits, more than the 112 from which on a plain hash will do (ASVS 5 §6.5.2). As text it is
/// base32 in groups of four, `ABCD-EFGH-…`.
#[derive(Clone)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(inline, with = "String", extend("pattern" = "^[ -]*([A-Za-z0-8] *-? *){24}$")))]
pub(crate) struct RecoveryCode([u8; BYTES]);

/// What is kept of a [`RecoveryCode`]: its SHA-256, base64url.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RecoveryCodeHash(String);

impl RecoveryCode {
    /// The code of these bytes, which must be unpredictable.
    pub(crate) fn new(bytes: [u8; BYTES]) -> Self {
        Self(bytes)
    }

    pub(crate) fn hash(&self) -> RecoveryCodeHash {
        let hash = digest::digest(&digest::SHA256, &self.0);
        RecoveryCodeHash(BASE64_URL_SAFE_NO_PAD.encode(hash))
    }
}

/// Takes what people type: any case, spaces or hyphens anywhere, and 0, 1 and 8 for the letters that they look like.
impl TryFrom<String> for RecoveryCode {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let letters: String = text
            .chars()
            .filter(|c| !matches!(c, ' ' | '-'))
            .take(LETTERS + 1)
            .map(|c| match c {
                '0' => 'O',
                '1' => 'I',
                '8' => 'B',
                c => c.to_ascii_uppercase(),
            })
            .collect();
        // The decoder would overlook a letter too many.
        let secret = Secret::try_from_base32(&letters).ok().filter(|_| letters.len() == LETTERS);
        let bytes = secret.and_then(|secret| secret.as_bytes().try_into().ok());
        bytes.map(Self).ok_or("expected a recovery code of 24 letters and digits")
    }
}

impl<'de> Deserialize<'de> for RecoveryCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        super::password::string(deserializer)?.try_into().map_err(D::Error::custom)
    }
}

/// As the user gets it, once.
impl Serialize for RecoveryCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let letters = Secret::from(self.0).to_base32();
        let groups: Vec<&str> = (0..LETTERS).step_by(4).map(|at| &letters[at..at + 4]).collect();
        serializer.serialize_str(&groups.join("-"))
    }
}

impl fmt::Debug for RecoveryCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecoveryCode(..)")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(text: &str) -> Result<RecoveryCode, &'static str> {
        text.to_owned().try_into()
    }

    #[test]
    fn what_is_shown_can_be_typed_in_any_way() {
        let code = RecoveryCode::new(*b"\x00\x44\x32\x14\xc7\x42\x54\xb6\x35\xcf\x84\x65\x3a\x56\xd7");
        let text = serde_json::to_value(&code).unwrap();
        assert_eq!(text, json!("ABCD-EFGH-IJKL-MNOP-QRST-UVWX"));
        for typed in [
            "ABCD-EFGH-IJKL-MNOP-QRST-UVWX",
            "abcdefghijklmnopqrstuvwx",
            " abcd efgh ijkl mnop qrst uvwx ",
            "A8CD-EFGH-1JKL-MN0P-QRST-UVWX",
        ] {
            assert_eq!(parse(typed).unwrap().hash(), code.hash(), "{typed}");
        }
    }

    #[test]
    fn anything_else_is_no_code() {
        for text in ["", "ABCD", "ABCD-EFGH-IJKL-MNOP-QRST-UVW", "ABCD-EFGH-IJKL-MNOP-QRST-UVWXY"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(parse("ABCD-EFGH-IJKL-MNOP-QRST-UV9X").is_err());
        assert!(parse("ABCD-EFGH-IJKL-MNOP-QRST-UV\u{df}X").is_err());
        assert!(parse(&"A".repeat(60_000)).is_err());
    }

    #[test]
    fn only_the_hash_is_kept_and_the_code_is_never_printed() {
        let code = RecoveryCode::new([0; BYTES]);
        // printf '\0%.0s' {1..15} | openssl dgst -sha256 -binary | basenc --base64url
        assert_eq!(code.hash().0, "UyL-z8kqXjJIopej3z7d-5vZBJUEJy5PVyuH-jbUs70");
        assert_eq!(format!("{code:?}"), "RecoveryCode(..)");
    }
}
