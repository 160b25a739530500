//! Sessions and the rotation of their refresh tokens (RFC 9700 §4.14.2), pure.
//!
//! A refresh token is base64url of `user id (16 bytes) || session id (16) || family secret (16) || rotating secret (32)`,
//! opaque to clients. The family secret stays for the whole session: who does not know it never held a token of the
//! session, and cannot end it by guessing. The rotating secret is replaced by each refresh: its successor is
//! HMAC-SHA256 of it under a random salt that the session keeps, so that an honest retry gets the same successor again,
//! and nobody can compute it from a token alone. At rest there are only SHA-256 digests.

use std::fmt;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use user::model::Username;
use uuid::Uuid;

/// For this long after a rotation the token of before gets the same answer again: its client may have lost the first one.
pub(crate) const GRACE: SignedDuration = SignedDuration::from_secs(30);
/// A session that is not used for so long has ended.
pub(crate) const IDLE_LIFETIME: SignedDuration = SignedDuration::from_hours(30 * 24);
/// However much it is used, a session ends so long after its login.
pub(crate) const ABSOLUTE_LIFETIME: SignedDuration = SignedDuration::from_hours(90 * 24);
/// Longer names of devices are cut off, in characters.
const MAX_DEVICE: usize = 200;

/// One login of a user, and everything that was refreshed from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(clippy::struct_field_names, reason = "beside user_id, a mere id would be ambiguous")]
pub struct Session {
    /// `sid` of its access tokens.
    pub session_id: Uuid,
    /// Whose it is.
    pub user_id: Uuid,
    /// The user's name, which is the key of the account.
    pub username: Username,
    /// The OAuth client that it was started with.
    pub client_id: String,
    /// What the user logged in with, as it called itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// When the user logged in; `auth_time` of its access tokens.
    pub created_at: Timestamp,
    /// When its refresh token was last replaced; at first, when it was made.
    pub rotated_at: Timestamp,
    family_hash: Bytes32,
    current_hash: Bytes32,
    /// The digest of the secret that the last rotation replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous_hash: Option<Bytes32>,
    /// What the last rotation derived its successor by; not a secret by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    salt: Option<Bytes32>,
}

/// A refresh token in its parts. Not `Debug`: it must not be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshToken {
    /// Whose it claims to be.
    pub user_id: Uuid,
    /// The session that it claims to belong to.
    pub session_id: Uuid,
    family: [u8; 16],
    secret: [u8; 32],
}

/// What a presented refresh token is to the session that it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presented {
    /// The one to rotate.
    Current,
    /// The one of before, within [`GRACE`]: its client may not have got the answer.
    Previous,
    /// One of the session that is used up. Two parties hold its tokens, and which one is honest cannot be told.
    Reused,
    /// None of the session: whoever sent it knows ids, and no secret.
    Foreign,
}

/// A digest or a salt; base64url at rest.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Bytes32([u8; 32]);

impl Session {
    /// A session of the given account's user that begins `now`, and its first refresh token.
    pub fn start(
        (user_id, username): (Uuid, Username),
        client_id: &str,
        device: Option<String>,
        now: Timestamp,
        secrets: NewSecrets,
    ) -> (Self, RefreshToken) {
        let NewSecrets { session_id, family, secret } = secrets;
        let token = RefreshToken { user_id, session_id, family, secret };
        let session = Self {
            session_id,
            user_id,
            username,
            client_id: client_id.to_owned(),
            device,
            created_at: now,
            rotated_at: now,
            family_hash: Bytes32::digest(&family),
            current_hash: token.hash(),
            previous_hash: None,
            salt: None,
        };
        (session, token)
    }

    /// When it ends unless it is used before.
    pub fn ends_at(&self) -> Timestamp {
        (self.rotated_at + IDLE_LIFETIME).min(self.created_at + ABSOLUTE_LIFETIME)
    }

    /// Whether it has ended by time.
    pub fn is_over(&self, now: Timestamp) -> bool {
        now >= self.ends_at()
    }

    /// Whether it began after `ended_at`, when all sessions were ended: in whole seconds, as its access tokens say it.
    pub fn began_after(&self, ended_at: Option<Timestamp>) -> bool {
        ended_at.is_none_or(|ended_at| self.created_at.as_second() > ended_at.as_second())
    }

    /// What `token` is to this session.
    pub fn classify(&self, token: &RefreshToken, now: Timestamp) -> Presented {
        let hash = token.hash();
        if token.session_id != self.session_id
            || token.user_id != self.user_id
            || !self.family_hash.equals(&Bytes32::digest(&token.family))
        {
            Presented::Foreign
        } else if self.current_hash.equals(&hash) {
            Presented::Current
        } else if self.previous_hash.is_some_and(|previous| previous.equals(&hash))
            && now < self.rotated_at + GRACE
        {
            Presented::Previous
        } else {
            Presented::Reused
        }
    }

    /// The session after the rotation of `current`, and the successor of that token.
    #[must_use]
    pub fn rotate(&self, current: &RefreshToken, salt: [u8; 32], now: Timestamp) -> (Self, RefreshToken) {
        let salt = Bytes32(salt);
        let successor = current.successor(salt);
        let rotated = Self {
            rotated_at: now,
            previous_hash: Some(current.hash()),
            current_hash: successor.hash(),
            salt: Some(salt),
            ..self.clone()
        };
        (rotated, successor)
    }

    /// The successor that the last rotation gave to `previous`.
    pub fn repeat(&self, previous: &RefreshToken) -> Option<RefreshToken> {
        let successor = previous.successor(self.salt?);
        self.current_hash.equals(&successor.hash()).then_some(successor)
    }
}

/// What a new session is made of.
#[derive(Clone, Copy)]
pub struct NewSecrets {
    /// The session's id.
    pub session_id: Uuid,
    /// Random.
    pub family: [u8; 16],
    /// Random.
    pub secret: [u8; 32],
}

impl RefreshToken {
    /// The token that a client sent; `None` for everything that was never one.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 80];
        // Strict: no padding, no other alphabet, no stray bits, so that a token has one spelling.
        let length = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
        if length != bytes.len() {
            return None;
        }
        let (user_id, rest) = bytes.split_first_chunk::<16>()?;
        let (session_id, rest) = rest.split_first_chunk::<16>()?;
        let (family, secret) = rest.split_first_chunk::<16>()?;
        Some(Self {
            user_id: Uuid::from_bytes(*user_id),
            session_id: Uuid::from_bytes(*session_id),
            family: *family,
            secret: secret.try_into().ok()?,
        })
    }

    /// The token as clients get it.
    pub fn encode(&self) -> String {
        let ids = [self.user_id.into_bytes(), self.session_id.into_bytes(), self.family];
        URL_SAFE_NO_PAD.encode([ids.as_flattened(), &self.secret].concat())
    }

    /// What is stored of the rotating secret.
    pub(crate) fn hash(&self) -> Bytes32 {
        Bytes32::digest(&self.secret)
    }

    fn successor(&self, salt: Bytes32) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &salt.0);
        let mut secret = [0; 32];
        secret.copy_from_slice(hmac::sign(&key, &self.secret).as_ref());
        Self { secret, ..self.clone() }
    }
}

impl Bytes32 {
    fn digest(bytes: &[u8]) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
        Self(hash)
    }

    fn equals(&self, other: &Self) -> bool {
        verify_slices_are_equal(&self.0, &other.0).is_ok()
    }
}

impl From<Bytes32> for String {
    fn from(bytes: Bytes32) -> Self {
        URL_SAFE_NO_PAD.encode(bytes.0)
    }
}

impl TryFrom<String> for Bytes32 {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok().and_then(|bytes| bytes.try_into().ok());
        bytes.map(Self).ok_or("expected 32 bytes as base64url")
    }
}

impl fmt::Debug for Bytes32 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bytes32(..)")
    }
}

/// The name of a device as it is kept: what it called itself, shortened and without control characters.
pub(crate) fn device(user_agent: &str) -> Option<String> {
    let name: String = user_agent.chars().filter(|c| !c.is_control()).take(MAX_DEVICE).collect();
    Some(name.trim().to_owned()).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Timestamp {
        "2026-01-01T00:00:00Z".parse().unwrap()
    }

    fn session() -> (Session, RefreshToken) {
        let owner = (Uuid::from_u128(1), "alice".to_owned().try_into().unwrap());
        let secrets = NewSecrets { session_id: Uuid::from_u128(2), family: [3; 16], secret: [4; 32] };
        Session::start(owner, "shop", None, start(), secrets)
    }

    #[test]
    fn a_token_reads_back_and_has_one_spelling() {
        let (_, token) = session();
        let text = token.encode();
        assert!(RefreshToken::parse(&text) == Some(token));
        assert_eq!(text.len(), 107);
        let last = text.chars().last().unwrap();
        let stray_bits = format!("{}{}", &text[..106], char::from(u8::try_from(last).unwrap() + 1));
        let longer = format!("{text}AAAA");
        for other in [
            "",
            "a",
            &text[..106],
            &text[..104],
            &format!("{text}="),
            &longer,
            &stray_bits,
            &text.replacen('A', "+", 1),
        ] {
            assert!(RefreshToken::parse(other).is_none(), "{other}");
        }
    }

    #[test]
    fn each_token_of_a_session_is_current_then_previous_then_used_up() {
        let (session, first) = session();
        assert_eq!(session.classify(&first, start()), Presented::Current);
        let (session, second) = session.rotate(&first, [5; 32], start());
        assert_eq!(session.classify(&second, start()), Presented::Current);
        let just_in_time = start() + GRACE - SignedDuration::from_nanos(1);
        assert_eq!(session.classify(&first, just_in_time), Presented::Previous);
        assert!(session.repeat(&first) == Some(second.clone()));
        assert_eq!(session.classify(&first, start() + GRACE), Presented::Reused);
        let (session, third) = session.rotate(&second, [6; 32], start());
        assert_eq!(session.classify(&first, start()), Presented::Reused, "an ancestor has no grace");
        assert_eq!(session.classify(&second, start()), Presented::Previous);
        assert!(third != second && second != first);
    }

    #[test]
    fn the_successor_depends_on_the_salt() {
        let (session, first) = session();
        let successor = |salt| session.rotate(&first, [salt; 32], start()).1;
        assert!(successor(1) == successor(1) && successor(1) != successor(2));
    }

    #[test]
    fn without_the_family_secret_or_with_other_ids_a_token_is_foreign() {
        let (session, token) = session();
        for foreign in [
            RefreshToken { family: [9; 16], ..token.clone() },
            RefreshToken { user_id: Uuid::from_u128(9), ..token.clone() },
            RefreshToken { session_id: Uuid::from_u128(9), ..token.clone() },
        ] {
            assert_eq!(session.classify(&foreign, start()), Presented::Foreign);
        }
        let used_up = RefreshToken { secret: [9; 32], ..token };
        assert_eq!(session.classify(&used_up, start()), Presented::Reused);
    }

    #[test]
    fn a_session_ends_by_idleness_and_at_the_latest_after_its_absolute_lifetime() {
        let (mut session, mut token) = session();
        assert_eq!(session.ends_at(), start() + IDLE_LIFETIME);
        for days in [29, 58, 87] {
            let now = start() + SignedDuration::from_hours(days * 24);
            assert!(!session.is_over(now), "{days}");
            (session, token) = session.rotate(&token, [5; 32], now);
        }
        assert_eq!(session.ends_at(), start() + ABSOLUTE_LIFETIME);
        assert!(!session.is_over(start() + ABSOLUTE_LIFETIME - SignedDuration::from_secs(1)));
        assert!(session.is_over(start() + ABSOLUTE_LIFETIME));
    }

    #[test]
    fn at_rest_there_is_no_secret() {
        let (session, first) = session();
        let (session, second) = session.rotate(&first, [5; 32], start());
        let stored = serde_json::to_string(&session).unwrap();
        for secret in [&first.family[..], &first.secret, &second.secret] {
            assert!(!stored.contains(&URL_SAFE_NO_PAD.encode(secret)), "{stored}");
        }
        assert_eq!(serde_json::from_str::<Session>(&stored).unwrap(), session);
        assert!(!format!("{session:?}").contains(&String::from(session.current_hash)));
    }

    #[test]
    fn names_of_devices_are_short_and_printable() {
        assert_eq!(device("curl/8.5.0").as_deref(), Some("curl/8.5.0"));
        assert_eq!(device("a\u{1b}[31m\nb\u{7f}").as_deref(), Some("a[31mb"));
        assert_eq!(device(&"ä".repeat(500)).map(|name| name.chars().count()), Some(200));
        for none in ["", " ", "\u{0}\r\n"] {
            assert_eq!(device(none), None);
        }
    }
}
