//! What the messages say.

use std::fmt::Write as _;

use order::events::OrderEvent;
use order::model::Order;
use shared::mail::{Mail, escape};
use shared::money::{Currency, Money};

use crate::model::EventKind;

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
    /// The language that they want, as a BCP 47 tag.
    pub locale: Option<&'a str>,
}

/// What a message links to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Links<'a> {
    /// Where mails like it are ended.
    pub unsubscribe: Option<&'a str>,
}

/// A message cannot be composed, which is a bug.
#[derive(Debug, thiserror::Error)]
#[error("the message cannot be composed")]
pub struct ComposeError;

/// The message that tells `to` of `event`, which is of this kind.
pub fn compose(
    kind: EventKind,
    event: &OrderEvent,
    to: &Recipient<'_>,
    _: &Links<'_>,
) -> Result<Message, ComposeError> {
    let name = to.name;
    let order = &event.order;
    let id = order.id;
    let (subject, body) = match kind {
        EventKind::OrderPlaced => (
            format!("We have your order {id}"),
            format!("Thank you for your order {id}. We send it as soon as it is paid."),
        ),
        EventKind::OrderPaid => (
            format!("Your order {id} is paid"),
            format!("We have received {} for your order {id}.", amount(order.total)),
        ),
        EventKind::OrderShipped => (format!("Your order {id} is on its way"), shipped(order)),
        EventKind::OrderDelivered => (
            format!("Your order {id} has arrived"),
            format!("Your order {id} was delivered. We hope that you like it."),
        ),
        EventKind::OrderCancelled => (format!("Your order {id} is cancelled"), cancelled(order)),
        EventKind::OrderExpired => (
            format!("Your order {id} has expired"),
            format!("Your order {id} was not paid in time and has expired. Nothing was charged."),
        ),
        EventKind::OrderPartiallyRefunded => {
            (format!("A part of your order {id} is refunded"), refunded(event))
        }
        EventKind::OrderRefunded => (format!("Your order {id} is refunded"), refunded(event)),
    };
    let sms = match kind {
        EventKind::OrderShipped => body.clone(),
        _ => format!("{subject}."),
    };
    let mail = Mail { text: text(order, name, &body), html: html(order, name, &body), subject };
    Ok(Message { mail, sms })
}

fn shipped(order: &Order) -> String {
    let carrier = order.shipment.as_ref().map_or_else(String::new, |shipment| {
        format!(" with {}, tracking number {}", shipment.carrier.as_str(), shipment.tracking_number.as_str())
    });
    format!("Your order {} is on its way{carrier}.", order.id)
}

fn cancelled(order: &Order) -> String {
    let refund = if order.refund_due() { " You get back what you paid." } else { "" };
    format!("Your order {} was cancelled.{refund}", order.id)
}

fn refunded(event: &OrderEvent) -> String {
    let sum = event.refund.map_or_else(|| "what you paid".to_owned(), amount);
    format!("We have refunded {sum} for your order {}.", event.order.id)
}

fn text(order: &Order, name: &str, body: &str) -> String {
    let mut text = format!("Hello {name},\n\n{body}\n\n");
    for line in &order.lines {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{} × {}: {}", line.quantity, line.name.as_str(), amount(line.total));
    }
    let _ = writeln!(text, "Total: {}", amount(order.total));
    text
}

fn html(order: &Order, name: &str, body: &str) -> String {
    let mut rows = String::new();
    for line in &order.lines {
        let _ = write!(
            rows,
            "<tr><td>{} × {}</td><td>{}</td></tr>",
            line.quantity,
            escape(line.name.as_str()),
            escape(&amount(line.total))
        );
    }
    format!(
        "<!doctype html><html lang=\"en\"><body><p>Hello {},</p><p>{}</p><table>{rows}<tr><td>Total</td><td>{}</td></tr></table></body></html>",
        escape(name),
        escape(body),
        escape(&amount(order.total))
    )
}

/// An amount as people write it: `19.99 EUR`, `500 JPY`.
fn amount(money: Money) -> String {
    let decimals = decimals(money.currency);
    let digits = format!("{:0width$}", money.amount, width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    let point = if decimals == 0 { "" } else { "." };
    format!("{whole}{point}{fraction} {}", money.currency)
}

/// How many decimals a currency's minor unit stands for (ISO 4217, table A.1).
fn decimals(currency: Currency) -> usize {
    match currency.as_str() {
        "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX" | "UYI"
        | "VND" | "VUV" | "XAF" | "XOF" | "XPF" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        "CLF" | "UYW" => 4,
        _ => 2,
    }
}
