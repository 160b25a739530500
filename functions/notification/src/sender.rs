//! Sending, by Amazon SES and Amazon SNS.

use std::error::Error;
use std::io;
use std::time::Duration;

use aws_sdk_sesv2::config::http::HttpResponse;
use aws_sdk_sesv2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sesv2::types::{Body, Content, Destination, EmailContent, Message as Mail};
use aws_sdk_sns::types::MessageAttributeValue;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use shared::aws::Aws;
use shared::config::{ConfigError, Env};
use user::model::{Email, Phone};

use crate::messages::Message;

/// Whatever sends messages; the answer is the id that the provider gave the message.
pub trait Sender {
    /// Sends `message` as an e-mail.
    fn email(&self, to: &Email, message: &Message) -> impl Future<Output = Result<String, SendError>> + Send;

    /// Sends `message` as an SMS.
    fn sms(&self, to: &Phone, message: &Message) -> impl Future<Output = Result<String, SendError>> + Send;
}

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

/// Sends by SES (e-mail) and SNS (SMS).
#[derive(Debug, Clone)]
pub struct AwsSender {
    ses: aws_sdk_sesv2::Client,
    sns: aws_sdk_sns::Client,
    from: String,
}

impl AwsSender {
    /// A sender whose e-mail comes from `EMAIL_SENDER`, an identity verified in SES.
    pub fn new(env: &Env, aws: &Aws) -> Result<Self, ConfigError> {
        let from = env.required("EMAIL_SENDER")?.to_owned();
        let ses = aws_sdk_sesv2::Client::new(&send_once(aws.sdk_config("SESV2")));
        let sns = aws_sdk_sns::Client::new(&send_once(aws.sdk_config("SNS")));
        Ok(Self { ses, sns, from })
    }
}

/// Neither API can recognise a repeated call, so the SDK must not repeat any; and each call opens a connection of its
/// own, because one left over from before the sandbox was frozen tends to break just when the call is on its way.
fn send_once(config: SdkConfig) -> SdkConfig {
    let client = Builder::new().pool_max_idle_per_host(0);
    let client = if config.endpoint_url().is_some_and(|url| url.starts_with("http://")) {
        client.build_http()
    } else {
        client.tls_provider(Provider::Rustls(CryptoMode::AwsLc)).build_https()
    };
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(2))
        .operation_attempt_timeout(Duration::from_secs(10))
        .build();
    config
        .into_builder()
        .http_client(client)
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts)
        .build()
}

impl Sender for AwsSender {
    async fn email(&self, to: &Email, message: &Message) -> Result<String, SendError> {
        let content = |data: &str| {
            let content = Content::builder().charset("UTF-8").data(data);
            content.build().map_err(|_| SendError::Rejected("BadContent".to_owned()))
        };
        let body = Body::builder().text(content(&message.text)?).html(content(&message.html)?).build();
        let mail = Mail::builder().subject(content(&message.subject)?).body(body).build();
        let output = self
            .ses
            .send_email()
            .from_email_address(&self.from)
            .destination(Destination::builder().to_addresses(to.as_str()).build())
            .content(EmailContent::builder().simple(mail).build())
            .send()
            .await
            .map_err(|error| classify(&error, &["MessageRejected", "BadRequestException"]))?;
        Ok(output.message_id.unwrap_or_default())
    }

    async fn sms(&self, to: &Phone, message: &Message) -> Result<String, SendError> {
        let transactional =
            MessageAttributeValue::builder().data_type("String").string_value("Transactional");
        let kind = transactional.build().map_err(|_| SendError::Rejected("BadContent".to_owned()))?;
        let output = self
            .sns
            .publish()
            .phone_number(to.as_str())
            .message(&message.sms)
            .message_attributes("AWS.SNS.SMS.SMSType", kind)
            .send()
            .await
            .map_err(|error| {
                classify(&error, &["InvalidParameter", "ParameterValueInvalid", "ValidationException"])
            })?;
        Ok(output.message_id.unwrap_or_default())
    }
}

/// What a failed call says about the message. Everything that is not certain is [`SendError::Unknown`].
fn classify<E>(error: &SdkError<E, HttpResponse>, permanent: &[&str]) -> SendError
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

#[cfg(test)]
mod tests;
