//! IAM policy statements of the functions.

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::value;

/// One statement of a function's policies.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// `Allow` or `Deny`.
    pub effect: String,
    /// Such as `dynamodb:GetItem`.
    pub actions: Vec<String>,
    /// ARNs; a secret, which has no predictable ARN, is named by its logical id.
    pub resources: Vec<String>,
    /// `NotResource`: the statement is about all other resources.
    pub not_resources: Vec<String>,
    /// The statement's `Condition`, when it has one.
    pub condition: Option<Value>,
}

impl Statement {
    /// The statements in SAM's `Policies`, and the names of the managed policies and policy templates there.
    pub(crate) fn read(policies: &Value) -> Result<(Vec<Self>, Vec<String>)> {
        let mut statements = Vec::new();
        let mut managed = Vec::new();
        for policy in value::list(policies) {
            match policy {
                Value::String(name) => managed.push(name.clone()),
                Value::Object(policy) if policy.contains_key("Statement") => {
                    for statement in value::list(&policy["Statement"]) {
                        statements.push(Self::from_json(statement)?);
                    }
                }
                Value::Object(template) => managed.extend(template.keys().cloned()),
                policy => bail!("not a policy: {policy}"),
            }
        }
        Ok((statements, managed))
    }

    fn from_json(statement: &Value) -> Result<Self> {
        let texts = |key: &str| -> Result<Vec<String>> {
            let texts: Option<Vec<_>> = value::list(&statement[key]).iter().map(value::text).collect();
            texts.with_context(|| format!("a policy statement whose {key} is not text"))
        };
        let read = Self {
            effect: value::required(statement, "Effect")?,
            actions: texts("Action")?,
            resources: texts("Resource")?,
            not_resources: texts("NotResource")?,
            condition: statement.get("Condition").cloned(),
        };
        if read.actions.is_empty() || read.resources.is_empty() == read.not_resources.is_empty() {
            bail!("a policy statement needs Action, and Resource or NotResource: {statement}");
        }
        Ok(read)
    }

    /// Whether the statement speaks of this action on this resource (conditions are not looked at).
    pub fn covers(&self, action: &str, resource: &str) -> bool {
        let action = action.to_ascii_lowercase();
        let named = |patterns: &[String]| patterns.iter().any(|pattern| matches(pattern, resource));
        self.actions.iter().any(|pattern| matches(&pattern.to_ascii_lowercase(), &action))
            && if self.not_resources.is_empty() {
                named(&self.resources)
            } else {
                !named(&self.not_resources)
            }
    }
}

/// IAM's wildcards: `*` any characters, `?` exactly one.
fn matches(pattern: &str, text: &str) -> bool {
    let mut pattern_rest = pattern.chars();
    match pattern_rest.next() {
        None => text.is_empty(),
        Some('*') => {
            let mut tails = text.char_indices().map(|(at, _)| &text[at..]).chain([""]);
            tails.any(|tail| matches(pattern_rest.as_str(), tail))
        }
        Some(wanted) => {
            let mut text_rest = text.chars();
            let found = text_rest.next();
            found.is_some_and(|found| wanted == '?' || wanted == found)
                && matches(pattern_rest.as_str(), text_rest.as_str())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_of_iam() {
        for (pattern, text, expected) in [
            ("dynamodb:getitem", "dynamodb:getitem", true),
            ("dynamodb:get*", "dynamodb:getitem", true),
            ("dynamodb:*", "sqs:sendmessage", false),
            ("*", "", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*table/Order*", "arn:table/OrderTable", true),
            ("abc", "abcd", false),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
