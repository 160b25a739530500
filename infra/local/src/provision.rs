//! Creates what `template.yaml` declares in the emulator: tables, secrets, queues. What exists stays.
//!
//! The template's resources are already in the shape of the API's calls, so these are made as they are on the wire
//! (JSON over HTTP), which spares translating each field into a client's types and back.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use reqwest::Client;
use serde_json::{Value, json};
use template::{REGION, Table, Template};

use crate::ambient;
use crate::keys::Keys;

/// Makes tables, queues and secrets. `state` remembers which key the secrets were made from.
pub async fn provision(
    template: &Template,
    keys: &Keys,
    issuer: &str,
    endpoint: &str,
    state: &Path,
) -> Result<()> {
    let aws = Wire::new(endpoint)?;
    for table in template.tables() {
        if !aws.create("dynamodb", "DynamoDB_20120810.CreateTable", &table.create_table).await? {
            aws.check_form(table).await?;
        } else if let Some(attribute) = &table.ttl_attribute {
            let ttl = json!({
                "TableName": table.logical_id,
                "TimeToLiveSpecification": { "Enabled": true, "AttributeName": attribute },
            });
            aws.call("dynamodb", "DynamoDB_20120810.UpdateTimeToLive", &ttl).await?;
        }
    }
    for queue in template.queues() {
        let body = json!({ "QueueName": queue.logical_id, "Attributes": queue.attributes });
        aws.create("sqs", "AmazonSQS.CreateQueue", &body).await?;
    }
    secrets(&aws, template, keys, issuer, state).await?;
    for sender in senders(template) {
        // Outside its sandbox SES sends only from verified identities; the emulator verifies at once.
        aws.put_email_identity(sender).await?;
    }
    Ok(())
}

/// Makes the secrets that the template has made at random, once, and fills the other two. A rotation changes them afterwards, so they are filled anew only when the key in `keys/` is
/// another than last time.
async fn secrets(aws: &Wire, template: &Template, keys: &Keys, issuer: &str, state: &Path) -> Result<()> {
    let marker = state.join("signing-key.kid");
    let same_key = fs::read_to_string(&marker).is_ok_and(|kid| kid == keys.kid());
    for secret in template.secrets() {
        let name = secret.logical_id.as_str();
        if let Some(member) = &secret.generated {
            let text = json!({ member: ambient::secret() }).to_string();
            let body = json!({ "Name": name, "SecretString": text });
            aws.create("secretsmanager", "secretsmanager.CreateSecret", &body).await?;
            continue;
        }
        let document = match name {
            "SigningKeySecret" => keys.signing_secret(),
            "VerificationKeysSecret" => keys.verification_secret(issuer),
            _ => bail!("infra/local does not know what belongs into the secret {name}"),
        };
        let text = document.to_string();
        let body = json!({ "Name": name, "SecretString": text });
        let created = aws.create("secretsmanager", "secretsmanager.CreateSecret", &body).await?;
        if !created && !same_key {
            let body = json!({ "SecretId": name, "SecretString": text });
            aws.call("secretsmanager", "secretsmanager.PutSecretValue", &body).await?;
        }
    }
    fs::write(&marker, keys.kid()).with_context(|| format!("cannot write {}", marker.display()))
}

/// The addresses that functions send e-mail from.
pub(crate) fn senders(template: &Template) -> impl Iterator<Item = &str> {
    let environments = template.functions().iter().map(|function| &function.environment);
    environments.filter_map(|environment| environment.get("EMAIL_SENDER").map(String::as_str))
}

/// The names of a table's secondary indexes with their keys and what they project.
fn indexes(table: &Value) -> BTreeSet<String> {
    let declared = table["GlobalSecondaryIndexes"].as_array();
    declared
        .into_iter()
        .flatten()
        .map(|index| {
            let mut attributes: Vec<&str> = index["Projection"]["NonKeyAttributes"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            attributes.sort_unstable();
            format!("{} {} {attributes:?}", index["IndexName"], index["KeySchema"])
        })
        .collect()
}

/// AWS's JSON protocols, spoken to an emulator, which does not check signatures.
#[derive(Debug)]
pub(crate) struct Wire {
    client: Client,
    endpoint: String,
}

impl Wire {
    pub(crate) fn new(endpoint: &str) -> Result<Self> {
        let client = Client::builder().no_proxy().build().context("cannot make an HTTP client")?;
        Ok(Self { client, endpoint: endpoint.to_owned() })
    }

    /// Like [`Wire::call`]; `false` when the thing to create exists.
    async fn create(&self, service: &str, target: &str, body: &Value) -> Result<bool> {
        match self.send(service, target, body).await? {
            Ok(_) => Ok(true),
            Err(error) if EXISTS.iter().any(|kind| error.contains(kind)) => Ok(false),
            Err(error) => bail!("{target} failed: {error}"),
        }
    }

    /// A table that was made when the template declared other indexes, or no stream, would fail later, and say little.
    async fn check_form(&self, table: &Table) -> Result<()> {
        let name = &table.logical_id;
        let body = json!({ "TableName": name });
        let found = self.call("dynamodb", "DynamoDB_20120810.DescribeTable", &body).await?;
        let has_stream = found["Table"]["StreamSpecification"]["StreamEnabled"] == true;
        if indexes(&found["Table"]) != indexes(&table.create_table) || has_stream != table.has_stream() {
            bail!(
                "{name} was made by an earlier version of template.yaml, with other indexes or no stream: \
                 `cargo local --reset` makes it anew, and deletes the local data"
            );
        }
        Ok(())
    }

    pub(crate) async fn call(&self, service: &str, target: &str, body: &Value) -> Result<Value> {
        match self.send(service, target, body).await? {
            Ok(answer) => Ok(answer),
            Err(error) => bail!("{target} failed: {error}"),
        }
    }

    async fn send(&self, service: &str, target: &str, body: &Value) -> Result<Result<Value, String>> {
        let answer = self
            .client
            .post(&self.endpoint)
            .header("X-Amz-Target", target)
            .header("Content-Type", "application/x-amz-json-1.0")
            .header("Authorization", credential(service))
            .body(body.to_string())
            .send()
            .await
            .with_context(|| format!("{target}: no answer"))?;
        let good = answer.status().is_success();
        let text = answer.text().await?;
        Ok(if good { Ok(serde_json::from_str(&text).unwrap_or_default()) } else { Err(text) })
    }

    pub(crate) async fn put_email_identity(&self, identity: &str) -> Result<()> {
        let answer = self
            .client
            .post(format!("{}/v2/email/identities", self.endpoint))
            .header("Authorization", credential("ses"))
            .json(&json!({ "EmailIdentity": identity }))
            .send()
            .await
            .context("CreateEmailIdentity: no answer")?;
        let (status, text) = (answer.status(), answer.text().await?);
        if !status.is_success() && !EXISTS.iter().any(|kind| text.contains(kind)) {
            bail!("CreateEmailIdentity failed: {text}");
        }
        Ok(())
    }
}

/// What the services call a thing that exists; an SQS queue with the same attributes is created again without complaint.
const EXISTS: [&str; 4] =
    ["ResourceInUseException", "ResourceExistsException", "QueueNameExists", "AlreadyExistsException"];

/// The part of a signature that says which service and region a request is for, and that the account's owner asks: the
/// emulator takes `test` for that, where it enforces IAM.
pub(crate) fn credential(service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=test/20260101/{REGION}/{service}/aws4_request, SignedHeaders=host, Signature=0"
    )
}
