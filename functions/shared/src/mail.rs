//! E-mail, by Amazon SES.

use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::types::{Body, Content, Destination, EmailContent, Message};

use crate::aws::Aws;
use crate::config::{ConfigError, Env};
use crate::sending::{SendError, classify, send_once};

/// An e-mail, but for whom it is from and to.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// The subject.
    pub subject: String,
    /// The body as plain text.
    pub text: String,
    /// The body as HTML.
    pub html: String,
}

/// Whatever sends e-mails.
pub trait Mailer {
    /// Sends `mail` to the address `to`; the id that the provider gave it.
    fn send(&self, to: &str, mail: &Mail) -> impl Future<Output = Result<String, SendError>> + Send;
}

/// Sends by SES.
#[derive(Debug, Clone)]
pub struct Ses {
    client: Client,
    from: String,
}

impl Ses {
    /// Sends from `EMAIL_SENDER`, an identity verified in SES.
    pub fn new(env: &Env, aws: &Aws) -> Result<Self, ConfigError> {
        let from = env.required("EMAIL_SENDER")?.to_owned();
        Ok(Self { client: Client::new(&send_once(aws.sdk_config("SESV2"))), from })
    }
}

impl Mailer for Ses {
    async fn send(&self, to: &str, mail: &Mail) -> Result<String, SendError> {
        let content = |data: &str| {
            let content = Content::builder().charset("UTF-8").data(data);
            content.build().map_err(|_| SendError::Rejected("BadContent".to_owned()))
        };
        let body = Body::builder().text(content(&mail.text)?).html(content(&mail.html)?).build();
        let message = Message::builder().subject(content(&mail.subject)?).body(body).build();
        let output = self
            .client
            .send_email()
            .from_email_address(&self.from)
            .destination(Destination::builder().to_addresses(to).build())
            .content(EmailContent::builder().simple(message).build())
            .send()
            .await
            .map_err(|error| classify(&error, &["MessageRejected", "BadRequestException"]))?;
        Ok(output.message_id.unwrap_or_default())
    }
}

/// Text as HTML, safe between tags and in quoted attributes.
pub fn escape(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            other => html.push(other),
        }
    }
    html
}
