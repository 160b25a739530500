//! What SES reports of mails after it took them, as it does on AWS by way of an SNS topic. The emulator takes every mail and reports
//! nothing, so this looks what it took, and says that it was delivered; to the addresses of SES's mailbox simulator it says
//! what they are for: <https://docs.aws.amazon.com/ses/latest/dg/send-an-email-from-console.html#send-email-simulator>.
//!
//! The emulator also forgets a mail's tags, by which the function finds the notification. They are looked up in the table of
//! notifications by the mail's id.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use template::Function;
use tokio::time::{Instant, sleep};
use tracing::{debug, warn};

use crate::ambient;
use crate::invoke::Functions;
use crate::provision::Wire;
use crate::watch::Environment;

/// Between looks at what was sent.
const POLL: Duration = Duration::from_secs(1);
/// How long a sender may take to note what its mail is called, and a function that fails to be mended. Auth notes nothing, and
/// gets no reports.
const PATIENCE: Duration = Duration::from_mins(1);

/// The function that is told, by which topic, and what it was told.
#[derive(Debug, Clone)]
pub(super) struct Feedback {
    function: String,
    topic: String,
    table: String,
    timeout: Duration,
    emulator_url: String,
    /// Which mails it was told of.
    file: PathBuf,
}

impl Feedback {
    /// For each function with an SNS topic: only SES writes to one. Topic and table are called as in `environment`.
    pub(super) fn of(
        function: &Function,
        environment: &Environment,
        emulator_url: &str,
        state_dir: &Path,
    ) -> Option<Self> {
        function.topics.first()?;
        Some(Self {
            function: function.name.clone(),
            topic: environment.get("FEEDBACK_TOPIC")?.clone(),
            table: environment.get("NOTIFICATION_TABLE")?.clone(),
            timeout: function.timeout,
            emulator_url: emulator_url.to_owned(),
            file: state_dir.join(format!("{}.json", function.name)),
        })
    }

    /// Reports until dropped.
    pub(super) async fn run(self, functions: Functions) {
        let mut told = self.load().unwrap_or_default();
        let mut waiting: Vec<(Value, Instant)> = Vec::new();
        let mut trouble = false;
        loop {
            let outcome = self.turn(&functions, &mut told, &mut waiting).await;
            if let (Err(error), false) = (&outcome, trouble) {
                warn!(function = self.function, error = format!("{error:#}"), "cannot report on mails");
            }
            trouble = outcome.is_err();
            sleep(POLL).await;
        }
    }

    async fn turn(
        &self,
        functions: &Functions,
        told: &mut BTreeSet<String>,
        waiting: &mut Vec<(Value, Instant)>,
    ) -> Result<()> {
        let now = Instant::now();
        for mail in self.sent().await? {
            if told.insert(id_of(&mail).to_owned()) {
                waiting.push((mail, now));
            }
        }
        if waiting.is_empty() {
            return Ok(());
        }
        let tags = self.tags().await?;
        for (mail, since) in std::mem::take(waiting) {
            let id = id_of(&mail);
            let reported = match tags.get(id) {
                Some(tags) => self.report(functions, &mail, tags).await,
                None => false,
            };
            if reported {
                continue;
            }
            if since.elapsed() < PATIENCE {
                waiting.push((mail, since));
            } else if tags.contains_key(id) {
                warn!(function = self.function, mail = id, "a report on a mail is given up");
            } else {
                debug!(mail = id, "no notification's mail");
            }
        }
        let waits = |id: &String| waiting.iter().any(|(mail, _)| id_of(mail) == id);
        let done: Vec<_> = told.iter().filter(|id| !waits(id)).collect();
        fs::write(&self.file, json!(done).to_string())
            .with_context(|| format!("cannot write {}", self.file.display()))
    }

    fn load(&self) -> Result<BTreeSet<String>> {
        match fs::read(&self.file) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(BTreeSet::new()),
            text => Ok(serde_json::from_slice(&text?)?),
        }
    }

    async fn sent(&self) -> Result<Vec<Value>> {
        let url = format!("{}/_ministack/ses/messages", self.emulator_url);
        let client = reqwest::Client::builder().no_proxy().build()?;
        let answer: Value = client.get(url).send().await?.json().await?;
        let accounts = answer["messages"].as_object().into_iter().flat_map(|accounts| accounts.values());
        Ok(accounts.filter_map(Value::as_array).flatten().cloned().collect())
    }

    /// What the senders tagged their mails with, by the mail's id.
    async fn tags(&self) -> Result<BTreeMap<String, Value>> {
        let wire = Wire::new(&self.emulator_url)?;
        let mut body = json!({
            "TableName": self.table,
            "FilterExpression": "attribute_exists(email.message_id)",
            "ProjectionExpression": "id, user_id, email.message_id",
            "ConsistentRead": true,
        });
        let mut tags = BTreeMap::new();
        loop {
            let page = wire.call("dynamodb", "DynamoDB_20120810.Scan", &body).await?;
            for item in page["Items"].as_array().into_iter().flatten() {
                if let Some(message) = item["email"]["M"]["message_id"]["S"].as_str() {
                    let tagged = json!({ "user": [item["user_id"]["S"]], "notification": [item["id"]["S"]] });
                    tags.insert(message.to_owned(), tagged);
                }
            }
            let last = &page["LastEvaluatedKey"];
            if last.is_null() {
                return Ok(tags);
            }
            body["ExclusiveStartKey"] = last.clone();
        }
    }

    /// Whether the function took everything in. Told again, it changes nothing.
    async fn report(&self, functions: &Functions, mail: &Value, tags: &Value) -> bool {
        for report in reports(mail, tags) {
            let event = sns_event(&self.topic, &report);
            if let Err(failure) = functions.invoke(&self.function, &event, self.timeout).await {
                warn!(function = self.function, error = %failure, "a report on a mail failed");
                return false;
            }
        }
        true
    }
}

fn id_of(mail: &Value) -> &str {
    mail["MessageId"].as_str().unwrap_or_default()
}

/// What SES would say of a mail.
/// <https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html>
fn reports(mail: &Value, tags: &Value) -> Vec<Value> {
    let to = mail["To"][0].as_str().unwrap_or_default();
    let now = ambient::now().to_string();
    let about = json!({
        "timestamp": now,
        "messageId": id_of(mail),
        "source": mail["Source"],
        "destination": mail["To"],
        "tags": tags,
    });
    let recipient = json!([{ "emailAddress": to }]);
    let delivery = json!({ "eventType": "Delivery", "mail": about, "delivery": { "timestamp": now, "recipients": [to] } });
    let bounce = json!({
        "eventType": "Bounce",
        "mail": about,
        "bounce": { "bounceType": "Permanent", "bounceSubType": "General", "bouncedRecipients": recipient, "timestamp": now },
    });
    let complaint = json!({
        "eventType": "Complaint",
        "mail": about,
        "complaint": { "complainedRecipients": recipient, "timestamp": now },
    });
    match to.strip_suffix("@simulator.amazonses.com").map(|name| name.split('+').next().unwrap_or(name)) {
        Some("bounce" | "suppressionlist") => vec![bounce],
        Some("complaint") => vec![delivery, complaint],
        _ => vec![delivery],
    }
}

/// As SNS invokes a function. <https://docs.aws.amazon.com/lambda/latest/dg/with-sns.html>
fn sns_event(topic: &str, report: &Value) -> Value {
    json!({ "Records": [{
        "EventSource": "aws:sns",
        "EventVersion": "1.0",
        "EventSubscriptionArn": format!("{topic}:local"),
        "Sns": {
            "Type": "Notification",
            "MessageId": ambient::request_id(),
            "TopicArn": topic,
            "Subject": "Amazon SES Email Event Notification",
            "Message": report.to_string(),
            "Timestamp": report["mail"]["timestamp"],
            "MessageAttributes": {},
        },
    }] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mail_is_delivered_but_to_the_simulators_addresses() {
        for (to, expected) in [
            ("ann@example.com", &["Delivery"][..]),
            ("bounce@simulator.amazonses.com", &["Bounce"]),
            ("bounce+label@simulator.amazonses.com", &["Bounce"]),
            ("complaint@simulator.amazonses.com", &["Delivery", "Complaint"]),
            ("success@simulator.amazonses.com", &["Delivery"]),
        ] {
            let tags = json!({ "user": ["u"], "notification": ["n"] });
            let mail = json!({ "MessageId": "m", "Source": "shop@example.com", "To": [to] });
            let reports = reports(&mail, &tags);
            let kinds: Vec<_> = reports.iter().map(|report| report["eventType"].as_str().unwrap()).collect();
            assert_eq!(kinds, expected, "{to}");
            let event = sns_event("topic", &reports[0]);
            let message: Value =
                serde_json::from_str(event["Records"][0]["Sns"]["Message"].as_str().unwrap()).unwrap();
            assert_eq!((&message["mail"]["messageId"], &message["mail"]["tags"]), (&json!("m"), &tags));
        }
    }
}
