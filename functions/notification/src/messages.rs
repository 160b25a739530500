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

/// The message that tells `name` of `event`, which is of this kind.
pub fn compose(kind: EventKind, event: &OrderEvent, name: &str) -> Message {
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
    Message { mail, sms }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::order;

    const ALL: [EventKind; 8] = [
        EventKind::OrderPlaced,
        EventKind::OrderPaid,
        EventKind::OrderShipped,
        EventKind::OrderDelivered,
        EventKind::OrderCancelled,
        EventKind::OrderExpired,
        EventKind::OrderPartiallyRefunded,
        EventKind::OrderRefunded,
    ];

    fn event(order: Order) -> OrderEvent {
        OrderEvent {
            id: "1".to_owned(),
            kind: order::events::Kind::Placed,
            at: order.created_at,
            refund: None,
            order,
        }
    }

    #[test]
    fn amounts_have_the_decimals_of_their_currency() {
        for (value, currency, expected) in [
            (1999, "EUR", "19.99 EUR"),
            (5, "USD", "0.05 USD"),
            (500, "JPY", "500 JPY"),
            (1, "KWD", "0.001 KWD"),
            (u64::MAX, "EUR", "184467440737095516.15 EUR"),
        ] {
            assert_eq!(amount(Money::new(value, currency.parse().unwrap())), expected);
        }
    }

    #[test]
    fn every_message_says_which_order_it_is_about() {
        let event = event(order());
        for kind in ALL {
            let message = compose(kind, &event, "Ann");
            for form in [&message.mail.subject, &message.mail.text, &message.mail.html, &message.sms] {
                assert!(form.contains(&event.order.id.to_string()), "{kind:?}: {form}");
            }
            assert!(message.mail.text.contains("Hello Ann"));
            assert!(message.mail.text.contains("2 × Espresso: 19.98 EUR"), "{}", message.mail.text);
            assert!(!message.mail.subject.contains('\n') && message.sms.len() <= 160, "{kind:?}");
        }
    }

    #[test]
    fn a_refund_says_how_much_and_a_cancellation_whether_there_will_be_one() {
        let refund = Some(Money::new(500, "EUR".parse().unwrap()));
        let refunded = OrderEvent { refund, ..event(order()) };
        for kind in [EventKind::OrderPartiallyRefunded, EventKind::OrderRefunded] {
            let text = compose(kind, &refunded, "Ann").mail.text;
            assert!(text.contains("We have refunded 5.00 EUR for your order"), "{text}");
        }
        let mut cancelled = order();
        cancelled.status = order::model::Status::Cancelled;
        for paid in [false, true] {
            cancelled.payment_id = paid.then(uuid::Uuid::nil);
            let text = compose(EventKind::OrderCancelled, &event(cancelled.clone()), "Ann").mail.text;
            assert_eq!(text.contains("You get back what you paid."), paid, "{text}");
        }
    }

    #[test]
    fn a_shipped_order_can_be_tracked() {
        let mut order = order();
        order.shipment = serde_json::from_str(r#"{"carrier":"DHL","tracking_number":"JJD<1>"}"#).unwrap();
        let message = compose(EventKind::OrderShipped, &event(order), "Ann");
        assert!(message.sms.ends_with("with DHL, tracking number JJD<1>."), "{}", message.sms);
        assert!(
            message.mail.html.contains("with DHL, tracking number JJD&lt;1&gt;."),
            "{}",
            message.mail.html
        );
    }

    #[test]
    fn what_people_typed_is_text_in_the_html() {
        let mut order = order();
        order.lines[0].name = "\"><img src=x onerror='a()'>&".to_owned().try_into().unwrap();
        let event = event(order);
        for kind in ALL {
            let html = compose(kind, &event, "<script>alert(1)</script>").mail.html;
            assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "{html}");
            assert!(html.contains("&quot;&gt;&lt;img src=x onerror=&#39;a()&#39;&gt;&amp;"), "{html}");
            assert!(!html.contains("<script") && !html.contains("<img"), "{html}");
        }
    }
}
