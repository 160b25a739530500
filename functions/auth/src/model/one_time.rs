//! One-time tokens, which go out by mail and prove that somebody reads it.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use user::model::{Email, Username};
use uuid::Uuid;

use super::PasswordHash;

/// What a token is good for. One for the one is none for the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Setting a password without knowing the old one.
    PasswordReset,
    /// Showing that an address is one's own.
    EmailVerification,
}

/// 256 random bits. Not `Debug`: only the mail may show it.
pub(crate) struct OneTimeToken([u8; 32]);

/// What is stored of a token, under its hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct OneTime {
    /// Whose account it opens.
    pub(crate) user_id: Uuid,
    /// The account's name.
    pub(crate) username: Username,
    /// Where it was sent. It is void when that is not the user's address any more.
    pub(crate) email: Email,
    /// What the account's password was when it was made ([`fingerprint`]); another password voids the token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) password: Option<String>,
    /// When it ends, seconds since the epoch; the TTL too.
    pub(crate) expires_at: i64,
}

impl Purpose {
    /// How long a token lasts.
    pub(crate) fn lifetime(self) -> SignedDuration {
        match self {
            Self::PasswordReset => SignedDuration::from_mins(30),
            Self::EmailVerification => SignedDuration::from_hours(24),
        }
    }
}

impl OneTimeToken {
    /// The token of these bytes, which must be unpredictable.
    pub(crate) fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The token that this text is; `None` for anything that [`encode`](Self::encode) does not give.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }

    /// base64url, 43 characters.
    pub(crate) fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// What it is stored under: SHA-256, base64url. Without salt or stretching, as there is nothing to guess in 256 bits.
    pub(crate) fn hash(&self) -> String {
        URL_SAFE_NO_PAD.encode(digest(&SHA256, &self.0))
    }
}

impl OneTime {
    /// Whether it has ended; DynamoDB deletes it some time later.
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        now.as_second() >= self.expires_at
    }
}

/// What tells one password hash from another, and is none.
pub(crate) fn fingerprint(hash: &PasswordHash) -> String {
    URL_SAFE_NO_PAD.encode(digest(&SHA256, hash.0.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_43_characters_and_every_other_text_is_none() {
        let token = OneTimeToken::new([0xfb; 32]);
        let text = token.encode();
        assert_eq!((text.len(), OneTimeToken::parse(&text).unwrap().hash()), (43, token.hash()));
        assert_ne!(token.hash(), text);
        let mut bits = text.clone();
        bits.replace_range(42.., "t"); // The last character has two bits to spare, which must be zero.
        for bad in
            ["", "a", &text[1..], &format!("{text}="), &format!("{text} "), &format!("{text}A"), &bits, "ä"]
        {
            assert!(OneTimeToken::parse(bad).is_none(), "{bad}");
        }
    }
}
