//! Tasks that really run at once.
//!
//! The embedded database answers a call before it returns, so a handler would run from its first line to its last
//! without another one in between, and a race would never show. Here every call lets the other tasks go first.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{HttpClient, SharedHttpClient};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use shared::db::Table;

/// The same table behind a client that yields before each call.
pub(crate) fn interleaved(table: &Table) -> Table {
    let config = table.client().config();
    let inner = config.http_client().expect("a client over an HTTP client");
    let client = Client::from_conf(config.to_builder().http_client(Yielding(inner)).build());
    Table::new(client, table.name())
}

#[derive(Debug)]
struct Yielding(SharedHttpClient);

#[derive(Debug)]
struct YieldingConnector(SharedHttpConnector);

impl HttpClient for Yielding {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(YieldingConnector(self.0.http_connector(settings, components)))
    }
}

impl HttpConnector for YieldingConnector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let inner = self.0.clone();
        HttpConnectorFuture::new(async move {
            tokio::task::yield_now().await;
            inner.call(request).await
        })
    }
}
