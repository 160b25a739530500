//! What the emulator says was sent. Whatever it leaves out is shown as empty: a page that shows less is better than none.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

/// A mail that SES took.
#[derive(Debug, Serialize)]
pub(super) struct Mail {
    /// Its id at SES, in letters that need no escaping in a URL.
    pub(super) key: String,
    /// Its id at SES.
    id: String,
    from: String,
    to: String,
    copies: String,
    subject: String,
    /// The body as plain text.
    text: String,
    /// The body as HTML.
    pub(super) html: String,
    at: String,
    /// The time for people.
    shown: String,
    #[serde(skip)]
    order: Timestamp,
}

/// An SMS that SNS took.
#[derive(Debug, Serialize)]
pub(super) struct Sms {
    to: String,
    text: String,
}

/// The mails, newest first.
pub(super) fn mails(answer: &Value) -> Vec<Mail> {
    let accounts = answer["messages"].as_object().into_iter().flatten();
    let mut mails: Vec<_> =
        accounts.flat_map(|(_, list)| list.as_array().into_iter().flatten()).map(mail).collect();
    // Those of the same moment are in the order of sending: a stable sort of the reversed list keeps the newest first.
    mails.reverse();
    mails.sort_by_key(|mail| std::cmp::Reverse(mail.order));
    mails
}

fn mail(value: &Value) -> Mail {
    let id = text(&value["MessageId"]);
    // Seconds since 1970, with a fraction.
    let seconds = value["Timestamp"].as_f64().unwrap_or_default();
    let sent = std::time::Duration::try_from_secs_f64(seconds).ok();
    let order =
        sent.and_then(|sent| Timestamp::UNIX_EPOCH.checked_add(sent).ok()).unwrap_or(Timestamp::UNIX_EPOCH);
    Mail {
        key: id.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).collect(),
        id,
        from: text(&value["Source"]),
        to: addresses(&value["To"]),
        copies: [addresses(&value["CC"]), addresses(&value["BCC"])].join(" ").trim().to_owned(),
        subject: text(&value["Subject"]),
        text: text(&value["BodyText"]),
        html: text(&value["BodyHtml"]),
        at: order.to_string(),
        shown: order.strftime("%Y-%m-%d %H:%M:%S UTC").to_string(),
        order,
    }
}

impl Mail {
    /// What stands above the body.
    pub(super) fn headers(&self) -> Vec<(&'static str, &str)> {
        let headers = [
            ("From", &self.from),
            ("To", &self.to),
            ("Copies", &self.copies),
            ("Sent", &self.shown),
            ("Message-ID", &self.id),
        ];
        headers
            .into_iter()
            .map(|(name, value)| (name, value.as_str()))
            .filter(|(_, value)| !value.is_empty())
            .collect()
    }
}

/// The SMS by number, and of one number the newest first.
pub(super) fn sms(answer: &Value) -> Vec<Sms> {
    let numbers = answer["sms_messages"].as_object().into_iter().flatten();
    let lists = numbers.flat_map(|(_, list)| list.as_array().into_iter().flatten().rev());
    lists.map(|sms| Sms { to: text(&sms["PhoneNumber"]), text: text(&sms["Message"]) }).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn addresses(value: &Value) -> String {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")
}
