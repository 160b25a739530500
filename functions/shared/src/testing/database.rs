//! A fresh DynamoDB per test, with the tables that `template.yaml` declares.

mod bulk;
mod hang;
mod outage;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, LazyLock, Mutex};

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, HttpClient, Region};
use aws_sdk_dynamodb::{Client, Config};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use serde::de::DeserializeOwned;
use serde_json::Value;

use hang::Hang;
pub use hang::When;
use outage::Outage;

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
    loss: Loss,
    calls: Calls,
    hang: Hang,
    outage: Outage,
}

/// Answers to lose: of which operation, and which of its calls, those that were seen already not counted.
type Loss = Arc<Mutex<Option<(&'static str, Range<usize>)>>>;

/// The calls so far, as `Operation Table`.
type Calls = Arc<Mutex<Vec<String>>>;

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
        let (loss, calls) = (Loss::default(), Calls::default());
        let (hang, outage) = (Hang::default(), Outage::default());
        let (client, prefix, embedded) = if env.optional("AWS_ENDPOINT_URL").is_some() {
            let unique = u64::from_le_bytes(Generator::system().bytes());
            (Aws::new(&env).expect("region and credentials").dynamodb(), format!("test-{unique:x}-"), None)
        } else {
            let database = Arc::new(dynoxide::Database::memory().expect("a database in memory"));
            let embedded =
                Embedded { database, loss: Arc::clone(&loss), calls: Arc::clone(&calls), hang: hang.clone() };
            (client(embedded.clone()), String::new(), Some(embedded))
        };
        let config = client.config().to_builder().interceptor(outage.clone()).build();
        let client = Client::from_conf(config);
        let database = Self { client, prefix, embedded, loss, calls, hang, outage };
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

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Loses the answers to these calls of an operation, counted from 0 and from now on: they are carried out, and the
    /// client hears nothing. Only the embedded database does so; another endpoint answers as ever.
    ///
    /// # Panics
    /// When another thread panicked in here.
    pub fn lose_answers(&self, operation: &'static str, calls: Range<usize>) {
        *self.loss.lock().expect("no panic") = Some((operation, calls));
    }

    /// Whether [`lose_answers`](Self::lose_answers) does anything.
    pub fn can_lose_answers(&self) -> bool {
        self.prefix.is_empty()
    }

    /// Does `work` in a function that is killed at this call, counted from 0: what it came to where it makes no such call,
    /// and else none. Only the embedded database kills.
    ///
    /// # Panics
    /// When another thread panicked in here.
    pub async fn kill_at<T>(&self, call: usize, when: When, work: impl Future<Output = T>) -> Option<T> {
        self.hang.kill(call, when, work).await
    }

    /// From now on fails every call of this operation before it is sent, as when DynamoDB is out of reach; `None` ends it.
    ///
    /// # Panics
    /// When another thread panicked in here.
    pub fn fail(&self, operation: Option<&'static str>) {
        *self.outage.0.lock().expect("no panic") = operation;
    }

    /// The calls since the last time, sorted, as `Operation` with the tables that it names: what an observer of the time
    /// that a request takes could tell apart. Only the embedded database knows; it is empty elsewhere.
    ///
    /// # Panics
    /// When another thread panicked in here.
    pub fn take_calls(&self) -> Vec<String> {
        let mut calls = std::mem::take(&mut *self.calls.lock().expect("no panic"));
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

fn client(embedded: Embedded) -> Client {
    Client::from_conf(
        Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::from_static("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .http_client(embedded)
            .build(),
    )
}

/// Answers the SDK's requests from the database in this process.
#[derive(Clone)]
struct Embedded {
    database: Arc<dynoxide::Database>,
    loss: Loss,
    calls: Calls,
    hang: Hang,
}

impl Embedded {
    fn note(&self, operation: &str, body: &[u8]) {
        let mut call = operation.to_owned();
        note_tables(&serde_json::from_slice(body).unwrap_or_default(), &mut call);
        self.calls.lock().expect("no panic").push(call);
    }

    /// Whether the answer to this call gets lost.
    fn loses(&self, operation: &str) -> bool {
        let mut loss = self.loss.lock().expect("no panic");
        let Some((_, calls)) = loss.as_mut().filter(|(of, _)| *of == operation) else { return false };
        let this_one = calls.contains(&0);
        *calls = calls.start.saturating_sub(1)..calls.end.saturating_sub(1);
        this_one
    }
}

/// The value of each `TableName`, in order.
fn note_tables(body: &Value, call: &mut String) {
    match body {
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(table) if name == "TableName" => {
                        call.push(' ');
                        call.push_str(table);
                    }
                    value => note_tables(value, call),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| note_tables(value, call)),
        _ => {}
    }
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Embedded")
    }
}

impl HttpClient for Embedded {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Embedded {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let embedded = self.clone();
        HttpConnectorFuture::new(async move {
            // Every call lets the other tasks go first. Without it a handler would run from its first line to its last
            // with no other one in between, and a race would never show.
            tokio::task::yield_now().await;
            let operation = request.headers().get("x-amz-target").and_then(|target| target.split('.').nth(1));
            let operation = operation.unwrap_or_default();
            let body = request.body().bytes().unwrap_or_default();
            embedded.note(operation, body);
            let hangs = embedded.hang.of_this_call();
            embedded.hang.strike(hangs, When::Before).await;
            let (status, body) = match dispatch(&embedded.database, operation, body) {
                Ok(body) => (200, body),
                Err(error) => (error.status_code(), error.to_json()),
            };
            embedded.hang.strike(hangs, When::After).await;
            if embedded.loses(operation) {
                return Err(ConnectorError::io("the connection broke off".into()));
            }
            let status = StatusCode::try_from(status).expect("a valid status");
            Ok(HttpResponse::new(status, SdkBody::from(body)))
        })
    }
}

fn dispatch(
    database: &dynoxide::Database,
    operation: &str,
    body: &[u8],
) -> Result<String, dynoxide::DynoxideError> {
    macro_rules! operations {
        ($($name:literal => $method:ident),+ $(,)?) => {
            match operation {
                $($name => {
                    let request = serde_json::from_slice(body).expect("a request of the SDK");
                    database.$method(request).map(|answer| serde_json::to_string(&answer).expect("JSON"))
                })+
                other => panic!("the embedded DynamoDB is not wired for {other}"),
            }
        };
    }
    operations! {
        "CreateTable" => create_table,
        "GetItem" => get_item,
        "PutItem" => put_item,
        "UpdateItem" => update_item,
        "DeleteItem" => delete_item,
        "Query" => query,
        "Scan" => scan,
        "BatchGetItem" => batch_get_item,
        "BatchWriteItem" => batch_write_item,
        "TransactGetItems" => transact_get_items,
        "TransactWriteItems" => transact_write_items,
    }
}
