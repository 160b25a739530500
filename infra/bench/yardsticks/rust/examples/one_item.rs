//! A yardstick: a function that reads the one item that it was made for, with the runtime and the SDK and nothing else. No token is
//! verified.

#![expect(clippy::disallowed_methods, reason = "as it would be written without our crates")]

use std::collections::HashMap;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_types::SdkConfig;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let variable = |name| std::env::var(name);
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(variable("AWS_REGION")?))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
            variable("AWS_ACCESS_KEY_ID")?,
            variable("AWS_SECRET_ACCESS_KEY")?,
            variable("AWS_SESSION_TOKEN").ok(),
            None,
            "environment",
        )))
        .endpoint_url(variable("AWS_ENDPOINT_URL")?)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    let (client, table, user) = (Client::new(&config), variable("USER_TABLE")?, variable("USER_ID")?);
    lambda_runtime::run(service_fn(async |_: LambdaEvent<Value>| read(&client, &table, &user).await)).await
}

async fn read(client: &Client, table: &str, user: &str) -> Result<Value, Error> {
    let key = |value: String| AttributeValue::S(value);
    let read = client
        .get_item()
        .table_name(table)
        .key("pk", key(format!("USER#{user}")))
        .key("sk", key("PROFILE".to_owned()));
    let item = read.send().await?.item.unwrap_or_default();
    let body: HashMap<_, _> =
        item.iter().filter_map(|(name, value)| Some((name, value.as_s().ok()?))).collect();
    let body = serde_json::to_string(&body)?;
    Ok(json!({"statusCode": 200, "headers": {"content-type": "application/json"}, "body": body}))
}
