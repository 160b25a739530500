//! The DynamoDB in this process.

use std::sync::Arc;

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, HttpClient, Region};
use aws_sdk_dynamodb::{Client, Config};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;

use super::wire::operation;

/// Answers the SDK's requests from the database in this process.
#[derive(Clone)]
pub(super) struct Embedded(pub(super) Arc<dynoxide::Database>);

impl Embedded {
    pub(super) fn new() -> Self {
        Self(Arc::new(dynoxide::Database::memory().expect("a database in memory")))
    }

    /// Status and JSON for a request of DynamoDB's API.
    pub(super) fn answer(&self, operation: &str, body: &[u8]) -> (u16, String) {
        match dispatch(&self.0, operation, body) {
            Ok(body) => (200, body),
            Err(error) => (error.status_code(), error.to_json()),
        }
    }

    pub(super) fn client(&self) -> Client {
        Client::from_conf(
            Config::builder()
                .behavior_version(BehaviorVersion::v2026_01_12())
                .region(Region::from_static("us-east-1"))
                .credentials_provider(Credentials::new("test", "test", None, None, "test"))
                .http_client(self.clone())
                .build(),
        )
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
            let body = request.body().bytes().unwrap_or_default();
            let (status, body) = embedded.answer(operation(&request), body);
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
