//! E-mail, by Amazon SES.

use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::types::{Body, Content, Destination, EmailContent, Message, MessageHeader, MessageTag};

use crate::aws::Aws;
use crate::config::{ConfigError, Env};
use crate::sending::{SendError, classify};

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

/// What goes with a mail beside what is read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Envelope {
    /// Header fields, such as `List-Unsubscribe`.
    pub headers: Vec<(&'static str, String)>,
    /// What SES says again with its feedback: letters, digits, `_` and `-`.
    pub tags: Vec<(&'static str, String)>,
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
    configuration_set: Option<String>,
}

impl Ses {
    /// Sends from `EMAIL_SENDER`, an identity verified in SES, by the configuration set `EMAIL_CONFIGURATION_SET`, where there is
    /// one, which says where SES reports bounces and complaints.
    pub fn new(env: &Env, aws: &Aws) -> Result<Self, ConfigError> {
        let from = env.required("EMAIL_SENDER")?.to_owned();
        let configuration_set = env.optional("EMAIL_CONFIGURATION_SET").map(str::to_owned);
        Ok(Self { client: Client::new(&aws.sending_config("SESV2")), from, configuration_set })
    }

    /// Sends `mail` to the address `to`, with header fields and tags; the id that SES gave it.
    pub async fn send_in(&self, to: &str, mail: &Mail, envelope: &Envelope) -> Result<String, SendError> {
        let content = |data: &str| {
            let content = Content::builder().charset("UTF-8").data(data);
            content.build().map_err(|_| SendError::Rejected("BadContent".to_owned()))
        };
        let body = Body::builder().text(content(&mail.text)?).html(content(&mail.html)?).build();
        let mut message = Message::builder().subject(content(&mail.subject)?).body(body);
        for (name, value) in &envelope.headers {
            let header = MessageHeader::builder().name(*name).value(value).build();
            message = message.headers(header.map_err(|_| SendError::Rejected("BadHeader".to_owned()))?);
        }
        let mut call = self
            .client
            .send_email()
            .from_email_address(&self.from)
            .destination(Destination::builder().to_addresses(to).build())
            .content(EmailContent::builder().simple(message.build()).build())
            .set_configuration_set_name(self.configuration_set.clone());
        for (name, value) in &envelope.tags {
            let tag = MessageTag::builder().name(*name).value(value).build();
            call = call.email_tags(tag.map_err(|_| SendError::Rejected("BadTag".to_owned()))?);
        }
        let output = call
            .send()
            .await
            .map_err(|error| classify(&error, &["MessageRejected", "BadRequestException"]))?;
        Ok(output.message_id.unwrap_or_default())
    }
}

impl Mailer for Ses {
    async fn send(&self, to: &str, mail: &Mail) -> Result<String, SendError> {
        self.send_in(to, mail, &Envelope::default()).await
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
