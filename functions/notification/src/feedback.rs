//! What SES says of mails after it took them, by way of SNS: `notification-feedback`.
//!
//! Mail to an address that does not exist, or whose owner calls it spam, costs the sender's reputation and in the end its
//! account, so nothing is sent there any more. A bounce that may pass (a full mailbox) is noted and does no more.
//!
//! Who may say so: the function is invoked by its topic alone, and the topic is written to by SES alone (the policies in
//! `template.yaml`). What comes from another topic is refused here too.
//! <https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html>

use serde::Deserialize;
use shared::aws::Aws;
use shared::clock::Clock;
use shared::config::{ConfigError, Env};
use shared::db::{DbError, Table};
use uuid::Uuid;

use crate::model::Status;
use crate::store::{Feedback, NotificationStore};

/// What SES says once, when it is told to report to the topic.
const VALIDATION: &str = "Successfully validated SNS topic";

/// The function.
#[derive(Debug, Clone)]
pub struct Listener {
    /// What was sent, and where nothing is sent any more.
    pub notifications: NotificationStore,
    /// The ARN of the topic that SES writes to.
    pub topic: String,
    /// Time.
    pub clock: Clock,
}

/// An invocation by SNS. <https://docs.aws.amazon.com/lambda/latest/dg/with-sns.html>
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SnsEvent {
    /// One, in practice.
    pub records: Vec<SnsRecord>,
}

/// One message.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct SnsRecord {
    sns: SnsMessage,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SnsMessage {
    topic_arn: String,
    message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    event_type: String,
    mail: MailReport,
    bounce: Option<Bounce>,
    complaint: Option<Complaint>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MailReport {
    message_id: String,
    #[serde(default)]
    tags: Tags,
}

#[derive(Default, Deserialize)]
struct Tags {
    #[serde(default)]
    user: Vec<Uuid>,
    #[serde(default)]
    notification: Vec<Uuid>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bounce {
    #[serde(rename = "bounceType")]
    kind: String,
    #[serde(default, rename = "bounceSubType")]
    sub_kind: String,
    bounced_recipients: Vec<ReportedRecipient>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Complaint {
    complained_recipients: Vec<ReportedRecipient>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ReportedRecipient {
    email_address: String,
}

/// Why a message has to come again, or ends as a dead letter.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It came by another way than SES's.
    #[error("the message is not from the topic {0}")]
    Stranger(String),
    /// It is not what SES says.
    #[error("the message is no report of SES")]
    Unreadable(#[source] serde_json::Error),
    /// A table.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl Listener {
    /// What a running function works with: the table that `NOTIFICATION_TABLE` names, and the topic `FEEDBACK_TOPIC`.
    pub fn new(env: &Env, aws: &Aws) -> Result<Self, ConfigError> {
        let table = Table::new(aws.dynamodb(), env.required("NOTIFICATION_TABLE")?);
        let topic = env.required("FEEDBACK_TOPIC")?.to_owned();
        Ok(Self { notifications: NotificationStore::new(table), topic, clock: Clock::system() })
    }

    /// Takes in an invocation. The same report twice changes nothing the second time.
    pub async fn hear(&self, event: &SnsEvent) -> Result<(), Error> {
        for record in &event.records {
            if record.sns.topic_arn != self.topic {
                return Err(Error::Stranger(self.topic.clone()));
            }
            if record.sns.message.starts_with(VALIDATION) {
                continue;
            }
            let report = serde_json::from_str(&record.sns.message).map_err(Error::Unreadable)?;
            self.take_in(&report).await?;
        }
        Ok(())
    }

    async fn take_in(&self, report: &Report) -> Result<(), Error> {
        let (status, reason, suppressed) =
            match (report.event_type.as_str(), &report.bounce, &report.complaint) {
                ("Delivery", ..) => (Status::Delivered, None, None),
                ("Bounce", Some(bounce), _) => {
                    let reason = format!("{}/{}", bounce.kind, bounce.sub_kind);
                    let for_good = bounce.kind == "Permanent";
                    (Status::Bounced, Some(reason), for_good.then_some(&bounce.bounced_recipients))
                }
                ("Complaint", _, Some(complaint)) => {
                    (Status::Complained, None, Some(&complaint.complained_recipients))
                }
                (other, ..) => {
                    tracing::info!(event_type = other, "nothing to do");
                    return Ok(());
                }
            };
        for recipient in suppressed.iter().copied().flatten() {
            self.notifications
                .suppress(bare(&recipient.email_address), status.as_str(), self.clock.now())
                .await?;
            tracing::warn!(
                status = status.as_str(),
                message_id = report.mail.message_id,
                "an address is suppressed"
            );
        }
        let Tags { user, notification } = &report.mail.tags;
        if let (Some(user_id), Some(id)) = (user.first(), notification.first()) {
            let message_id = report.mail.message_id.clone();
            let feedback = Feedback { status, for_good: suppressed.is_some(), reason, message_id };
            let noted = self.notifications.note(*user_id, *id, &feedback).await?;
            tracing::info!(notification_id = %id, status = status.as_str(), noted, "feedback");
        }
        Ok(())
    }
}

/// SES quotes addresses as they stand in the mail: `Ann <ann@example.com>` or bare.
fn bare(address: &str) -> &str {
    let inner = address.rsplit_once('<').and_then(|(_, rest)| rest.strip_suffix('>'));
    inner.unwrap_or(address).trim()
}

#[cfg(test)]
mod tests;
