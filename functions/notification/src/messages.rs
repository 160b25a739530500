//! What the messages say: templates (`templates/`) filled with the words of a locale (`locales/`).

pub mod amount;
mod catalog;
mod render;
pub mod sms;

use order::events::OrderEvent;
use order::model::Order;
use serde::Serialize;
use shared::mail::Mail;

use crate::model::EventKind;
use catalog::{CATALOG, Locale};

/// The locales that have words, the one for everybody else first.
pub const LOCALES: [&str; 4] = ["en", "ar", "de", "ja"];

/// How much of what others typed goes into an SMS, in UTF-16 units: a longer one is cut.
const SMS_CARRIER: usize = 20;
const SMS_TRACKING: usize = 40;

/// A message in all its forms.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// The e-mail.
    pub mail: Mail,
    /// The SMS.
    pub sms: String,
}

/// Whom a message is for.
#[derive(Debug, Clone, Copy)]
pub struct Recipient<'a> {
    /// What to call them.
    pub name: &'a str,
    /// The language tag of their profile.
    pub locale: Option<&'a str>,
}

/// Where a mail leads.
#[derive(Debug, Clone, Copy, Default)]
pub struct Links<'a> {
    /// An absolute URL that ends mails like this one, where it may be ended.
    pub unsubscribe: Option<&'a str>,
}

/// A message that cannot be composed: a fault in a template or in a locale's words, and not in what happened.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the message cannot be composed: {0}")]
pub struct ComposeError(String);

/// What templates and words can say about an event. All text in it is plain, of one line.
#[derive(Clone, Serialize)]
struct Facts<'a> {
    name: String,
    /// The order's id, or the end of it where there is little room.
    order: String,
    order_id: String,
    lines: Vec<Piece>,
    total: String,
    refund: Option<String>,
    refund_due: bool,
    carrier: Option<String>,
    tracking: Option<String>,
    unsubscribe: Option<&'a str>,
    lang: &'static str,
    dir: &'static str,
    start: &'static str,
    end: &'static str,
}

/// A line of the order.
#[derive(Clone, Serialize)]
struct Piece {
    name: String,
    quantity: u32,
    price: String,
    total: String,
}

/// The message that tells `to` of `event`, which is of this kind, in their language.
pub fn compose(
    kind: EventKind,
    event: &OrderEvent,
    to: &Recipient<'_>,
    links: &Links<'_>,
) -> Result<Message, ComposeError> {
    let catalog = CATALOG.as_ref().map_err(Clone::clone)?;
    let locale = catalog.locale(to.locale);
    let facts = facts(kind, event, to, links, locale);
    let short = Facts {
        carrier: facts.carrier.as_deref().map(|carrier| sms::cut(carrier, SMS_CARRIER)),
        tracking: facts.tracking.as_deref().map(|tracking| sms::cut(tracking, SMS_TRACKING)),
        ..facts.clone()
    };
    let mail = Mail {
        subject: catalog.word(locale, kind, "subject", &facts)?,
        text: catalog.mail(locale, kind, "mail.txt", &facts)?,
        html: catalog.mail(locale, kind, "mail.html", &facts)?,
    };
    Ok(Message { mail, sms: catalog.word(locale, kind, "sms", &short)? })
}

fn facts<'a>(
    kind: EventKind,
    event: &OrderEvent,
    to: &Recipient<'_>,
    links: &Links<'a>,
    locale: &Locale,
) -> Facts<'a> {
    let order = &event.order;
    let refund =
        event.refund.filter(|_| matches!(kind, EventKind::OrderPartiallyRefunded | EventKind::OrderRefunded));
    let travels = matches!(kind, EventKind::OrderShipped | EventKind::OrderDelivered);
    let shipment = order.shipment.as_ref().filter(|_| travels);
    let (start, end) = if locale.is_rtl() { ("right", "left") } else { ("left", "right") };
    let order_id = order.id.to_string();
    Facts {
        name: render::clean(to.name),
        order: order_id[order_id.len() - 8..].to_owned(),
        order_id,
        lines: pieces(order, locale),
        total: locale.amount(order.total),
        refund: refund.map(|refund| locale.amount(refund)),
        refund_due: order.refund_due(),
        carrier: shipment.map(|shipment| render::clean(shipment.carrier.as_str())),
        tracking: shipment.map(|shipment| render::clean(shipment.tracking_number.as_str())),
        unsubscribe: links.unsubscribe,
        lang: locale.tag,
        dir: locale.words.direction.as_str(),
        start,
        end,
    }
}

fn pieces(order: &Order, locale: &Locale) -> Vec<Piece> {
    let piece = |line: &order::model::Line| Piece {
        name: render::clean(line.name.as_str()),
        quantity: line.quantity,
        price: locale.amount(line.price),
        total: locale.amount(line.total),
    };
    order.lines.iter().map(piece).collect()
}

#[cfg(test)]
mod tests;
