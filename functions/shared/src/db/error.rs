//! What can go wrong at the table.

use std::error::Error;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

use crate::problem::Problem;

/// A failed call to DynamoDB.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// The write's condition does not hold; nothing was written.
    #[error("the condition of the write does not hold")]
    ConditionFailed,
    /// Another transaction holds the item right now; [`retry_conflicts`](super::retry_conflicts) tries again.
    #[error("another transaction holds the item")]
    Conflict,
    /// Throttled, timed out or out of reach: the same call may succeed later.
    #[error("DynamoDB cannot answer right now")]
    Unavailable(#[source] Box<dyn Error + Send + Sync>),
    /// An item does not have the form that the store writes.
    #[error("an item does not have the expected form")]
    Format(#[source] serde_dynamo::Error),
    /// The client's cursor is none of this list's.
    #[error("cursor is not one that this list gave out")]
    BadCursor,
    /// Anything else, a bug or a missing permission.
    #[error("DynamoDB refused the call")]
    Refused(#[source] Box<dyn Error + Send + Sync>),
}

/// Errors of single calls and reasons of cancelled transactions that mean "later".
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html>
const TRANSIENT: [&str; 8] = [
    "ProvisionedThroughputExceededException",
    "ProvisionedThroughputExceeded",
    "ThrottlingException",
    "ThrottlingError",
    "RequestLimitExceeded",
    "InternalServerError",
    "ServiceUnavailable",
    "TransactionInProgressException",
];

pub(super) fn is_transient(code: &str) -> bool {
    TRANSIENT.contains(&code)
}

impl<E, R> From<SdkError<E, R>> for DbError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    fn from(error: SdkError<E, R>) -> Self {
        match &error {
            SdkError::ServiceError(service) => match service.err().code() {
                Some("ConditionalCheckFailedException") => Self::ConditionFailed,
                Some("TransactionConflictException") => Self::Conflict,
                Some(code) if is_transient(code) => Self::Unavailable(error.into()),
                _ => Self::Refused(error.into()),
            },
            SdkError::ConstructionFailure(_) => Self::Refused(error.into()),
            _ => Self::Unavailable(error.into()),
        }
    }
}

impl From<DbError> for Problem {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Conflict | DbError::Unavailable(_) => {
                tracing::warn!(error = %crate::problem::Chain(&error), "the table is unavailable");
                Self::unavailable(1)
            }
            DbError::BadCursor => Self::bad_request(error.to_string()),
            _ => Self::internal(&error),
        }
    }
}
