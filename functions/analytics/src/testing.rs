//! The service over an embedded database.

use aws_lambda_events::event::dynamodb::{Event as Batch, EventRecord};
use aws_sdk_dynamodb::types::AttributeValue;
use axum::Router;
use cart::model::Product;
use cart::store::CartStore;
use jiff::Timestamp;
use serde_json::Value;
use shared::clock::Clock;
use shared::db::Key;
use shared::id::Generator;
use shared::routes::Service;
use shared::stream::handle_whole;
use shared::testing::{Database, issuer, record};
use uuid::Uuid;

use crate::State;
use crate::sketch::Sketch;
use crate::store::AnalyticsStore;
use crate::worker::{Aggregator, Worker, event_of, facts_of};

/// When the tests begin.
pub(crate) const NOW: &str = "2026-01-01T00:00:00Z";

pub(crate) struct App {
    pub(crate) router: Router,
    pub(crate) analytics: AnalyticsStore,
    pub(crate) aggregator: Aggregator,
    pub(crate) clock: Clock,
    /// A token of user 1.
    pub(crate) token: String,
    pub(crate) database: Database,
}

impl App {
    /// The service, and a shop that sells `espresso`, `mug` and `tea`.
    pub(crate) async fn new() -> Self {
        let now: Timestamp = NOW.parse().unwrap();
        let clock = Clock::fixed(now);
        let database = Database::new(&["AnalyticsTable", "CartTable"]).await;
        let analytics = AnalyticsStore::new(database.table("AnalyticsTable"));
        let cart = CartStore::new(database.table("CartTable"));
        for id in ["espresso", "mug", "tea"] {
            let price = serde_json::json!({ "amount": 100, "currency": "EUR" });
            let product = serde_json::json!({ "id": id, "name": id, "price": price, "stock": 9 });
            cart.put_product(&serde_json::from_value::<Product>(product).unwrap()).await.unwrap();
        }
        let service = Service::new(issuer().verifier(&clock), vec![analytics.table()]);
        let state = State { analytics: analytics.clone(), clock: clock.clone(), ids: Generator::counting() };
        Self {
            router: crate::router(state, service),
            aggregator: Aggregator::new(analytics.clone(), cart),
            analytics,
            clock,
            token: issuer().token(Uuid::from_u128(1), now),
            database,
        }
    }

    /// A token of an admin that is good now.
    pub(crate) fn admin(&self) -> String {
        issuer().admin_token(Uuid::from_u128(9), self.clock.now())
    }

    /// All that the table holds; of a sketch how many people it is of, whatever order they came in.
    pub(crate) async fn items(&self) -> Vec<Value> {
        let table = self.analytics.table();
        let mut pages = table.client().scan().table_name(table.name()).into_paginator().items().send();
        let mut items = Vec::new();
        while let Some(item) = pages.next().await {
            items.push(json(AttributeValue::M(item.unwrap())));
        }
        items
    }

    /// The raw events.
    pub(crate) async fn events(&self) -> Vec<Value> {
        self.items().await.into_iter().filter(|item| item["sk"] == "EVENT").collect()
    }

    /// What the table's stream says of the raw events, as they were written.
    pub(crate) async fn stream(&self) -> Vec<EventRecord> {
        let mut records = Vec::new();
        for mut event in self.events().await {
            let key = Key::new(event["pk"].as_str().unwrap(), "EVENT");
            let item = event.as_object_mut().unwrap();
            item.retain(|name, _| !name.starts_with("applied"));
            records.push(record(&key, None, Some(&event), records.len() as u64 + 1));
        }
        records
    }

    /// Lets a worker add what these records say to the figures; its answer.
    pub(crate) async fn aggregate(&self, records: Vec<EventRecord>) -> Value {
        let mut batch = Batch::default();
        batch.records = records;
        let process = async |events: &[_]| self.aggregator.process(events).await;
        serde_json::to_value(handle_whole(&batch, event_of, process).await).unwrap()
    }

    /// Lets the workers do all that there is to do.
    pub(crate) async fn settle(&self) {
        assert_eq!(self.aggregate(self.stream().await).await, serde_json::json!({ "batchItemFailures": [] }));
    }

    /// Lets a worker store what these records of the order table's stream say; its answer.
    pub(crate) async fn deliver(&self, records: Vec<EventRecord>) -> Value {
        let mut batch = Batch::default();
        batch.records = records;
        let worker = Worker { analytics: self.analytics.clone(), clock: self.clock.clone() };
        let process = async |orders: &[_]| worker.process(orders).await;
        serde_json::to_value(handle_whole(&batch, facts_of, process).await).unwrap()
    }
}

fn json(value: AttributeValue) -> Value {
    match value {
        AttributeValue::B(bytes) => Sketch::from_bytes(bytes.as_ref()).unwrap().estimate().into(),
        AttributeValue::M(members) => members.into_iter().map(|(name, value)| (name, json(value))).collect(),
        AttributeValue::L(list) => list.into_iter().map(json).collect(),
        AttributeValue::Ss(set) => set.into_iter().collect(),
        AttributeValue::N(number) => number.parse().unwrap(),
        AttributeValue::S(text) => text.into(),
        AttributeValue::Bool(is) => is.into(),
        other => panic!("{other:?} is in no item of ours"),
    }
}
