//! Least privilege, as far as the template alone tells. That each right is used, and none is missing, the rehearsal shows
//! (`cargo local deploy`).

use std::collections::BTreeSet;

use serde_json::Value;

use super::*;

/// Rights on more than one thing, because AWS has nothing finer: who, what, and the end of what it is on.
const WIDE: [(&str, &str, &str); 9] = [
    // The identity that SES checks may be the address or its domain, and in SES's sandbox the recipient too; what binds is the
    // condition `ses:FromAddress`.
    ("AuthMailerFunction", "ses:SendEmail", "identity/*"),
    ("NotificationDeferredFunction", "ses:SendEmail", "identity/*"),
    ("NotificationWorkerFunction", "ses:SendEmail", "identity/*"),
    // A phone number has no ARN; topics, which have one, are denied.
    ("NotificationDeferredFunction", "sns:Publish", "*"),
    ("NotificationWorkerFunction", "sns:Publish", "*"),
    // It takes no resource.
    ("BusPipeRole", "dynamodb:ListStreams", "*"),
    // Of one bucket; the objects get their names when they are written.
    ("EventArchiveRole", "s3:AbortMultipartUpload", "/*"),
    ("EventArchiveRole", "s3:GetObject", "/*"),
    ("EventArchiveRole", "s3:PutObject", "/*"),
];

/// What functions and roles have, as it is written.
fn holders() -> Vec<(String, Value)> {
    let text = std::fs::read_to_string(workspace_root().join("template.yaml")).expect("template.yaml");
    let document = yaml::parse(&text).expect("YAML");
    let resources = document["Resources"].as_object().expect("resources").clone().into_iter();
    let holds = |kind: &Value| kind == "AWS::Serverless::Function" || kind == "AWS::IAM::Role";
    resources.filter(|(_, resource)| holds(&resource["Type"])).collect()
}

/// All objects in a value that are statements which allow something.
fn allowing<'a>(value: &'a Value, found: &mut Vec<&'a Value>) {
    match value {
        Value::Object(object) if object.contains_key("Effect") => {
            found.extend((object["Effect"] == "Allow").then_some(value));
        }
        Value::Object(object) => object.values().for_each(|value| allowing(value, found)),
        Value::Array(values) => values.iter().for_each(|value| allowing(value, found)),
        _ => {}
    }
}

/// All text in a value, such as that of `!Sub`.
fn texts<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::String(text) => found.push(text),
        Value::Object(object) => object.values().for_each(|value| texts(value, found)),
        Value::Array(values) => values.iter().for_each(|value| texts(value, found)),
        _ => {}
    }
}

#[test]
fn a_right_is_on_one_thing_unless_aws_has_nothing_finer() {
    let mut wide = BTreeSet::new();
    for (holder, resource) in holders() {
        let mut statements = Vec::new();
        allowing(&resource["Properties"]["Policies"], &mut statements);
        for statement in statements {
            let (mut actions, mut on) = (Vec::new(), Vec::new());
            texts(&statement["Action"], &mut actions);
            texts(&statement["Resource"], &mut on);
            assert!(!actions.is_empty() && !on.is_empty(), "{holder}: {statement}");
            for action in actions {
                assert!(!action.contains('*'), "{holder} may do {action}");
                wide.extend(
                    on.iter()
                        .filter(|on| on.contains('*'))
                        .map(|on| (holder.clone(), action.to_owned(), (*on).to_owned())),
                );
            }
        }
    }
    for (holder, action, on) in &wide {
        let is_known =
            |(who, what, end): &(&str, &str, &str)| holder == who && action == what && on.ends_with(end);
        assert!(WIDE.iter().any(is_known), "{holder} may do {action} on {on}");
    }
    assert_eq!(wide.len(), WIDE.len(), "as few as there are reasons: {wide:?}");
}

#[test]
fn a_mail_leaves_under_one_address_and_no_topic_is_written_to() {
    for (holder, resource) in holders() {
        let policies = resource["Properties"]["Policies"].to_string();
        assert_eq!(
            policies.contains("ses:SendEmail"),
            policies.contains(r#""ses:FromAddress":{"Ref":"EmailSender"}"#),
            "{holder}"
        );
        let denied = r#"{"Action":"sns:Publish","Effect":"Deny","Resource":{"Fn::Sub":"arn:${AWS::Partition}:sns:*:*:*"}}"#;
        assert_eq!(
            policies.contains(r#""sns:Publish","Effect":"Allow""#),
            policies.contains(denied),
            "{holder}"
        );
    }
}

#[test]
fn each_function_has_a_role_of_its_own() {
    let functions =
        holders().into_iter().filter(|(_, resource)| resource["Type"] == "AWS::Serverless::Function");
    for (name, function) in functions {
        // Without one, SAM makes a role for the function alone.
        assert!(function["Properties"]["Role"].is_null(), "{name}");
        assert!(function["Properties"]["Policies"].is_array(), "{name}");
    }
}
