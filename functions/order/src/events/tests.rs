//! From a record of the stream to the events of an order.

use aws_lambda_events::event::dynamodb::EventRecord;
use jiff::SignedDuration;
use serde_dynamo::AttributeValue;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::model::{Act, Actor, Refunded, Transition};

fn placed() -> Order {
    let money = json!({"amount": 450, "currency": "EUR"});
    serde_json::from_value(json!({
        "id": Uuid::from_u128(7),
        "user_id": Uuid::from_u128(1),
        "status": "PENDING_PAYMENT",
        "lines": [{"product_id": "tea", "name": "Tea", "quantity": 1, "price": money, "total": money}],
        "total": money,
        "created_at": "2026-01-01T00:00:00Z",
        "pay_until": "2026-01-01T00:30:00Z",
        "history": [{"status": "PENDING_PAYMENT", "at": "2026-01-01T00:00:00Z", "by": "customer"}],
    }))
    .unwrap()
}

fn after(order: &Order, transition: Transition) -> Order {
    let at = order.history.last().unwrap().at + SignedDuration::from_hours(1);
    order.clone().moved(transition, Act::of(Actor::Admin, at)).unwrap()
}

/// The order after the refund number `number`, of `amount` cents.
fn refunded(order: &Order, number: u128, amount: u64) -> Order {
    let refunded = Refunded {
        refund_id: Uuid::from_u128(number),
        amount: Money { amount, ..order.total },
        by: Actor::Admin,
        by_id: None,
        reason: None,
    };
    order.clone().refunded(&refunded, order.created_at).unwrap()
}

/// A record as Lambda delivers it, with images as the store writes them.
fn record(name: &str, sk: &str, old: Option<&Order>, new: Option<&Order>) -> EventRecord {
    let image = |order: Option<&Order>| {
        let mut item: serde_dynamo::Item = serde_dynamo::to_item(order?).unwrap();
        item.insert("pk".to_owned(), AttributeValue::S(format!("USER#{}", Uuid::from_u128(1))));
        item.insert("sk".to_owned(), AttributeValue::S(sk.to_owned()));
        Some(serde_json::to_value(item).unwrap())
    };
    let mut change = json!({
        "Keys": {"pk": {"S": "USER#1"}, "sk": {"S": sk}}, "SizeBytes": 1, "SequenceNumber": "1",
    });
    for (name, image) in [("OldImage", image(old)), ("NewImage", image(new))] {
        if let Some(image) = image {
            change[name] = image;
        }
    }
    read_record(name, &change)
}

fn read_record(name: &str, change: &Value) -> EventRecord {
    let record = json!({"eventID": "1", "eventName": name, "awsRegion": "us-east-1", "dynamodb": change});
    serde_json::from_value(record).unwrap()
}

fn ids(events: &[OrderEvent]) -> Vec<&str> {
    events.iter().map(|event| event.id.as_str()).collect()
}

#[test]
fn each_state_entered_is_one_event() {
    let placed = placed();
    let paid = after(&placed, Transition::Pay);
    let packed = after(&paid, Transition::Pack);
    let id = placed.id;

    let first = events(None, &placed);
    assert_eq!(ids(&first), [format!("{id}:PENDING_PAYMENT")]);
    assert_eq!((first[0].kind, first[0].at), (Kind::Placed, placed.created_at));

    let second = events(Some(&placed), &paid);
    assert_eq!(ids(&second), [format!("{id}:PAID")]);
    assert_eq!(second[0].kind, Kind::Paid);
    assert_eq!(second[0].at.to_string(), "2026-01-01T01:00:00Z");
    assert_eq!(second[0].order, paid);

    // An old image that is older than the change before, as after a restore: nothing is passed over.
    assert_eq!(ids(&events(Some(&placed), &packed)), [format!("{id}:PAID"), format!("{id}:PACKED")]);
    assert_eq!(events(Some(&packed), &packed), []);
}

#[test]
fn each_refund_is_one_event_with_its_amount() {
    let mut paid = after(&placed(), Transition::Pay);
    paid.payment_id = Some(Uuid::from_u128(5));
    let id = paid.id;
    let first = refunded(&paid, 1, 100);
    let second = refunded(&first, 2, 100);
    let whole = refunded(&second, 3, 250);
    let events = events(Some(&paid), &whole);
    let refund = |number: u128| format!("{id}:REFUND:{}", Uuid::from_u128(number));
    assert_eq!(ids(&events), [refund(1), refund(2), format!("{id}:REFUNDED")]);
    let amounts: Vec<_> = events.iter().map(|event| (event.kind, event.refund.unwrap().amount)).collect();
    assert_eq!(
        amounts,
        [(Kind::PartiallyRefunded, 100), (Kind::PartiallyRefunded, 100), (Kind::Refunded, 250)]
    );
}

#[test]
fn no_two_events_of_an_order_have_the_same_id() {
    let mut order = after(&placed(), Transition::Pay);
    order.payment_id = Some(Uuid::from_u128(5));
    let mut number = 0;
    for step in [Transition::Pack, Transition::Ship, Transition::Deliver] {
        for _ in 0..2 {
            number += 1;
            order = refunded(&order, number, 10);
        }
        order = after(&order, step);
    }
    let whole = refunded(&order, 7, order.left().amount);
    let events = events(None, &whole);
    let unique: std::collections::BTreeSet<_> = ids(&events).into_iter().collect();
    assert_eq!((unique.len(), events.len()), (12, 12));
}

#[test]
fn an_order_that_nobody_pays_is_an_event() {
    let placed = placed();
    let first = events(Some(&placed), &after(&placed, Transition::Expire));
    assert_eq!(
        (first[0].kind, ids(&first)),
        (Kind::Expired, vec![format!("{}:EXPIRED", placed.id).as_str()])
    );
}

#[test]
fn a_record_gives_the_events_between_its_images() {
    let placed = placed();
    let cancelled = after(&placed, Transition::Cancel);
    let sk = format!("ORDER#{}", placed.id);
    let first = from_record(&record("INSERT", &sk, None, Some(&placed))).unwrap();
    assert_eq!(first, events(None, &placed));
    let second = from_record(&record("MODIFY", &sk, Some(&placed), Some(&cancelled))).unwrap();
    assert_eq!(second, events(Some(&placed), &cancelled));
    assert_eq!(second[0].kind, Kind::Cancelled);
}

#[test]
fn marks_pointers_and_deletions_are_no_events() {
    let placed = placed();
    let sk = format!("ORDER#{}", placed.id);
    let mut marked = placed.clone();
    marked.payment_id = Some(Uuid::nil());
    for quiet in [
        record("MODIFY", &sk, Some(&placed), Some(&marked)),
        record("REMOVE", &sk, Some(&placed), None),
        record("INSERT", &format!("OPEN#{}", placed.id), None, Some(&placed)),
        record("INSERT", &format!("REFUND#{}", placed.id), None, Some(&placed)),
        record("INSERT", "POST /orders#key", None, Some(&placed)),
        record("REMOVE", &format!("OPEN#{}", placed.id), Some(&placed), None),
        record("INSERT", "OWNER", None, None),
    ] {
        assert_eq!(from_record(&quiet).unwrap(), []);
    }
}

#[test]
fn a_record_that_cannot_be_read_is_an_error_and_not_nothing() {
    let keys = json!({"pk": {"S": "USER#1"}, "sk": {"S": "ORDER#1"}});
    let broken = json!({"id": {"S": "1"}});
    for change in [
        json!({"Keys": keys, "NewImage": broken, "SizeBytes": 1}),
        json!({"Keys": keys, "SizeBytes": 1}),
        json!({"Keys": {}, "NewImage": broken, "SizeBytes": 1}),
    ] {
        from_record(&read_record("INSERT", &change)).unwrap_err();
    }
    let sk = "ORDER#1";
    let mut half = record("MODIFY", sk, None, Some(&placed()));
    half.change.old_image = serde_json::from_value(broken).unwrap();
    from_record(&half).unwrap_err();
}
