//! Resources, and the tables, secrets and queues among them in the shape of the API calls that make them.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde_json::{Map, Value, json};

use crate::intrinsics::Scope;
use crate::value;

/// Any resource, resolved.
#[derive(Debug, Clone)]
pub(crate) struct Resource {
    /// Its type, such as `AWS::DynamoDB::Table`.
    pub(crate) kind: String,
    /// Its `Properties`.
    pub(crate) properties: Value,
    /// Its `Metadata`.
    pub(crate) metadata: Value,
}

impl Resource {
    pub(crate) fn resolve(declared: &Value, scope: &Scope) -> Result<Self> {
        Ok(Self {
            kind: value::required(declared, "Type")?,
            properties: scope.resolve(&declared["Properties"])?,
            metadata: scope.resolve(&declared["Metadata"])?,
        })
    }

    /// Reads all resources of one type.
    pub(crate) fn all<T>(
        resources: &BTreeMap<String, Self>,
        kind: &str,
        read: impl Fn(&str, &Self) -> Result<T>,
    ) -> Result<Vec<T>> {
        let of_kind = resources.iter().filter(|(_, resource)| resource.kind == kind);
        of_kind.map(|(id, resource)| read(id, resource).with_context(|| format!("resource {id}"))).collect()
    }
}

/// A DynamoDB table.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Its logical id, which is its name too.
    pub logical_id: String,
    /// The body of the `CreateTable` API call, `StreamSpecification` included.
    pub create_table: Value,
    /// The attribute that holds an item's expiry time, when the table has one.
    pub ttl_attribute: Option<String>,
}

impl Table {
    pub(crate) fn read(id: &str, resource: &Resource) -> Result<Self> {
        let properties = &resource.properties;
        let mut body = Map::from_iter([("TableName".to_owned(), json!(id))]);
        for key in [
            "AttributeDefinitions",
            "KeySchema",
            "BillingMode",
            "GlobalSecondaryIndexes",
            "LocalSecondaryIndexes",
            "ProvisionedThroughput",
            "TableClass",
        ] {
            if let Some(value) = properties.get(key) {
                body.insert(key.to_owned(), value.clone());
            }
        }
        if let Some(protected) = value::flag(properties, "DeletionProtectionEnabled")? {
            body.insert("DeletionProtectionEnabled".to_owned(), json!(protected));
        }
        // CloudFormation and the API spell these two differently.
        if let Some(view) = value::text(&properties["StreamSpecification"]["StreamViewType"]) {
            let stream = json!({ "StreamEnabled": true, "StreamViewType": view });
            body.insert("StreamSpecification".to_owned(), stream);
        }
        let encryption = &properties["SSESpecification"];
        if let Some(enabled) = value::flag(encryption, "SSEEnabled")? {
            let mut specification = json!({ "Enabled": enabled });
            for key in ["SSEType", "KMSMasterKeyId"] {
                if let Some(value) = encryption.get(key) {
                    specification[key] = value.clone();
                }
            }
            body.insert("SSESpecification".to_owned(), specification);
        }
        let expiry = &properties["TimeToLiveSpecification"];
        let expires = value::flag(expiry, "Enabled")?.unwrap_or(false);
        let ttl_attribute = value::text(&expiry["AttributeName"]).filter(|_| expires);
        Ok(Self { logical_id: id.to_owned(), create_table: Value::Object(body), ttl_attribute })
    }

    /// Whether changes of the table are published on a stream.
    pub fn has_stream(&self) -> bool {
        self.create_table.get("StreamSpecification").is_some()
    }
}

/// A Secrets Manager secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// Its logical id, which is its name too.
    pub logical_id: String,
    /// The member of its JSON that is made at random, where `GenerateSecretString` says so.
    pub generated: Option<String>,
}

impl Secret {
    #[expect(clippy::unnecessary_wraps, reason = "one signature for all readers")]
    pub(crate) fn read(id: &str, resource: &Resource) -> Result<Self> {
        let generated = value::text(&resource.properties["GenerateSecretString"]["GenerateStringKey"]);
        Ok(Self { logical_id: id.to_owned(), generated })
    }
}

/// An SQS queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// Its logical id, which is its name too.
    pub logical_id: String,
    /// The `Attributes` of the `CreateQueue` API call.
    pub attributes: BTreeMap<String, String>,
}

impl Queue {
    pub(crate) fn read(id: &str, resource: &Resource) -> Result<Self> {
        let mut attributes = BTreeMap::new();
        for (key, property) in resource.properties.as_object().into_iter().flatten() {
            let attribute = match property {
                _ if matches!(key.as_str(), "QueueName" | "Tags") => continue,
                Value::Object(_) => property.to_string(),
                property => value::text(property).with_context(|| format!("{key} is not text"))?,
            };
            attributes.insert(key.clone(), attribute);
        }
        Ok(Self { logical_id: id.to_owned(), attributes })
    }
}
