//! What the deployed functions asked of AWS, as `CloudTrail` recorded it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::{Context as _, Result, bail};
use aws_lc_rs::digest::{SHA256, digest};
use serde_json::{Value, json};
use template::{ACCOUNT, REGION};

use super::cloud::Cloud;
use super::stack::Stack;
use crate::provision::Wire;

/// Most events of one answer. <https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html>
const PAGE: usize = 50;
/// More versions of a function than one stack of the rehearsal ever has.
const VERSIONS: u8 = 9;

/// A call of a function, as IAM decides on it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Call {
    /// Name of the function.
    pub function: String,
    /// Such as `dynamodb:GetItem`; a transaction is the actions of its items.
    pub action: String,
    /// On what, called as the template's policies call it here.
    pub resource: String,
}

/// Collects calls.
#[derive(Debug)]
pub(super) struct Recorder {
    wire: Wire,
    /// The functions by their access keys.
    callers: BTreeMap<String, String>,
    /// Logical ids of resources by their physical ids.
    resources: BTreeMap<String, String>,
    /// When the last event came, in seconds since 1970.
    newest: f64,
    calls: BTreeSet<Call>,
}

impl Recorder {
    /// Of no functions yet.
    pub(super) fn new(cloud: &Cloud) -> Result<Self> {
        let wire = Wire::new(&cloud.endpoint)?;
        let (callers, resources, calls) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Ok(Self { wire, callers, resources, newest: 0.0, calls })
    }

    /// Knows the functions of the deployed stack, besides those of the version before. `functions` is what they are called there,
    /// by their names here.
    pub(super) async fn follow(
        &mut self,
        cloud: &Cloud,
        stack: &Stack,
        functions: &BTreeMap<String, String>,
    ) -> Result<()> {
        let listed = cloud.aws(&["lambda", "list-functions"]).await?;
        let listed = listed["Functions"].as_array().context("no list of functions")?;
        for (name, there) in functions {
            let function = listed.iter().find(|function| function["FunctionName"] == there.as_str());
            let function = function.with_context(|| format!("{there} is not listed"))?;
            let text = |name: &str| function[name].as_str().unwrap_or_default();
            let keys = access_keys(text("FunctionArn"), text("Role"));
            self.callers.extend(keys.map(|key| (key, name.clone())));
        }
        let resources = stack.resources.iter();
        self.resources.extend(resources.map(|(logical, physical)| (physical.clone(), logical.clone())));
        Ok(())
    }

    /// Takes in what came since the last time, and returns everything.
    pub(super) async fn look(&mut self) -> Result<&BTreeSet<Call>> {
        let mut before: Option<f64> = None;
        let mut newest = self.newest;
        loop {
            let mut body = json!({ "StartTime": self.newest, "MaxResults": PAGE });
            if let Some(before) = before {
                body["EndTime"] = json!(before);
            }
            let target = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.LookupEvents";
            let answer = self.wire.call("cloudtrail", target, &body).await?;
            let events = answer["Events"].as_array().context("CloudTrail lists no events")?;
            for event in events {
                newest = newest.max(event["EventTime"].as_f64().unwrap_or_default());
                self.take(event)?;
            }
            let oldest = events.last().and_then(|event| event["EventTime"].as_f64());
            if events.len() < PAGE {
                // Only now: what was an error is one the next time too.
                self.newest = newest;
                return Ok(&self.calls);
            }
            if oldest == before {
                bail!("more than {PAGE} calls came at the same time, and CloudTrail cannot tell all of them");
            }
            before = oldest;
        }
    }

    fn take(&mut self, event: &Value) -> Result<()> {
        let key = event["AccessKeyId"].as_str().unwrap_or_default();
        let Some(function) = self.callers.get(key) else {
            // Operators have other keys than roles.
            if key.starts_with("ASIA") {
                bail!("nobody knows who has the access key {key} of this call: {event}");
            }
            return Ok(());
        };
        let details: Value = serde_json::from_str(event["CloudTrailEvent"].as_str().unwrap_or_default())
            .context("an event of CloudTrail cannot be read")?;
        let service = details["eventSource"].as_str().unwrap_or_default();
        let service = service.trim_end_matches(".amazonaws.com");
        let name = details["eventName"].as_str().unwrap_or_default();
        for (action, resource) in asked(service, name, &details["requestParameters"]) {
            let resource = self.named(&resource);
            self.calls.insert(Call { function: function.clone(), action, resource });
        }
        Ok(())
    }

    /// A resource as policies name it in the template: with logical ids.
    fn named(&self, resource: &str) -> String {
        if let Some(secret) = resource.split_once(":secret:") {
            // A secret's ARN ends in six random characters.
            let name = secret.1.rsplit_once('-').map_or(secret.1, |(name, _)| name);
            return self.resources.get(name).cloned().unwrap_or_else(|| resource.to_owned());
        }
        let (start, name) = resource.split_once('/').unwrap_or(("", resource));
        let (name, rest) = name.split_once('/').map_or((name, None), |(name, rest)| (name, Some(rest)));
        let name = self.resources.get(name).map_or(name, String::as_str);
        let named = if start.is_empty() { name.to_owned() } else { format!("{start}/{name}") };
        rest.map_or(named.clone(), |rest| format!("{named}/{rest}"))
    }
}

/// The access keys that the emulator gives to a role for a function and its versions: they are computed from their names.
fn access_keys(function: &str, role: &str) -> impl Iterator<Item = String> {
    let versions = (1..=VERSIONS).map(|version| format!(":{version}"));
    let qualifiers = ["", ":$LATEST", ":live"].map(str::to_owned).into_iter().chain(versions);
    qualifiers.map(move |qualifier| {
        let hash = digest(&SHA256, format!("{function}{qualifier}:{role}").as_bytes());
        let mut key = "ASIA".to_owned();
        for byte in hash.as_ref().iter().take(8) {
            // Writing to a string does not fail.
            let _ok = write!(key, "{byte:02X}");
        }
        key
    })
}

/// The actions that a call is, each with its resource.
fn asked(service: &str, name: &str, parameters: &Value) -> Vec<(String, String)> {
    let text = |name: &str| parameters[name].as_str().unwrap_or_default().to_owned();
    let table = |table: &str| format!("arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{table}");
    // Calls of the older protocol, which are forms, are recorded by their method.
    let name = parameters["Action"].as_str().unwrap_or(name);
    match (service, name) {
        ("dynamodb", "TransactWriteItems" | "TransactGetItems") => {
            let items = parameters["TransactItems"].as_array().into_iter().flatten();
            let items = items.filter_map(Value::as_object).flatten();
            let asked = items.map(|(operation, item)| {
                (format!("dynamodb:{operation}Item"), table(item["TableName"].as_str().unwrap_or_default()))
            });
            asked.collect()
        }
        ("dynamodb", "BatchGetItem" | "BatchWriteItem") => {
            let tables = parameters["RequestItems"].as_object().into_iter().flatten();
            tables.map(|(name_of, _)| (format!("dynamodb:{name}"), table(name_of))).collect()
        }
        ("dynamodb", _) => {
            let mut resource = table(&text("TableName"));
            if let Some(index) = parameters["IndexName"].as_str() {
                resource = format!("{resource}/index/{index}");
            }
            vec![(format!("dynamodb:{name}"), resource)]
        }
        ("secretsmanager", _) => vec![(format!("secretsmanager:{name}"), text("SecretId"))],
        ("sns", _) if parameters["PhoneNumber"].is_string() => {
            vec![(format!("sns:{name}"), "a phone number".to_owned())]
        }
        ("sns", _) => vec![(format!("sns:{name}"), text("TopicArn"))],
        _ => vec![(format!("{service}:{name}"), parameters.to_string())],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorder() -> Recorder {
        let pairs = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(from, to)| ((*from).to_owned(), (*to).to_owned())).collect::<BTreeMap<_, _>>()
        };
        Recorder {
            wire: Wire::new("http://127.0.0.1:1").unwrap(),
            callers: pairs(&[("ASIA1", "order")]),
            resources: pairs(&[("stack-Orders-1", "OrderTable"), ("stack-Key-1", "KeySecret")]),
            newest: 0.0,
            calls: BTreeSet::new(),
        }
    }

    fn event(key: &str, service: &str, name: &str, parameters: &Value) -> Value {
        let details = json!({
            "eventSource": format!("{service}.amazonaws.com"), "eventName": name, "requestParameters": parameters,
        });
        json!({ "EventTime": 1.5, "AccessKeyId": key, "CloudTrailEvent": details.to_string() })
    }

    fn taken(service: &str, name: &str, parameters: &Value) -> Vec<(String, String)> {
        let mut recorder = recorder();
        recorder.take(&event("ASIA1", service, name, parameters)).unwrap();
        let calls = recorder.calls.into_iter().inspect(|call| assert_eq!(call.function, "order"));
        calls.map(|call| (call.action, call.resource)).collect()
    }

    #[test]
    fn calls_are_told_in_the_words_of_policies() {
        let table = "arn:aws:dynamodb:us-east-1:000000000000:table/OrderTable";
        let own = |action: &str, resource: &str| (action.to_owned(), resource.to_owned());
        let query = json!({ "TableName": "stack-Orders-1", "IndexName": "due" });
        let index = format!("{table}/index/due");
        assert_eq!(taken("dynamodb", "Query", &query), [own("dynamodb:Query", &index)]);
        let on = json!({ "TableName": "stack-Orders-1" });
        let transaction =
            json!({ "TransactItems": [{ "Put": on }, { "ConditionCheck": on }, { "Delete": on }] });
        assert_eq!(
            taken("dynamodb", "TransactWriteItems", &transaction),
            ["ConditionCheckItem", "DeleteItem", "PutItem"]
                .map(|action| own(&format!("dynamodb:{action}"), table))
        );
        let batch = json!({ "RequestItems": { "stack-Orders-1": {} } });
        assert_eq!(taken("dynamodb", "BatchGetItem", &batch), [own("dynamodb:BatchGetItem", table)]);
        let secret =
            json!({ "SecretId": "arn:aws:secretsmanager:us-east-1:000000000000:secret:stack-Key-1-a1b2c3" });
        assert_eq!(
            taken("secretsmanager", "GetSecretValue", &secret),
            [own("secretsmanager:GetSecretValue", "KeySecret")]
        );
        let sms = json!({ "Action": "Publish", "PhoneNumber": "+1555" });
        assert_eq!(taken("sns", "POST.sns", &sms), [own("sns:Publish", "a phone number")]);
    }

    #[test]
    fn operators_calls_do_not_count_and_an_unknown_role_is_an_error() {
        let mut recorder = recorder();
        let on = json!({ "TableName": "stack-Orders-1" });
        recorder.take(&event("test", "dynamodb", "GetItem", &on)).unwrap();
        assert!(recorder.calls.is_empty());
        let error = recorder.take(&event("ASIA2", "dynamodb", "GetItem", &on)).unwrap_err();
        assert!(error.to_string().contains("ASIA2"), "{error}");
    }
}
