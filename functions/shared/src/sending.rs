//! Calls that send something to a person: what their failure says about the message.

use std::error::Error;
use std::io;

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

/// Why a message was not sent, or may not have been. Holds the provider's error code and never its message, which may
/// quote an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// It certainly was not sent; another attempt may succeed.
    #[error("the provider could not take the message: {0}")]
    Failed(String),
    /// It certainly was not sent, and never will be.
    #[error("the provider does not take the message: {0}")]
    Rejected(String),
    /// It may have been sent.
    #[error("whether the provider took the message is not known: {0}")]
    Unknown(&'static str),
}

/// What a failed call says about the message; `permanent` are the codes that no other attempt would change. Everything
/// that is not certain is [`SendError::Unknown`].
pub fn classify<E>(error: &SdkError<E, HttpResponse>, permanent: &[&str]) -> SendError
where
    E: ProvideErrorMetadata + Error + 'static,
{
    match error {
        // An error answer with a code is the provider's own word that it did not take the message; one without may come
        // from anything on the way. A 500 (`InternalFailure`) says that the provider does not know either.
        // https://docs.aws.amazon.com/ses/latest/APIReference-V2/CommonErrors.html
        SdkError::ServiceError(service) => match service.err().code() {
            Some(_) if service.raw().status().as_u16() == 500 => SendError::Unknown("an internal failure"),
            Some(code) if permanent.contains(&code) => SendError::Rejected(code.to_owned()),
            Some(code) => SendError::Failed(code.to_owned()),
            None => SendError::Unknown("an error answer without a code"),
        },
        SdkError::ConstructionFailure(_) => SendError::Failed("the request cannot be made".to_owned()),
        // There is no read timeout: this one is the connection's, before anything was said.
        SdkError::DispatchFailure(failure) if failure.is_timeout() => {
            SendError::Failed("no connection in time".to_owned())
        }
        SdkError::DispatchFailure(failure) if failure.as_connector_error().is_some_and(|e| is_refused(e)) => {
            SendError::Failed("connection refused".to_owned())
        }
        SdkError::DispatchFailure(_) => SendError::Unknown("the connection broke"),
        SdkError::TimeoutError(_) => SendError::Unknown("no answer in time"),
        _ => SendError::Unknown("an answer that makes no sense"),
    }
}

fn is_refused(error: &(dyn Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| (*error).source()).any(|cause| {
        let io = cause.downcast_ref::<io::Error>();
        io.is_some_and(|io| io.kind() == io::ErrorKind::ConnectionRefused)
    })
}
