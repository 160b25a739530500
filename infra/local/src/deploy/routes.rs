//! The HTTP API's routes. SAM gives them to API Gateway as an `OpenAPI` body, which the emulator does not import: each is
//! made by a call of its own.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use template::{ACCOUNT, REGION, Template};

use super::cloud::Cloud;
use super::stack::Stack;
use crate::provision::credential;

/// The version of each function that is called, see `AutoPublishAlias` in the template.
pub(super) const ALIAS: &str = "live";

/// Makes an integration for each function with routes, and its routes, in place of those of the version before.
pub(super) async fn import(cloud: &Cloud, stack: &Stack, template: &Template) -> Result<()> {
    let client = Client::builder().no_proxy().build().context("cannot make an HTTP client")?;
    let api = format!("{}/v2/apis/{}", cloud.endpoint, stack.physical("Api")?);
    for kind in ["route", "integration"] {
        let all = call(&client, Method::GET, &format!("{api}/{kind}s"), None).await?;
        for one in all["items"].as_array().into_iter().flatten() {
            let id = one[format!("{kind}Id")].as_str().with_context(|| format!("a {kind} without an id"))?;
            call(&client, Method::DELETE, &format!("{api}/{kind}s/{id}"), None).await?;
        }
    }
    let mut made: BTreeMap<String, String> = BTreeMap::new();
    for function in template.functions().iter().filter(|function| !function.routes.is_empty()) {
        let name = stack.invoked(&function.logical_id)?;
        let integration = json!({
            "integrationType": "AWS_PROXY",
            "integrationUri": format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}"),
            "payloadFormatVersion": "2.0",
        });
        let integration =
            call(&client, Method::POST, &format!("{api}/integrations"), Some(&integration)).await?;
        let id = integration["integrationId"].as_str().context("an integration without an id")?;
        for (method, path) in &function.routes {
            let key = if path.starts_with('/') { format!("{method} {path}") } else { path.clone() };
            let route = json!({ "routeKey": key, "target": format!("integrations/{id}") });
            call(&client, Method::POST, &format!("{api}/routes"), Some(&route)).await?;
            if let Some(other) = made.insert(key.clone(), function.name.clone()) {
                bail!("{other} and {} both have the route {key}", function.name);
            }
        }
    }
    Ok(())
}

async fn call(client: &Client, method: Method, url: &str, body: Option<&Value>) -> Result<Value> {
    let request = client.request(method.clone(), url).header("Authorization", credential("apigateway"));
    let request = body.into_iter().fold(request, RequestBuilder::json);
    let answer = request.send().await.with_context(|| format!("{url}: no answer"))?;
    let (status, text) = (answer.status(), answer.text().await?);
    if !status.is_success() {
        let body = body.map(Value::to_string).unwrap_or_default();
        bail!("{method} {url} {body} is refused: {status} {text}");
    }
    if text.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(&text).with_context(|| format!("{url}: {text} is not JSON"))
}
