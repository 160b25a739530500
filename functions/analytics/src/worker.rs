//! Counts what happens to orders, as the stream of the order table tells it.
//!
//! The stream tells everything at least once. The raw event has the id of the order's event, and is written in one
//! transaction with the counters: what was counted before is not counted again, in whatever order it comes.

use aws_lambda_events::event::dynamodb::EventRecord;
use order::events::{Kind, OrderEvent, Unreadable, from_record};
use shared::aws::Aws;
use shared::config::{ConfigError, Env};
use shared::db::{DbError, Table};

use crate::model::{Event, EventName, Properties};
use crate::store::AnalyticsStore;

/// The worker.
#[derive(Debug, Clone)]
pub struct Worker {
    /// This service's table.
    pub analytics: AnalyticsStore,
}

/// Why a record has to come again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The record is not what the order table's stream brings.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// A table.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl Worker {
    /// The worker of a running function: the table that `ANALYTICS_TABLE` names.
    pub fn new(env: &Env, aws: &Aws) -> Result<Self, ConfigError> {
        let table = Table::new(aws.dynamodb(), env.required("ANALYTICS_TABLE")?);
        Ok(Self { analytics: AnalyticsStore::new(table) })
    }

    /// Counts the events of one record, each once, however often it comes.
    pub async fn process(&self, record: &EventRecord) -> Result<(), Error> {
        for event in from_record(record)? {
            self.analytics.record(&counted(event)).await?;
        }
        Ok(())
    }
}

/// An order's event as Analytics counts it.
fn counted(event: OrderEvent) -> Event {
    Event {
        name: EventName::of_order(event.kind),
        // The time of the event itself: a late delivery counts on the day when it happened.
        at: event.at,
        client_at: None,
        user_id: Some(event.order.user_id),
        anonymous_id: None,
        order_id: Some(event.order.id),
        revenue: (event.kind == Kind::Paid).then_some(event.order.total),
        refund: event.refund,
        properties: Properties::default(),
        id: event.id,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use aws_lambda_events::event::dynamodb::{Event as Batch, EventRecord};
    use http::{Method, StatusCode};
    use jiff::{SignedDuration, Timestamp};
    use order::model::{Act, Actor, Order, Refunded, Status};
    use serde_json::{Value, json};
    use shared::db::Key;
    use shared::money::Money;
    use shared::stream::handle_batch;
    use shared::testing::{call, record};
    use tokio::task::JoinSet;
    use uuid::Uuid;

    use super::*;
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

    async fn deliver(app: &App, records: Vec<EventRecord>) -> Value {
        let mut batch = Batch::default();
        batch.records = records;
        let worker = Worker { analytics: app.analytics.clone() };
        let response = handle_batch(&batch, async |record| worker.process(record).await).await;
        serde_json::to_value(response).unwrap()
    }

    async fn total(app: &App) -> Value {
        let query = "/analytics/summary?from=2026-01-01&to=2026-01-31";
        let answer = call(Method::GET, query).token(&app.admin()).send(&app.router).await;
        answer.expect(StatusCode::OK).json["total"].clone()
    }

    #[tokio::test]
    async fn what_happens_to_an_order_is_counted_on_its_day_with_the_revenue() {
        let app = App::new().await;
        assert_eq!(deliver(&app, life(1, 1999, "EUR")).await, json!({ "batchItemFailures": [] }));
        let query = "/analytics/summary?from=2026-01-01&to=2026-01-03";
        let answer = call(Method::GET, query).token(&app.admin()).send(&app.router).await;
        let days = &answer.expect(StatusCode::OK).json["days"];
        let day = |n: u32, orders: Value, revenue: Value| json!({ "date": format!("2026-01-0{n}"), "events": {}, "orders": orders, "revenue": revenue, "refunds": [] });
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
        deliver(&app, records()).await;
        deliver(&app, records()).await;
        let eur = json!([{ "amount": 1999, "currency": "EUR" }]);
        assert_eq!(
            total(&app).await,
            json!({
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
        deliver(&app, life(1, 1999, "EUR")).await;
        let once = app.items().await;
        deliver(&app, life(1, 1999, "EUR")).await;
        deliver(&app, life(1, 1999, "EUR").into_iter().rev().collect()).await;
        tokio::join!(deliver(&app, life(1, 1999, "EUR")), deliver(&app, life(1, 1999, "EUR")));
        assert_eq!(app.items().await, once);
    }

    #[tokio::test]
    async fn a_record_that_is_no_order_is_reported_and_the_ones_before_it_are_counted() {
        let app = App::new().await;
        let mut records = life(1, 1999, "EUR");
        let key = Key::new("USER#1", "ORDER#1");
        records.insert(3, record(&key, None, Some(&json!({ "id": "?" })), 77));
        assert_eq!(
            deliver(&app, records).await,
            json!({ "batchItemFailures": [{ "itemIdentifier": "77" }] })
        );
        assert_eq!(total(&app).await["orders"], json!({ "placed": 1, "paid": 1 }));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn counters_are_what_the_raw_events_add_up_to_when_all_come_at_once() {
        let app = std::sync::Arc::new(App::new().await);
        let mut tasks = JoinSet::new();
        for number in 0..20_u128 {
            let (currency, amount) = if number % 2 == 0 { ("EUR", 100) } else { ("USD", 7) };
            // Everything twice, at the same time.
            for _ in 0..2 {
                let app = app.clone();
                tasks.spawn(Box::pin(async move {
                    let worker = Worker { analytics: app.analytics.clone() };
                    for record in life(number, amount, currency) {
                        worker.process(&record).await.unwrap();
                    }
                    let event = json!({ "name": "search", "id": Uuid::from_u128(number / 2) });
                    let sent = call(Method::POST, "/events").json(&event).send(&app.router).await;
                    let _accepted = sent.expect(StatusCode::ACCEPTED);
                }));
            }
        }
        tasks.join_all().await;

        let mut raw = BTreeMap::<String, u64>::new();
        for event in app.events().await {
            *raw.entry(format!("COUNTER#{}", event["name"].as_str().unwrap())).or_default() += 1;
            if let Some(currency) = event["revenue"]["currency"].as_str() {
                *raw.entry(format!("COUNTER#revenue#{currency}")).or_default() +=
                    event["revenue"]["amount"].as_u64().unwrap();
            }
        }
        assert_eq!(app.counters().await, json!(raw));
        assert_eq!(
            total(&app).await,
            json!({
                "events": { "search": 10 },
                "orders": { "placed": 20, "paid": 20, "packed": 20 },
                "revenue": [{ "amount": 1000, "currency": "EUR" }, { "amount": 70, "currency": "USD" }],
                "refunds": [],
            })
        );
    }
}
