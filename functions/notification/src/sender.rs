//! Sending, by Amazon SES and Amazon SNS.

use aws_sdk_sns::types::MessageAttributeValue;
use shared::aws::Aws;
use shared::config::{ConfigError, Env};
use shared::mail::{Envelope, Ses};
use shared::sending::{SendError, classify};
use user::model::{Email, Phone};

use crate::messages::Message;

/// Whatever sends messages; the answer is the id that the provider gave the message.
pub trait Sender {
    /// Sends `message` as an e-mail.
    fn email(
        &self,
        to: &Email,
        message: &Message,
        envelope: &Envelope,
    ) -> impl Future<Output = Result<String, SendError>> + Send;

    /// Sends `message` as an SMS.
    fn sms(&self, to: &Phone, message: &Message) -> impl Future<Output = Result<String, SendError>> + Send;
}

/// Sends by SES (e-mail) and SNS (SMS).
#[derive(Debug, Clone)]
pub struct AwsSender {
    ses: Ses,
    sns: aws_sdk_sns::Client,
}

impl AwsSender {
    /// A sender whose e-mail comes from `EMAIL_SENDER`, an identity verified in SES.
    pub fn new(env: &Env, aws: &Aws) -> Result<Self, ConfigError> {
        let sns = aws_sdk_sns::Client::new(&aws.sending_config("SNS"));
        Ok(Self { ses: Ses::new(env, aws)?, sns })
    }
}

impl Sender for AwsSender {
    async fn email(&self, to: &Email, message: &Message, envelope: &Envelope) -> Result<String, SendError> {
        self.ses.send_in(to.as_str(), &message.mail, envelope).await
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

#[cfg(test)]
mod tests;
