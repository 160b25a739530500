//! `cargo local preview`: what Notification's messages look like, without a running system.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use jiff::Timestamp;
use notification::messages::{LOCALES, Links, Message, Recipient, compose, sms};
use notification::model::EventKind;
use order::events::{Kind, OrderEvent, VERSION};
use order::model::{Line, Order, Shipment, Status};
use shared::money::Money;
use uuid::Uuid;

/// What a mail without a running system links to.
const UNSUBSCRIBE: &str = "https://shop.example/notifications/unsubscribe/sample";

/// A customer and what they bought; the second one tries to break the page.
const SAMPLES: [Sample; 2] = [
    Sample {
        suffix: "",
        name: "Mahindra",
        products: [
            ("Espresso beans, 1 kg", 2, 1999),
            ("Moka pot for six cups", 1, 3450),
            ("قهوة عربية", 3, 1250),
        ],
        carrier: "DHL",
        tracking_number: "JJD0123456789",
    },
    Sample {
        suffix: ".hostile",
        name: "</p><script>alert(1)</script>\u{202e}{{ name }}",
        products: [
            ("\"><img src=x onerror=alert(1)>", 1, 99),
            (
                "Donaudampfschifffahrtsgesellschaftskapitänsmützenabzeichenhalterungsschraubenschlüssel",
                4_000_000,
                123_456_789,
            ),
            ("\u{2069}\u{202e}نص عربي <b>bold</b> &amp; & \u{200f}more", 7, 100_000_000_000),
        ],
        carrier: "<a href=https://evil.example>DHL</a> & Söhne, the carrier whose name does not end",
        tracking_number: "0123456789-0123456789-0123456789-0123456789-0123456789 ' OR 1=1",
    },
];

struct Sample {
    suffix: &'static str,
    name: &'static str,
    /// Name, quantity, price.
    products: [(&'static str, u32, u64); 3],
    carrier: &'static str,
    tracking_number: &'static str,
}

/// Writes the messages about this event, or about every one, in these locales into `directory`; what to tell whoever asked.
pub fn preview(directory: &Path, event: Option<&str>, locales: &[&str]) -> Result<String> {
    let kinds = match event {
        Some(event) => vec![kind(event)?],
        None => EventKind::ALL.to_vec(),
    };
    for locale in locales {
        if !LOCALES.contains(locale) {
            bail!("there are no messages in {locale}; known locales: {}", LOCALES.join(", "));
        }
    }
    fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let mut told = Vec::new();
    for locale in locales {
        for kind in &kinds {
            for sample in &SAMPLES {
                told.push(write(directory, *kind, locale, sample)?);
            }
        }
    }
    Ok(told.join("\n"))
}

/// Writes one message; its files, and what it says where it is one of an ordinary customer.
fn write(directory: &Path, kind: EventKind, locale: &str, sample: &Sample) -> Result<String> {
    let to = Recipient { name: sample.name, locale: Some(locale) };
    let Message { mail, sms } =
        compose(kind, &sample.event(kind)?, &to, &Links { unsubscribe: Some(UNSUBSCRIBE) })?;
    let mut told = Vec::new();
    let text = format!("Subject: {}\n\n{}", mail.subject, mail.text);
    for (ending, content) in [("html", &mail.html), ("txt", &text), ("sms.txt", &sms)] {
        let path = directory.join(format!("{}.{locale}{}.{ending}", name(kind), sample.suffix));
        fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
        told.push(path.display().to_string());
    }
    if sample.suffix.is_empty() {
        told.push(format!("\n{text}\nSMS, {} segment(s): {sms}\n", sms::segments(&sms)));
    }
    Ok(told.join("\n"))
}

/// The event that this name means.
fn kind(event: &str) -> Result<EventKind> {
    let known = || EventKind::ALL.map(name);
    EventKind::ALL
        .into_iter()
        .find(|kind| name(*kind) == event)
        .with_context(|| format!("there are no messages about {event}; known events: {}", known().join(", ")))
}

/// What an event is called on a command line: `order-shipped`.
fn name(kind: EventKind) -> String {
    kind.as_str().replace('_', "-")
}

impl Sample {
    /// The event as it would come, with all that its message can tell of.
    fn event(&self, kind: EventKind) -> Result<OrderEvent> {
        let (event_kind, status) = match kind {
            EventKind::OrderPlaced => (Kind::Placed, Status::PendingPayment),
            EventKind::OrderPaid => (Kind::Paid, Status::Paid),
            EventKind::OrderShipped => (Kind::Shipped, Status::Shipped),
            EventKind::OrderDelivered => (Kind::Delivered, Status::Delivered),
            EventKind::OrderCancelled => (Kind::Cancelled, Status::Cancelled),
            EventKind::OrderExpired => (Kind::Expired, Status::Expired),
            EventKind::OrderPartiallyRefunded => (Kind::PartiallyRefunded, Status::Delivered),
            EventKind::OrderRefunded => (Kind::Refunded, Status::Refunded),
        };
        let order = self.order(status).map_err(|fault| anyhow::anyhow!("the sample: {fault}"))?;
        let refund = match kind {
            EventKind::OrderPartiallyRefunded => Some(Money { amount: 1999, ..order.total }),
            EventKind::OrderRefunded => Some(order.total),
            _ => None,
        };
        Ok(OrderEvent {
            version: VERSION,
            id: order.id.to_string(),
            kind: event_kind,
            at: order.created_at,
            refund,
            order,
        })
    }

    fn order(&self, status: Status) -> Result<Order, String> {
        let eur = "EUR".parse()?;
        let mut total = Money::new(0, eur);
        let mut lines = Vec::new();
        for (name, quantity, price) in self.products {
            let price = Money::new(price, eur);
            let line = price.times(quantity).ok_or("too dear")?;
            total = total.plus(line).ok_or("too dear")?;
            lines.push(Line {
                product_id: "sample".to_owned().try_into()?,
                name: name.to_owned().try_into()?,
                quantity,
                price,
                total: line,
            });
        }
        let unpaid = matches!(status, Status::PendingPayment | Status::Expired);
        Ok(Order {
            id: Uuid::from_u128(0x0193_0000_0000_7000_8000_0000_4e2f_91ac),
            user_id: Uuid::nil(),
            status,
            lines,
            total,
            refunded: 0,
            shipping_address: None,
            payment_id: (!unpaid).then(Uuid::nil),
            shipment: Some(Shipment {
                carrier: self.carrier.to_owned().try_into()?,
                tracking_number: self.tracking_number.to_owned().try_into()?,
                estimated_delivery: None,
            }),
            created_at: Timestamp::UNIX_EPOCH,
            pay_until: Timestamp::UNIX_EPOCH,
            trace: None,
            history: Vec::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory(test: &str) -> std::path::PathBuf {
        let directory = std::env::temp_dir().join(format!("preview-{}-{test}", std::process::id()));
        let _left_over = fs::remove_dir_all(&directory);
        directory
    }

    #[test]
    fn every_message_of_every_locale_can_be_looked_at() {
        let directory = directory("all");
        let told = preview(&directory, None, &LOCALES).unwrap();
        let written: Vec<_> = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert_eq!(written.len(), EventKind::ALL.len() * LOCALES.len() * SAMPLES.len() * 3);
        for path in &written {
            assert!(told.contains(&path.display().to_string()), "{}", path.display());
        }
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn one_message_is_shown_with_its_text_and_its_sms() {
        let directory = directory("one");
        let told = preview(&directory, Some("order-shipped"), &["en"]).unwrap();
        assert!(told.contains("Subject: Your order 4e2f91ac is on its way"), "{told}");
        assert!(told.contains("SMS, 1 segment(s): Your order 4e2f91ac is on its way with DHL"), "{told}");
        let html = fs::read_to_string(directory.join("order-shipped.en.html")).unwrap();
        assert!(html.contains("<html lang=\"en\" dir=\"ltr\">"), "{html}");
        let hostile = fs::read_to_string(directory.join("order-shipped.en.hostile.html")).unwrap();
        assert!(
            !hostile.contains("<script") && !hostile.contains("<img") && !hostile.contains("<b>"),
            "{hostile}"
        );
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn what_there_is_not_is_refused_with_what_there_is() {
        let directory = directory("none");
        let error = preview(&directory, Some("order-lost"), &["en"]).unwrap_err().to_string();
        assert!(error.contains("order-lost") && error.contains("order-shipped, order-delivered"), "{error}");
        let error = preview(&directory, None, &["en", "tlh"]).unwrap_err().to_string();
        assert!(error.contains("tlh") && error.contains("en, ar, de, ja"), "{error}");
        assert!(!directory.exists());
    }
}
