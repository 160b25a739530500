//! Answers that can be given again.

use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CONTENT_TYPE, LOCATION};
use serde::{Deserialize, Serialize};

use crate::problem::Problem;

/// A final answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// What was asked for was done.
    Success(Success),
    /// It was tried, and will not be done: the same request will never be answered otherwise.
    Problem(Problem),
}

/// 2xx with a JSON body.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Success {
    #[serde(with = "status")]
    status: StatusCode,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    location: Option<String>,
    /// JSON, as it was sent: a value would lose the order of its members.
    body: String,
}

impl Reply {
    /// 201 with the path of what was made.
    pub fn created(location: String, body: &impl Serialize) -> Result<Self, Problem> {
        Self::success(StatusCode::CREATED, Some(location), body)
    }

    /// 200.
    pub fn ok(body: &impl Serialize) -> Result<Self, Problem> {
        Self::success(StatusCode::OK, None, body)
    }

    /// 202: it will be done.
    pub fn accepted(location: String, body: &impl Serialize) -> Result<Self, Problem> {
        Self::success(StatusCode::ACCEPTED, Some(location), body)
    }

    /// A final refusal. Its headers are not kept.
    pub fn problem(problem: Problem) -> Self {
        Self::Problem(problem)
    }

    fn success(status: StatusCode, location: Option<String>, body: &impl Serialize) -> Result<Self, Problem> {
        let body = serde_json::to_string(body).map_err(|error| Problem::internal(&error))?;
        Ok(Self::Success(Success { status, location, body }))
    }

    pub(super) fn is_server_error(&self) -> bool {
        matches!(self, Self::Problem(problem) if problem.status().is_server_error())
    }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        match self {
            Self::Success(success) => success.into_response(),
            Self::Problem(problem) => problem.into_response(),
        }
    }
}

impl IntoResponse for Success {
    fn into_response(self) -> Response {
        let content_type = [(CONTENT_TYPE, "application/json")];
        let location = self.location.map(|location| [(LOCATION, location)]);
        match location {
            Some(location) => (self.status, content_type, location, self.body).into_response(),
            None => (self.status, content_type, self.body).into_response(),
        }
    }
}

/// A status as its number.
pub(crate) mod status {
    use http::StatusCode;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
    pub(crate) fn serialize<S: Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u16(status.as_u16())
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<StatusCode, D::Error> {
        StatusCode::from_u16(u16::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}
