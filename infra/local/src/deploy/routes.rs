//! The HTTP API's routes. SAM gives them to API Gateway as an `OpenAPI` body, which the emulator does not import: each is
//! made by a call of its own.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use reqwest::Client;
use serde_json::{Value, json};
use template::{ACCOUNT, REGION, Template};

use super::cloud::Cloud;
use super::stack::Stack;
use crate::provision::credential;

/// Makes an integration for each function with routes, and its routes.
pub(super) async fn import(cloud: &Cloud, stack: &Stack, template: &Template) -> Result<()> {
    let client = Client::builder().no_proxy().build().context("cannot make an HTTP client")?;
    let api = format!("{}/v2/apis/{}", cloud.endpoint, stack.physical("Api")?);
    let mut made: BTreeMap<String, String> = BTreeMap::new();
    for function in template.functions().iter().filter(|function| !function.routes.is_empty()) {
        let name = stack.physical(&function.logical_id)?;
        let integration = json!({
            "integrationType": "AWS_PROXY",
            "integrationUri": format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"),
            "payloadFormatVersion": "2.0",
        });
        let integration = post(&client, &format!("{api}/integrations"), &integration).await?;
        let id = integration["integrationId"].as_str().context("an integration without an id")?;
        for (method, path) in &function.routes {
            let key = if path.starts_with('/') { format!("{method} {path}") } else { path.clone() };
            let route = json!({ "routeKey": key, "target": format!("integrations/{id}") });
            post(&client, &format!("{api}/routes"), &route).await?;
            if let Some(other) = made.insert(key.clone(), function.name.clone()) {
                bail!("{other} and {} both have the route {key}", function.name);
            }
        }
    }
    Ok(())
}

async fn post(client: &Client, url: &str, body: &Value) -> Result<Value> {
    let request = client.post(url).header("Authorization", credential("apigateway")).json(body);
    let answer = request.send().await.with_context(|| format!("{url}: no answer"))?;
    let (status, text) = (answer.status(), answer.text().await?);
    if !status.is_success() {
        bail!("{url} refuses {body}: {status} {text}");
    }
    serde_json::from_str(&text).with_context(|| format!("{url}: {text} is not JSON"))
}
