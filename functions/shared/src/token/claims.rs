//! What an access token says.

use jiff::SignedDuration;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use uuid::Uuid;

/// The header's `typ` of an access token (RFC 9068 §2.1).
pub const TYPE: &str = "at+jwt";

/// How long an access token is valid at most.
pub const LIFETIME: SignedDuration = SignedDuration::from_mins(15);

/// The claims of an access token (RFC 9068 §2.2), and `sid`, `username` and `roles` of ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Claims {
    /// Who signed it: the public base URL of Auth.
    pub iss: String,
    /// The user's id.
    pub sub: Uuid,
    /// Whom it is for: our API.
    pub aud: Audience,
    /// When it ends, seconds since the epoch.
    #[serde(deserialize_with = "numeric_date")]
    pub exp: i64,
    /// When it was issued, seconds since the epoch.
    #[serde(deserialize_with = "numeric_date")]
    pub iat: i64,
    /// When it begins, seconds since the epoch.
    #[serde(deserialize_with = "numeric_date")]
    pub nbf: i64,
    /// The token's own id.
    pub jti: String,
    /// The client that asked for it.
    pub client_id: String,
    /// What it may be used for, space-separated; optional in RFC 9068, absent means nothing in particular.
    #[serde(default)]
    pub scope: String,
    /// When the user last proved who they are, seconds since the epoch (RFC 9068 §2.2.1): at the login, which refreshes keep.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "optional_numeric_date")]
    pub auth_time: Option<i64>,
    /// The session that it belongs to.
    pub sid: Uuid,
    /// The user's name.
    pub username: String,
    /// What the user may do: `customer`, and for admins `admin` too; absent means nothing.
    #[serde(default)]
    pub roles: Vec<String>,
}

/// Seconds since the epoch, which may have a fraction (RFC 7519 §2); it is cut off, so that a token never lasts longer.
fn numeric_date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    let number = serde_json::Number::deserialize(deserializer)?;
    let whole = number.as_i64().or_else(|| {
        let seconds = number.as_f64()?.floor();
        // Beyond this there is no time that we could compare with, and below it the conversion is exact.
        #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
        (seconds.abs() < 1e12).then_some(seconds as i64)
    });
    whole.ok_or_else(|| D::Error::custom("expected seconds since the epoch"))
}

/// The same, where it may be absent.
fn optional_numeric_date<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    numeric_date(deserializer).map(Some)
}

/// `aud` is one name or several (RFC 7519 §4.1.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(inline))]
pub enum Audience {
    /// One.
    One(String),
    /// Several.
    Many(Vec<String>),
}

impl Audience {
    /// Whether `name` is among them.
    pub fn contains(&self, name: &str) -> bool {
        match self {
            Self::One(one) => one == name,
            Self::Many(many) => many.iter().any(|one| one == name),
        }
    }
}

impl From<&str> for Audience {
    fn from(name: &str) -> Self {
        Self::One(name.to_owned())
    }
}
