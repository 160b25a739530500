//! What an older version wrote, as files: `--record` makes them, and the rehearsal loads them into the older version's stack. What is
//! in which, and when they are made anew, is in tests/fixtures/upgrade/README.md.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use template::Secret;

use super::{Deployment, Version, build, directory};
use crate::ambient;
use crate::provision::Wire;
use crate::workspace::Workspace;

/// Each table's items, as DynamoDB has them on the wire.
#[derive(Serialize, Deserialize)]
struct Tables {
    /// Since when the items grow old.
    recorded_at: Timestamp,
    tables: BTreeMap<String, Vec<Value>>,
}

/// The files.
pub(super) struct Fixture {
    directory: PathBuf,
}

impl Fixture {
    pub(super) fn of(workspace: &Workspace) -> Self {
        Self { directory: workspace.root.join("tests/fixtures/upgrade") }
    }

    /// Replaces it by what is in the deployed stack, and by what the first half of the story tells of it.
    pub(super) async fn record(
        &self,
        deployment: &Deployment,
        older: &Version,
        written: &Path,
    ) -> Result<()> {
        let wire = Wire::new(&deployment.cloud.endpoint)?;
        let mut tables = BTreeMap::new();
        for table in older.template.tables() {
            let name = deployment.stack.physical(&table.logical_id)?;
            let body = json!({ "TableName": name, "ConsistentRead": true });
            let page = wire.call("dynamodb", "DynamoDB_20120810.Scan", &body).await?;
            ensure!(page["LastEvaluatedKey"].is_null(), "{name} is too large for a fixture");
            let mut items: Vec<Value> = serde_json::from_value(page["Items"].clone())?;
            items.sort_by_key(Value::to_string);
            tables.insert(table.logical_id.clone(), items);
        }
        // Keys never enter the repository: those that the function of the custom resource makes are made anew.
        let generated = older.template.secrets().iter().filter(|secret| secret.generated.is_some());
        let secrets = secrets(deployment, generated).await?;
        fs::create_dir_all(&self.directory)
            .with_context(|| format!("cannot create {}", self.directory.display()))?;
        self.write("tables.json", &Tables { recorded_at: ambient::now(), tables })?;
        self.write("secrets.json", &secrets)?;
        for (from, to) in [(written, "written.json"), (&older.root.join("template.yaml"), "template.yaml")] {
            let copied = fs::copy(from, self.directory.join(to));
            copied.with_context(|| format!("cannot copy {}", from.display()))?;
        }
        Ok(())
    }

    /// Its template, for the functions as this version has them.
    pub(super) fn version(&self, workspace: &Workspace) -> Result<Version> {
        let fixture = Workspace { root: self.directory.clone(), target: workspace.target.clone() };
        let path = self.directory.join("template.yaml");
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut document = template::document(&text)?;
        for (id, resource) in document["Resources"].as_object_mut().into_iter().flatten() {
            if resource["Type"] == "AWS::Serverless::Function" {
                resource["Properties"]["CodeUri"] = json!(id);
            }
        }
        let built = build::directory(workspace).join("fixture.json");
        fs::write(&built, document.to_string()).context("cannot write the fixture's template")?;
        Version::new(&fixture, built)
    }

    /// Fills the deployed stack, and returns the file with what is to be found there.
    pub(super) async fn load(&self, deployment: &Deployment) -> Result<PathBuf> {
        let wire = Wire::new(&deployment.cloud.endpoint)?;
        let secrets: BTreeMap<String, String> = self.read("secrets.json")?;
        for (id, text) in secrets {
            let body = json!({ "SecretId": deployment.stack.physical(&id)?, "SecretString": text });
            wire.call("secretsmanager", "secretsmanager.PutSecretValue", &body).await?;
        }
        let Tables { recorded_at, tables } = self.read("tables.json")?;
        let age = ambient::now().duration_since(recorded_at);
        // By name: what the readers of the streams of orders and payments did comes before these.
        for (id, items) in tables {
            let name = deployment.stack.physical(&id)?;
            for mut item in items {
                shift(&mut item, age)?;
                let body = json!({ "TableName": name, "Item": item });
                wire.call("dynamodb", "DynamoDB_20120810.PutItem", &body).await?;
            }
        }
        let mut written: Value = self.read("written.json")?;
        shift(&mut written["reads"], age)?;
        let path = directory(&deployment.options.workspace).join("written.json");
        fs::write(&path, written.to_string()).context("cannot write what was written")?;
        Ok(path)
    }

    fn read<T: DeserializeOwned>(&self, name: &str) -> Result<T> {
        let path = self.directory.join(name);
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("in {}", path.display()))
    }

    fn write(&self, name: &str, content: &impl Serialize) -> Result<()> {
        let path = self.directory.join(name);
        let text = serde_json::to_string_pretty(content)? + "\n";
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// The values of secrets, by logical id.
pub(super) async fn secrets(
    deployment: &Deployment,
    secrets: impl Iterator<Item = &Secret>,
) -> Result<BTreeMap<String, String>> {
    let wire = Wire::new(&deployment.cloud.endpoint)?;
    let mut values = BTreeMap::new();
    for Secret { logical_id, .. } in secrets {
        let body = json!({ "SecretId": deployment.stack.physical(logical_id)? });
        let answer = wire.call("secretsmanager", "secretsmanager.GetSecretValue", &body).await?;
        let text = answer["SecretString"].as_str().with_context(|| format!("{logical_id} has no text"))?;
        values.insert(logical_id.clone(), text.to_owned());
    }
    Ok(values)
}

/// Attributes that say until when something lives: seconds since 1970, or RFC 3339. All other times are of the past, and stay.
const UNTIL: [&str; 3] = ["expires_at", "due_at", "pay_until"];

/// Lets everything in an item, or in an answer, live as much longer as it is old.
fn shift(value: &mut Value, age: SignedDuration) -> Result<()> {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                if UNTIL.contains(&name.as_str()) {
                    later(member, age).with_context(|| format!("{name} is {member}"))?;
                } else {
                    shift(member, age)?;
                }
            }
            Ok(())
        }
        Value::Array(values) => values.iter_mut().try_for_each(|value| shift(value, age)),
        _ => Ok(()),
    }
}

/// On the wire of DynamoDB, a value is in an object that has its type for a name.
fn later(value: &mut Value, age: SignedDuration) -> Result<()> {
    match value {
        Value::Object(typed) => typed.values_mut().try_for_each(|value| later(value, age)),
        Value::String(text) => {
            *text = match text.parse::<i64>() {
                Ok(seconds) => (seconds + age.as_secs()).to_string(),
                Err(_) => shifted(text, age)?,
            };
            Ok(())
        }
        _ => Ok(()),
    }
}

/// With as many digits as before, since some are compared as texts.
fn shifted(text: &str, age: SignedDuration) -> Result<String> {
    let (seconds, fraction) = text
        .split_once('.')
        .map_or((text.trim_end_matches('Z'), "Z"), |(seconds, _)| (seconds, &text[seconds.len()..]));
    let time =
        format!("{seconds}Z").parse::<Timestamp>()?.checked_add(SignedDuration::from_secs(age.as_secs()))?;
    Ok(format!("{time}").trim_end_matches('Z').to_owned() + fraction)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_alive_lives_longer_and_nothing_else_changes() {
        let mut value = json!({
            "pk": { "S": "HOURS#2026-01-31" },
            "at": { "S": "2026-01-31T00:00:00Z" },
            "expires_at": { "N": "1769817600" },
            "due_at": { "S": "2026-01-31T00:00:00.190Z" },
            "items": [{ "pay_until": "2026-01-31T23:59:59Z" }],
        });
        shift(&mut value, SignedDuration::from_millis(86_400_999)).unwrap();
        let expected = json!({
            "pk": { "S": "HOURS#2026-01-31" },
            "at": { "S": "2026-01-31T00:00:00Z" },
            "expires_at": { "N": "1769904000" },
            "due_at": { "S": "2026-02-01T00:00:00.190Z" },
            "items": [{ "pay_until": "2026-02-01T23:59:59Z" }],
        });
        assert_eq!(value, expected);
        assert!(shift(&mut json!({ "due_at": "soon" }), SignedDuration::ZERO).is_err());
    }
}
