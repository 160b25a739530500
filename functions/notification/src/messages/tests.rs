use order::model::Status;
use shared::money::Money;

use super::*;
use crate::testing::order;

const HOSTILE: &str = "\"><img src=x onerror='a()'>&{{ 7*7 }}\u{202e}";

fn event(order: Order) -> OrderEvent {
    OrderEvent {
        version: 1,
        id: "1".to_owned(),
        kind: order::events::Kind::Placed,
        at: order.created_at,
        refund: None,
        order,
    }
}

/// The order with all that a message can tell of it.
fn full() -> OrderEvent {
    let mut order = order();
    order.payment_id = Some(uuid::Uuid::nil());
    order.shipment = Some(shipment("DHL", "JJD0123456789"));
    OrderEvent { refund: Some(Money::new(500, "EUR".parse().unwrap())), ..event(order) }
}

fn shipment(carrier: &str, tracking_number: &str) -> order::model::Shipment {
    order::model::Shipment {
        carrier: carrier.to_owned().try_into().unwrap(),
        tracking_number: tracking_number.to_owned().try_into().unwrap(),
        estimated_delivery: None,
    }
}

fn message(kind: EventKind, event: &OrderEvent, name: &str, locale: &str) -> Message {
    let to = Recipient { name, locale: Some(locale) };
    let links = Links { unsubscribe: Some("https://shop.example/stop?token=a.b&c=\"") };
    compose(kind, event, &to, &links).unwrap()
}

fn each(mut check: impl FnMut(EventKind, &str)) {
    for locale in LOCALES {
        for kind in EventKind::ALL {
            check(kind, locale);
        }
    }
}

#[test]
fn every_message_says_which_order_it_is_about() {
    let event = full();
    each(|kind, locale| {
        let Message { mail, sms } = message(kind, &event, "Ann", locale);
        for form in [&mail.text, &mail.html] {
            assert!(form.contains(&event.order.id.to_string()), "{kind:?}: {form}");
            assert!(form.contains("Ann") && form.contains("Espresso"), "{kind:?}: {form}");
        }
        for form in [&mail.subject, &sms] {
            assert!(form.contains("00000007") && !form.contains(char::is_control), "{kind:?}: {form}");
        }
    });
}

#[test]
fn a_mail_as_plain_text_says_it_all() {
    let expected = "\
Hello Ann,

Your order is on its way with DHL, tracking number JJD0123456789.

Order number: 01930000-0000-7000-8000-000000000007
Carrier: DHL
Tracking number: JJD0123456789

2 × Espresso: 19.98 EUR
Total: 19.98 EUR

You get this mail because you ordered something from us.
Stop mails like this:
https://shop.example/stop?token=a.b&c=\"
";
    let mail = message(EventKind::OrderShipped, &full(), "Ann", "en").mail;
    assert_eq!(mail.text, expected);
    assert_eq!(mail.subject, "Your order 00000007 is on its way");
}

#[test]
fn an_order_without_a_shipment_was_shipped_by_nobody_in_particular() {
    for locale in LOCALES {
        // A value that is not there is an error, so it is enough that there is a message.
        let Message { mail, sms } = message(EventKind::OrderShipped, &event(order()), "Ann", locale);
        assert!(!mail.text.contains("  ") && !sms.contains("  "), "{}", mail.text);
    }
    let text = message(EventKind::OrderShipped, &event(order()), "Ann", "en").mail.text;
    assert!(text.contains("Your order is on its way.\n") && !text.contains("Carrier"), "{text}");
}

#[test]
fn a_refund_says_how_much_and_a_cancellation_whether_there_will_be_one() {
    for kind in [EventKind::OrderPartiallyRefunded, EventKind::OrderRefunded] {
        let Message { mail, sms } = message(kind, &full(), "Ann", "en");
        assert!(mail.text.contains("We have refunded 5.00 EUR for your order."), "{}", mail.text);
        assert!(mail.text.contains("\nRefund: 5.00 EUR\n"), "{}", mail.text);
        assert_eq!(sms, "We have refunded 5.00 EUR for your order 00000007.");
    }
    let unknown = OrderEvent { refund: None, ..full() };
    let text = message(EventKind::OrderRefunded, &unknown, "Ann", "en").mail.text;
    assert!(text.contains("We have refunded what you paid for your order."), "{text}");
    let mut cancelled = order();
    cancelled.status = Status::Cancelled;
    for paid in [false, true] {
        cancelled.payment_id = paid.then(uuid::Uuid::nil);
        let Message { mail, sms } =
            message(EventKind::OrderCancelled, &event(cancelled.clone()), "Ann", "en");
        for form in [&mail.text, &mail.html, &sms] {
            assert_eq!(form.contains("You get back what you paid."), paid, "{form}");
        }
    }
}

#[test]
fn the_recipients_locale_decides_over_words_direction_and_marks() {
    let mut order = order();
    order.total = Money::new(123_456, "EUR".parse().unwrap());
    let event = event(order);
    for (locale, subject, html, total) in [
        ("en-GB", "We have your order 00000007", "lang=\"en\" dir=\"ltr\"", "Total: 1,234.56 EUR"),
        (
            "de-AT",
            "Ihre Bestellung 00000007 ist eingegangen",
            "lang=\"de\" dir=\"ltr\"",
            "Summe: 1.234,56 EUR",
        ),
        ("ja", "ご注文 00000007 を承りました", "lang=\"ja\" dir=\"ltr\"", "合計: 1,234.56 EUR"),
        (
            "ar-EG",
            "استلمنا طلبك 00000007",
            "lang=\"ar\" dir=\"rtl\"",
            "الإجمالي: \u{2068}1,234.56 EUR\u{2069}",
        ),
        ("fr", "We have your order 00000007", "lang=\"en\"", "Total: 1,234.56 EUR"),
    ] {
        let mail = message(EventKind::OrderPlaced, &event, "Ann", locale).mail;
        assert_eq!(mail.subject, subject);
        assert!(mail.html.contains(html), "{}", mail.html);
        assert!(mail.text.contains(total), "{}", mail.text);
    }
    let to = Recipient { name: "Ann", locale: None };
    let mail = compose(EventKind::OrderPlaced, &event, &to, &Links::default()).unwrap().mail;
    assert_eq!(mail.subject, "We have your order 00000007");
}

#[test]
fn what_people_typed_is_text_in_the_html_and_turns_nothing_around() {
    let mut hostile = full();
    hostile.order.lines[0].name = HOSTILE.to_owned().try_into().unwrap();
    hostile.order.shipment = Some(shipment(HOSTILE, HOSTILE));
    each(|kind, locale| {
        let Message { mail, sms } = message(kind, &hostile, "<script>alert(1)</script>\r\n\u{2069}", locale);
        let html = &mail.html;
        assert!(html.contains("<bdi>&lt;script&gt;alert(1)&lt;&#x2f;script&gt;  </bdi>"), "{html}");
        assert!(
            html.contains("<bdi>&quot;&gt;&lt;img src=x onerror=&#x27;a()&#x27;&gt;&amp;{{ 7*7 }}</bdi>"),
            "{html}"
        );
        assert!(!html.contains("<script") && !html.contains("<img"), "{html}");
        for form in [html, &mail.text, &mail.subject, &sms] {
            assert!(!form.contains('\u{202e}'), "{form}");
            assert_eq!(form.matches('\u{2068}').count(), form.matches('\u{2069}').count(), "{form}");
        }
        assert!(!mail.subject.contains(char::is_control) && !sms.contains(char::is_control), "{sms}");
    });
}

#[test]
fn a_mail_has_a_way_out_where_there_is_one() {
    let to = Recipient { name: "Ann", locale: None };
    each(|kind, locale| {
        let with = message(kind, &full(), "Ann", locale).mail;
        assert!(with.text.contains("\nhttps://shop.example/stop?token=a.b&c=\"\n"), "{}", with.text);
        let href = "href=\"https:&#x2f;&#x2f;shop.example&#x2f;stop?token=a.b&amp;c=&quot;\"";
        assert!(with.html.contains(href), "{}", with.html);
        let without = compose(kind, &full(), &to, &Links::default()).unwrap().mail;
        assert!(!without.html.contains("href") && !without.text.contains("Stop"), "{}", without.text);
    });
}

#[test]
fn an_ordinary_message_is_one_sms() {
    let mut event = full();
    event.order.total = Money::new(123_456, "EUR".parse().unwrap());
    event.order.status = Status::Cancelled;
    each(|kind, locale| {
        let text = message(kind, &event, "Ann", locale).sms;
        assert_eq!(sms::segments(&text), 1, "{locale} {kind:?}: {text}");
    });
}

#[test]
fn no_message_is_more_than_three_sms() {
    let long = "😀".repeat(100);
    let mut event = full();
    event.order.total = Money::new(u64::MAX, "EUR".parse().unwrap());
    event.refund = Some(event.order.total);
    event.order.status = Status::Cancelled;
    event.order.shipment = Some(shipment(&long, &long));
    event.order.lines[0].name = long.clone().try_into().unwrap();
    each(|kind, locale| {
        let text = message(kind, &event, &long, locale).sms;
        assert!(sms::segments(&text) <= 3, "{locale} {kind:?}: {text}");
    });
}

#[test]
fn a_mail_fetches_nothing_and_runs_nothing() {
    let to = Recipient { name: "Ann", locale: None };
    for kind in EventKind::ALL {
        let html = compose(kind, &full(), &to, &Links::default()).unwrap().mail.html;
        for foreign in
            ["http:", "https:", "src=", "url(", "@import", "<script", "<link", "<img", "javascript:"]
        {
            assert!(!html.contains(foreign), "{foreign}: {html}");
        }
    }
}
