//! AWS as a function finds it where it starts, in this process: a test database, and a Secrets Manager that can be read.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_dynamodb::config::{HttpClient, RuntimeComponents, SharedHttpClient};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};

use super::Database;
use crate::aws::Aws;
use crate::config::Env;

impl Database {
    /// AWS with this database and these secrets, by name; `env` must have a region and credentials.
    ///
    /// # Panics
    /// When it has not.
    pub fn aws(&self, env: &Env, secrets: BTreeMap<String, Value>) -> Aws {
        let database = self.client().config().http_client().expect("a client has one");
        let client = WithSecrets { database, secrets: Arc::new(secrets) };
        Aws::over(env, client).expect("region and credentials")
    }
}

/// Answers `GetSecretValue`, and hands every other request on to the database.
#[derive(Debug, Clone)]
struct WithSecrets {
    database: SharedHttpClient,
    secrets: Arc<BTreeMap<String, Value>>,
}

#[derive(Debug)]
struct Connector {
    database: SharedHttpConnector,
    secrets: Arc<BTreeMap<String, Value>>,
}

impl HttpClient for WithSecrets {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let database = self.database.http_connector(settings, components);
        SharedHttpConnector::new(Connector { database, secrets: Arc::clone(&self.secrets) })
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if request.headers().get("x-amz-target") != Some("secretsmanager.GetSecretValue") {
            return self.database.call(request);
        }
        let body: Value =
            serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap_or_default();
        let secret = body["SecretId"].as_str().and_then(|name| self.secrets.get(name));
        let (status, answer) = match secret {
            Some(secret) => (200, json!({ "SecretString": secret.to_string() })),
            None => (400, json!({ "__type": "ResourceNotFoundException" })),
        };
        let status = StatusCode::try_from(status).expect("a valid status");
        HttpConnectorFuture::ready(Ok(HttpResponse::new(status, SdkBody::from(answer.to_string()))))
    }
}
