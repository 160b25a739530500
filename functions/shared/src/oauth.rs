//! Errors of the endpoints that OAuth defines, in the form that its clients read: RFC 6749 §5.2.
//!
//! Whatever is not about the protocol (413, 415, 405, 500, 503) stays a [`Problem`].

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde_json::json;

use crate::http::Json;
use crate::problem::Problem;

/// What a client is challenged to do; RFC 9110 §15.5.2 wants one with every 401.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Basic realm=\"oauth\"");

/// The registered error codes that we answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// A parameter is missing, repeated or malformed.
    InvalidRequest,
    /// The client is unknown, or does not prove to be who it says.
    InvalidClient,
    /// The refresh token is not one, or not any more.
    InvalidGrant,
    /// Another grant than those that the metadata lists.
    UnsupportedGrantType,
    /// A scope that the token does not have.
    InvalidScope,
}

/// Why a request to an OAuth endpoint failed.
#[derive(Debug)]
pub enum OAuthError {
    /// By the protocol: `{"error", "error_description"}`, 401 for [`Code::InvalidClient`] and 400 for the others.
    Protocol {
        /// `error`.
        code: Code,
        /// `error_description`, for the client's developer. Only of the characters that §5.2 allows: printable ASCII without
        /// `"` and `\`.
        description: &'static str,
    },
    /// In any other way.
    Problem(Problem),
}

impl Code {
    /// `error`, as registered.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::InvalidScope => "invalid_scope",
        }
    }

    /// The error that says so.
    pub fn because(self, description: &'static str) -> OAuthError {
        OAuthError::Protocol { code: self, description }
    }

    fn status(self) -> StatusCode {
        if self == Self::InvalidClient { StatusCode::UNAUTHORIZED } else { StatusCode::BAD_REQUEST }
    }
}

impl<E: Into<Problem>> From<E> for OAuthError {
    fn from(error: E) -> Self {
        Self::Problem(error.into())
    }
}

impl IntoResponse for OAuthError {
    fn into_response(self) -> Response {
        let (code, description) = match self {
            Self::Protocol { code, description } => (code, description),
            Self::Problem(problem) => return problem.into_response(),
        };
        let body = Json(json!({ "error": code.as_str(), "error_description": description }));
        let no_store = [(CACHE_CONTROL, HeaderValue::from_static("no-store"))];
        let mut response = (code.status(), no_store, body).into_response();
        if code == Code::InvalidClient {
            response.headers_mut().insert(WWW_AUTHENTICATE, CHALLENGE);
        }
        response
    }
}
