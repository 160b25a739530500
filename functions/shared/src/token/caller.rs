//! Who is calling, for handlers.

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use http::request::Parts;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::Claims;
use crate::problem::Problem;

/// The caller that a valid access token names. The route's [`Access`](crate::routes::Access) put it there; on a route
/// with `Access::Optional` ask for `Option<Caller>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The user's id.
    pub user_id: Uuid,
    /// The user's name.
    pub username: String,
    /// What the user may do: `customer`, and for admins `admin` too.
    pub roles: Vec<String>,
    /// The session that the token belongs to.
    pub session_id: Uuid,
    /// When the user last proved who they are, where the token says so.
    pub auth_time: Option<Timestamp>,
}

impl Caller {
    /// Whether the caller has the role `admin`.
    pub fn is_admin(&self) -> bool {
        self.roles.iter().any(|role| role == "admin")
    }

    /// Refuses a caller who did not prove who they are within `max_age` before `now`, by asking for a new login (RFC 9470).
    pub fn authenticated_within(&self, max_age: SignedDuration, now: Timestamp) -> Result<(), Problem> {
        match self.auth_time {
            Some(at) if now.duration_since(at) <= max_age => Ok(()),
            _ => Err(Problem::insufficient_authentication(max_age)),
        }
    }
}

impl From<&Claims> for Caller {
    fn from(claims: &Claims) -> Self {
        Self {
            user_id: claims.sub,
            username: claims.username.clone(),
            roles: claims.roles.clone(),
            session_id: claims.sid,
            auth_time: claims.auth_time.and_then(|seconds| Timestamp::from_second(seconds).ok()),
        }
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| Problem::unauthorized(None))
    }
}

impl<S: Sync> OptionalFromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Problem> {
        Ok(parts.extensions.get::<Self>().cloned())
    }
}
