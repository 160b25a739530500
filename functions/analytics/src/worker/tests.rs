use aws_lambda_events::event::dynamodb::EventRecord;
use http::{Method, StatusCode};
use jiff::{SignedDuration, Timestamp};
use order::model::{Act, Actor, Order, Refunded, Status};
use serde_json::{Value, json};
use shared::db::Key;
use shared::money::Money;
use shared::testing::{call, record};
use uuid::Uuid;

use crate::testing::{App, NOW};

fn order(number: u128, amount: u64, currency: &str) -> Order {
    let at = NOW.parse::<Timestamp>().unwrap();
    Order {
        id: Uuid::from_u128(number),
        user_id: Uuid::from_u128(1),
        status: Status::PendingPayment,
        lines: Vec::new(),
        total: Money::new(amount, currency.parse().unwrap()),
        refunded: 0,
        shipping_address: None,
        payment_id: None,
        shipment: None,
        created_at: at,
        pay_until: at,
        trace: None,
        history: vec![Act::of(Actor::Customer, at).entry(Status::PendingPayment)],
    }
}

fn moved(order: &Order, status: Status, days: i64) -> Order {
    let mut order = order.clone();
    let at = order.created_at + SignedDuration::from_hours(24 * days);
    order.status = status;
    order.history.push(Act::of(Actor::Admin, at).entry(status));
    order
}

fn change(old: Option<&Order>, new: &Order, sequence_number: u64) -> EventRecord {
    let key = Key::new(format!("USER#{}", new.user_id), format!("ORDER#{}", new.id));
    record(&key, old, Some(new), sequence_number)
}

/// The records of one order that is placed, paid a day later and packed on the day after that.
fn life(number: u128, amount: u64, currency: &str) -> Vec<EventRecord> {
    let placed = order(number, amount, currency);
    let paying = Order { payment_id: Some(Uuid::from_u128(5)), ..placed.clone() };
    let paid = moved(&paying, Status::Paid, 1);
    let packed = moved(&paid, Status::Packed, 2);
    vec![
        change(None, &placed, 1),
        change(Some(&placed), &paying, 2),
        change(Some(&paying), &paid, 3),
        change(Some(&paid), &packed, 4),
    ]
}

async fn total(app: &App) -> Value {
    app.settle().await;
    let query = "/analytics/summary?from=2026-01-01&to=2026-01-31";
    let answer = call(Method::GET, query).token(&app.admin()).send(&app.router).await;
    answer.expect(StatusCode::OK).json["total"].clone()
}

#[tokio::test]
async fn what_happens_to_an_order_is_counted_on_its_day_with_the_revenue() {
    let app = App::new().await;
    assert_eq!(app.deliver(life(1, 1999, "EUR")).await, json!({ "batchItemFailures": [] }));
    app.settle().await;
    let query = "/analytics/timeseries?from=2026-01-01&to=2026-01-03";
    let answer = call(Method::GET, query).token(&app.admin()).send(&app.router).await;
    let days = &answer.expect(StatusCode::OK).json["points"];
    let day = |n: u32, orders: Value, revenue: Value| json!({ "start": format!("2026-01-0{n}T00:00:00+00:00"), "visitors": 0, "events": {}, "orders": orders, "revenue": revenue, "refunds": [] });
    assert_eq!(
        days,
        &json!([
            day(1, json!({ "placed": 1 }), json!([])),
            day(2, json!({ "paid": 1 }), json!([{ "amount": 1999, "currency": "EUR" }])),
            day(3, json!({ "packed": 1 }), json!([])),
        ])
    );
}

#[tokio::test]
async fn refunds_are_counted_beside_the_revenue_each_once() {
    let app = App::new().await;
    let refund = |order: &Order, number: u128, amount: u64| {
        let refunded = Refunded {
            refund_id: Uuid::from_u128(number),
            amount: Money { amount, ..order.total },
            by: Actor::Admin,
            by_id: None,
            reason: None,
        };
        order.clone().refunded(&refunded, order.created_at).unwrap()
    };
    let placed = order(1, 1999, "EUR");
    let paid = moved(&Order { payment_id: Some(Uuid::from_u128(5)), ..placed.clone() }, Status::Paid, 0);
    let once = refund(&paid, 1, 500);
    let twice = refund(&once, 2, 500);
    let whole = refund(&twice, 3, 999);
    let expired = moved(&order(2, 100, "EUR"), Status::Expired, 0);
    let records = || {
        vec![
            change(Some(&placed), &paid, 1),
            change(Some(&paid), &once, 2),
            change(Some(&once), &twice, 3),
            change(Some(&twice), &whole, 4),
            change(Some(&order(2, 100, "EUR")), &expired, 5),
        ]
    };
    app.deliver(records()).await;
    app.deliver(records()).await;
    let eur = json!([{ "amount": 1999, "currency": "EUR" }]);
    assert_eq!(
        total(&app).await,
        json!({
            "visitors": 0,
            "events": {},
            "orders": { "paid": 1, "partially_refunded": 2, "refunded": 1, "expired": 1 },
            "revenue": eur,
            "refunds": eur,
        })
    );
}

#[tokio::test]
async fn a_batch_that_comes_again_or_out_of_order_changes_nothing() {
    let app = App::new().await;
    app.deliver(life(1, 1999, "EUR")).await;
    let once = app.items().await;
    app.deliver(life(1, 1999, "EUR")).await;
    app.deliver(life(1, 1999, "EUR").into_iter().rev().collect()).await;
    tokio::join!(app.deliver(life(1, 1999, "EUR")), app.deliver(life(1, 1999, "EUR")));
    assert_eq!(app.items().await, once);
}

#[tokio::test]
async fn a_record_that_is_no_order_is_reported_and_the_ones_before_it_are_counted() {
    let app = App::new().await;
    let mut records = life(1, 1999, "EUR");
    let key = Key::new("USER#1", "ORDER#1");
    records.insert(3, record(&key, None, Some(&json!({ "id": "?" })), 77));
    assert_eq!(app.deliver(records).await, json!({ "batchItemFailures": [{ "itemIdentifier": "77" }] }));
    assert_eq!(total(&app).await["orders"], json!({ "placed": 1, "paid": 1 }));
}

#[tokio::test]
async fn payments_are_counted_as_they_ended_once_and_earn_nothing_by_themselves() {
    let app = App::new().await;
    let payment = |number: u128, progress: Value| {
        let mut payment = json!({
            "id": Uuid::from_u128(number),
            "user_id": Uuid::from_u128(1),
            "order_id": Uuid::from_u128(7),
            "amount": { "amount": 1999, "currency": "EUR" },
            "method": { "token": "pm_card_visa", "brand": "visa", "last4": "4242" },
            "save_method": false,
            "created_at": NOW,
        });
        payment.as_object_mut().unwrap().extend(progress.as_object().unwrap().clone());
        payment
    };
    let ended = |number: u128, progress: Value| {
        let key = Key::new("USER#1", format!("PAYMENT#{}", Uuid::from_u128(number)));
        let before = payment(number, json!({ "status": "PROCESSING", "in_flight_since": NOW }));
        record(&key, Some(&before), Some(&payment(number, progress)), 9)
    };
    let succeeded = json!({ "status": "SUCCEEDED", "paid_at": NOW, "charge_id": "ch_1" });
    let declined =
        json!({ "status": "DECLINED", "declined_at": NOW, "decline_reason": "insufficient_funds" });
    let records =
        || vec![ended(1, succeeded.clone()), ended(2, declined.clone()), ended(3, declined.clone())];
    for _ in 0..2 {
        assert_eq!(app.deliver(records()).await, json!({ "batchItemFailures": [] }));
    }
    assert_eq!(
        total(&app).await,
        json!({
            "visitors": 0,
            "events": { "payment_declined": 2, "payment_succeeded": 1 },
            "orders": {},
            "revenue": [],
            "refunds": [],
        })
    );
}
