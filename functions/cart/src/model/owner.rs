//! Whose a cart is: a user's, or of whoever has its token.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::Cart;

/// Whose cart a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Owner {
    /// A user's.
    User(Uuid),
    /// Of whoever has the token with this hash.
    Anonymous(TokenHash),
}

/// What opens an anonymous cart: 128 random bits. Not `Debug`: only the answer that makes the cart shows it.
pub(crate) struct CartToken([u8; 16]);

/// What an anonymous cart is stored under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TokenHash(String);

/// The cart of somebody who did not log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AnonymousCart {
    /// What is in it; nothing once it is merged.
    pub(crate) cart: Cart,
    /// When it ends, seconds since the epoch.
    pub(crate) expires_at: i64,
    /// Whose cart its lines went into. It is then good for nothing but for telling the same user so again.
    pub(crate) merged_into: Option<Uuid>,
}

impl CartToken {
    /// The token of these bytes, which must be unpredictable.
    pub(crate) fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The token that this text is; none for anything that [`encode`](Self::encode) does not give.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok().map(Self)
    }

    /// base64url, 22 characters.
    pub(crate) fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// SHA-256, in hexadecimal. Without salt or stretching, as there is nothing to guess in 128 bits.
    pub(crate) fn hash(&self) -> TokenHash {
        let hash = digest(&SHA256, &self.0);
        TokenHash(hash.as_ref().iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}")))
    }
}

impl TokenHash {
    /// The hash, 64 digits.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl AnonymousCart {
    /// How long it lasts after the last change.
    pub(crate) const LIFETIME: SignedDuration = SignedDuration::from_hours(30 * 24);

    /// When a cart ends that is changed now.
    pub(crate) fn expiry(now: Timestamp) -> Timestamp {
        now.checked_add(Self::LIFETIME).unwrap_or(Timestamp::MAX)
    }

    /// Whether it has ended; DynamoDB deletes it some time later.
    pub(crate) fn is_over(&self, now: Timestamp) -> bool {
        now.as_second() >= self.expires_at
    }
}
