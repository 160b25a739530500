//! A fresh DynamoDB per test, with the tables that `template.yaml` declares.

mod bulk;
mod capacity;
mod embedded;
mod faults;
mod hang;
mod outage;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::LazyLock;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::{RetryConfig, RetryPartition};
use aws_smithy_types::body::SdkBody;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use capacity::Capacity;
use embedded::Embedded;
pub use faults::Faults;
pub use hang::When;
use outage::Outage;
use wire::{Wire, WireState};

use crate::aws::Aws;
use crate::config::Env;
use crate::db::Table;
use crate::id::Generator;

/// A DynamoDB of one test's own: embedded, or, where the standard `AWS_ENDPOINT_URL` (with region and credentials) is
/// set, tables with names of their own at that endpoint.
#[derive(Debug, Clone)]
pub struct Database {
    client: Client,
    prefix: String,
    /// None where another endpoint is set.
    embedded: Option<Embedded>,
    wire: WireState,
    outage: Outage,
}

/// Parsed once: it takes longer than making the tables.
static TEMPLATE: LazyLock<template::Template> = LazyLock::new(|| {
    template::Template::load(&template::workspace_root(), &BTreeMap::new()).expect("template.yaml")
});

impl Database {
    /// A database with these tables, named by their logical ids in `template.yaml`.
    ///
    /// # Panics
    /// When the template has no such table, or the table cannot be made.
    pub async fn new(tables: &[&str]) -> Self {
        let env = Env::process();
        let unique = u64::from_le_bytes(Generator::system().bytes());
        let (client, prefix, embedded) = if env.optional("AWS_ENDPOINT_URL").is_some() {
            let client = Aws::new(&env).expect("region and credentials").dynamodb();
            (client, format!("test-{unique:x}-"), None)
        } else {
            let embedded = Embedded::new();
            (embedded.client(), String::new(), Some(embedded))
        };
        let (wire, outage) = (WireState::default(), Outage::default());
        let inner = client.config().http_client().expect("the client has one");
        let config = client
            .config()
            .to_builder()
            .http_client(Wire { inner, state: wire.clone() })
            .interceptor(wire.meter.clone())
            .interceptor(outage.clone())
            // As often as in a function, but at once; and the SDK's allowance of retries, which all clients of a process
            // share, is this database's own.
            .retry_config(
                RetryConfig::standard().with_max_attempts(3).with_max_backoff(Duration::from_millis(1)),
            )
            .retry_partition(RetryPartition::new(format!("test-{unique:x}")))
            .build();
        let database = Self { client: Client::from_conf(config), prefix, embedded, wire, outage };
        for name in tables {
            let table = TEMPLATE.table(name).unwrap_or_else(|| panic!("template.yaml has no table {name}"));
            database.create(&table.create_table, name).await;
        }
        database
    }

    /// Makes these tables what they are in `origin`; at most a megabyte in each.
    ///
    /// # Panics
    /// When a table is not there.
    pub async fn copy_from(&self, origin: &Self, tables: &[&str]) {
        for name in tables {
            let (here, there) = (self.table(name), origin.table(name));
            for item in here.client().scan().table_name(here.name()).send().await.expect("a scan").items() {
                let key = ["pk", "sk"].map(|name| (name.to_owned(), item[name].clone()));
                let delete = here.client().delete_item().table_name(here.name());
                delete.set_key(Some(key.into())).send().await.expect("a deleted item");
            }
            for item in there.client().scan().table_name(there.name()).send().await.expect("a scan").items() {
                let put = here.client().put_item().table_name(here.name());
                put.set_item(Some(item.clone())).send().await.expect("an item that was taken before");
            }
        }
    }

    /// The table with this logical id.
    pub fn table(&self, logical_id: &str) -> Table {
        Table::new(self.client.clone(), format!("{}{logical_id}", self.prefix))
    }

    /// Status and JSON for a request of DynamoDB's API, from the embedded one.
    ///
    /// # Panics
    /// When it is at another endpoint, or the operation is none that our functions use.
    pub fn answer(&self, operation: &str, body: &[u8]) -> (u16, String) {
        self.embedded.as_ref().expect("embedded").answer(operation, body)
    }

    /// Whether it is the embedded one, and not one at another endpoint.
    pub fn is_embedded(&self) -> bool {
        self.embedded.is_some()
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Loses the answers to these calls of an operation, counted from 0 and from now on: they are carried out, and the
    /// client hears nothing.
    ///
    /// # Panics
    /// When another thread panicked in here.
    pub fn lose_answers(&self, operation: &'static str, calls: Range<usize>) {
        *self.wire.loss.lock().expect("no panic") = Some((operation, calls));
    }

    /// From now on makes calls fail at random; `None` ends it.
    ///
    /// # Panics
    /// When another thread panicked in here.
    pub fn faults(&self, faults: Option<Faults>) {
        self.wire.dice.set(faults);
    }

    /// The faults that struck since [`faults`](Self::faults) was set, each as the operation and what happened to it.
    ///
    /// # Panics
    /// When another thread panicked in here.
    pub fn struck(&self) -> Vec<String> {
        self.wire.dice.struck()
    }

    /// What the calls since the last time cost.
    ///
    /// # Panics
    /// When another thread panicked in here.
    pub fn take_capacity(&self) -> Capacity {
        std::mem::take(&mut *self.wire.meter.0.lock().expect("no panic"))
    }

    /// Does `work` in a function that is killed at this call, counted from 0: what it came to where it makes no such call,
    /// and else none.
    ///
    /// # Panics
    /// When another thread panicked in here.
    pub async fn kill_at<T>(&self, call: usize, when: When, work: impl Future<Output = T>) -> Option<T> {
        self.wire.hang.kill(call, when, work).await
    }

    /// From now on fails every call of this operation before it is sent, as when DynamoDB is out of reach; `None` ends it.
    ///
    /// # Panics
    /// When another thread panicked in here.
    pub fn fail(&self, operation: Option<&'static str>) {
        *self.outage.0.lock().expect("no panic") = operation;
    }

    /// The calls since the last time, sorted, as `Operation` with the tables that it names: what an observer of the time
    /// that a request takes could tell apart.
    ///
    /// # Panics
    /// When another thread panicked in here.
    pub fn take_calls(&self) -> Vec<String> {
        let calls = std::mem::take(&mut *self.wire.calls.lock().expect("no panic"));
        let mut calls: Vec<_> = calls.iter().map(|call| call.replace(&self.prefix, "")).collect();
        calls.sort();
        calls
    }

    /// Every item of a table, to look at what a test left there.
    ///
    /// # Panics
    /// When the table is not there.
    pub async fn items<T: DeserializeOwned>(&self, logical_id: &str) -> Vec<T> {
        let scan =
            self.client.scan().table_name(format!("{}{logical_id}", self.prefix)).consistent_read(true);
        let output = scan.send().await.expect("a scan");
        let items = output.items.unwrap_or_default();
        items.into_iter().map(|item| serde_dynamo::from_item(item).expect("an item")).collect()
    }

    async fn create(&self, declared: &Value, logical_id: &str) {
        let mut declared = declared.clone();
        declared["TableName"] = format!("{}{logical_id}", self.prefix).into();
        create_table(&self.client, &declared).await;
    }
}

/// Creates the table of an API-shaped `CreateTable` body. The SDK has no such entry, so the body replaces that of a
/// minimal call.
async fn create_table(client: &Client, body: &Value) {
    let name = body["TableName"].as_str().unwrap_or_default().to_owned();
    let body = body.to_string();
    client
        .create_table()
        .table_name(name)
        .customize()
        .mutate_request(move |request| {
            *request.body_mut() = SdkBody::from(body.as_str());
            request.headers_mut().insert("content-length", body.len().to_string());
        })
        .send()
        .await
        .expect("the table that the template declares");
}
