//! What the emulator cannot do, taken out of the built template. Each alteration is a gap of `MiniStack` 1.5.33.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

/// Writes an altered copy beside the built template, whose relative paths it keeps. Tokens are issued by `issuer`.
pub(super) fn for_the_emulator(built: &Path, issuer: &str) -> Result<PathBuf> {
    let text = fs::read_to_string(built).with_context(|| format!("cannot read {}", built.display()))?;
    let mut template = template::document(&text).with_context(|| format!("in {}", built.display()))?;
    alter(&mut template, issuer);
    let altered = built.with_file_name("altered.json");
    fs::write(&altered, template.to_string()).context("cannot write the altered template")?;
    Ok(altered)
}

fn alter(template: &mut Value, issuer: &str) {
    without_rotation_schedules(template);
    without_metric_math(template);
    issued_by(template, issuer);
    mail_from_any_identity(template);
    let secrets = of_type(template, "AWS::SecretsManager::Secret");
    secrets_by_their_arn(template, &secrets);
}

/// `AWS::SecretsManager::RotationSchedule` is refused as unknown. The suite rotates by invoking the four steps, as Secrets
/// Manager would.
fn without_rotation_schedules(template: &mut Value) {
    if let Some(resources) = template["Resources"].as_object_mut() {
        resources.retain(|_, resource| resource["Type"] != "AWS::SecretsManager::RotationSchedule");
    }
}

/// `Metrics` of an alarm, from which a figure is computed, are refused: an alarm there has one `MetricName`.
fn without_metric_math(template: &mut Value) {
    if let Some(resources) = template["Resources"].as_object_mut() {
        resources.retain(|_, resource| {
            resource["Type"] != "AWS::CloudWatch::Alarm" || resource["Properties"]["Metrics"].is_null()
        });
    }
}

/// The host name of the emulated API is known to no resolver, but clients are to find everything by the issuer's URL.
fn issued_by(template: &mut Value, issuer: &str) {
    if let Some(properties) = template["Resources"]["KeyPair"]["Properties"].as_object_mut() {
        for name in ["Issuer", "Audience"] {
            properties.insert(name.to_owned(), json!(issuer));
        }
    }
}

/// Whether mail may be sent is decided for no identity in particular, and without the key `ses:FromAddress`: statements that
/// name either would allow nothing.
fn mail_from_any_identity(value: &mut Value) {
    match value {
        Value::Object(object) if object.get("Action").is_some_and(|action| action == "ses:SendEmail") => {
            object.insert("Resource".to_owned(), json!("*"));
            object.remove("Condition");
        }
        Value::Object(object) => object.values_mut().for_each(mail_from_any_identity),
        Value::Array(values) => values.iter_mut().for_each(mail_from_any_identity),
        _ => {}
    }
}

/// `Ref` of a secret is its name instead of its ARN, so that policies by reference would allow nothing. `Id` is the ARN.
fn secrets_by_their_arn(value: &mut Value, secrets: &[String]) {
    match value {
        Value::Object(object) => {
            let name = object.get("Ref").and_then(Value::as_str);
            if let Some(name) = name.filter(|name| secrets.iter().any(|secret| secret == name)) {
                *value = json!({ "Fn::GetAtt": [name, "Id"] });
            } else {
                object.values_mut().for_each(|value| secrets_by_their_arn(value, secrets));
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| secrets_by_their_arn(value, secrets)),
        _ => {}
    }
}

/// Logical ids of all resources of a type.
fn of_type(template: &Value, kind: &str) -> Vec<String> {
    let resources = template["Resources"].as_object();
    let of_type = resources.into_iter().flatten().filter(|(_, resource)| resource["Type"] == kind);
    of_type.map(|(id, _)| id.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_emulator_cannot_do_is_altered() {
        let mut template = json!({ "Resources": {
            "Key": { "Type": "AWS::SecretsManager::Secret" },
            "Table": { "Type": "AWS::DynamoDB::Table" },
            "KeyPair": { "Properties": { "Issuer": { "Fn::GetAtt": ["Api", "ApiEndpoint"] }, "ServiceTimeout": 9 } },
            "Schedule": { "Type": "AWS::SecretsManager::RotationSchedule", "Properties": { "SecretId": { "Ref": "Key" } } },
            "Half": { "Type": "AWS::CloudWatch::Alarm", "Properties": { "Metrics": [{ "Expression": "a / b" }] } },
            "Errors": { "Type": "AWS::CloudWatch::Alarm", "Properties": { "MetricName": "Errors" } },
            "Mailer": { "Policies": [{ "Statement": [
                { "Effect": "Allow", "Action": "ses:SendEmail", "Resource": "arn:x", "Condition": { "StringEquals": {} } },
                { "Effect": "Allow", "Action": "sns:Publish", "Condition": { "StringEquals": {} } },
            ]}]},
            "Reader": { "Properties": { "Resource": [{ "Ref": "Key" }, { "Ref": "Table" }] } },
        }});
        alter(&mut template, "http://localhost:1");
        let expected = json!({ "Resources": {
            "Key": { "Type": "AWS::SecretsManager::Secret" },
            "Table": { "Type": "AWS::DynamoDB::Table" },
            "KeyPair": { "Properties": {
                "Issuer": "http://localhost:1", "Audience": "http://localhost:1", "ServiceTimeout": 9,
            }},
            "Errors": { "Type": "AWS::CloudWatch::Alarm", "Properties": { "MetricName": "Errors" } },
            "Mailer": { "Policies": [{ "Statement": [
                { "Effect": "Allow", "Action": "ses:SendEmail", "Resource": "*" },
                { "Effect": "Allow", "Action": "sns:Publish", "Condition": { "StringEquals": {} } },
            ]}]},
            "Reader": { "Properties": { "Resource": [{ "Fn::GetAtt": ["Key", "Id"] }, { "Ref": "Table" }] } },
        }});
        assert_eq!(template, expected);
    }
}
