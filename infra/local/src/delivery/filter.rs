//! Filter patterns of event source mappings.
//! <https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html#filtering-syntax>

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

/// A pattern that a record matches or does not.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    /// All of these must match.
    fields: BTreeMap<String, Field>,
    /// One of these must match, when there are any.
    alternatives: Vec<Filter>,
}

#[derive(Debug, Clone, PartialEq)]
enum Field {
    Object(Filter),
    /// One of these must hold.
    Rules(Vec<Rule>),
}

#[derive(Debug, Clone, PartialEq)]
enum Rule {
    Equals(Value),
    EqualsIgnoreCase(String),
    Prefix(String),
    Suffix(String),
    Not(Vec<Rule>),
    Exists(bool),
    Numeric(Vec<(Comparison, f64)>),
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Filter {
    /// Reads a pattern; an error names what is not understood.
    pub fn parse(pattern: &Value) -> Result<Self> {
        let pattern =
            pattern.as_object().with_context(|| format!("a filter must be an object: {pattern}"))?;
        let mut filter = Self { fields: BTreeMap::new(), alternatives: Vec::new() };
        for (key, value) in pattern {
            match value {
                Value::Array(patterns) if key == "$or" => {
                    ensure!(!patterns.is_empty(), "$or has no alternatives");
                    filter.alternatives = patterns.iter().map(Self::parse).collect::<Result<_>>()?;
                }
                Value::Array(rules) => {
                    ensure!(!rules.is_empty(), "{key} has no rule, so that nothing would match");
                    let rules: Result<Vec<_>> = rules.iter().map(Rule::parse).collect();
                    filter
                        .fields
                        .insert(key.clone(), Field::Rules(rules.with_context(|| format!("at {key}"))?));
                }
                Value::Object(_) => {
                    let inner = Self::parse(value).with_context(|| format!("at {key}"))?;
                    filter.fields.insert(key.clone(), Field::Object(inner));
                }
                value => bail!("a filter's values are lists or objects, not {value}"),
            }
        }
        Ok(filter)
    }

    /// Whether the record is wanted.
    pub fn matches(&self, record: &Value) -> bool {
        let mut fields = self.fields.iter();
        fields.all(|(key, field)| {
            let value = record.get(key);
            match field {
                Field::Object(filter) => filter.matches(value.unwrap_or(&Value::Null)),
                Field::Rules(rules) => rules.iter().any(|rule| rule.holds(value)),
            }
        }) && (self.alternatives.is_empty() || self.alternatives.iter().any(|filter| filter.matches(record)))
    }
}

impl Rule {
    fn parse(rule: &Value) -> Result<Self> {
        let Value::Object(object) = rule else {
            ensure!(!rule.is_array(), "a rule cannot be a list: {rule}");
            return Ok(Self::Equals(rule.clone()));
        };
        let (name, argument) = object
            .iter()
            .next()
            .filter(|_| object.len() == 1)
            .with_context(|| format!("not one rule: {rule}"))?;
        let text = || argument.as_str().map(str::to_owned).with_context(|| format!("not text: {rule}"));
        Ok(match name.as_str() {
            "prefix" => Self::Prefix(text()?),
            "suffix" => Self::Suffix(text()?),
            "equals-ignore-case" => Self::EqualsIgnoreCase(text()?.to_lowercase()),
            "exists" => {
                Self::Exists(argument.as_bool().with_context(|| format!("neither true nor false: {rule}"))?)
            }
            "anything-but" => Self::Not(match argument {
                Value::Array(rules) => rules.iter().map(Self::parse).collect::<Result<_>>()?,
                rule => vec![Self::parse(rule)?],
            }),
            "numeric" => {
                Self::Numeric(comparisons(argument).with_context(|| format!("not understood: {rule}"))?)
            }
            _ => bail!("infra/local does not understand the filter rule {rule}"),
        })
    }

    /// Of a list's items one must do. Only leaves exist: an object does not, whatever it contains.
    fn holds(&self, value: Option<&Value>) -> bool {
        let leaf = value.filter(|value| !value.is_object());
        match (self, leaf) {
            (Self::Exists(wanted), leaf) => leaf.is_some() == *wanted,
            (_, None) => false,
            (_, Some(Value::Array(items))) => items.iter().any(|item| self.holds(Some(item))),
            (Self::Equals(wanted), Some(leaf)) => wanted == leaf,
            (Self::Not(rules), leaf) => !rules.iter().any(|rule| rule.holds(leaf)),
            // Numbers of DynamoDB are strings, which this does not compare: neither does AWS.
            (Self::Numeric(comparisons), Some(leaf)) => leaf.as_f64().is_some_and(|number| {
                comparisons.iter().all(|(comparison, limit)| comparison.holds(number, *limit))
            }),
            (Self::EqualsIgnoreCase(wanted), Some(leaf)) => {
                leaf.as_str().is_some_and(|text| text.to_lowercase() == *wanted)
            }
            (Self::Prefix(prefix), Some(leaf)) => leaf.as_str().is_some_and(|text| text.starts_with(prefix)),
            (Self::Suffix(suffix), Some(leaf)) => leaf.as_str().is_some_and(|text| text.ends_with(suffix)),
        }
    }
}

impl Comparison {
    #[expect(clippy::float_cmp, reason = "equality is what the pattern asks for")]
    fn holds(self, number: f64, limit: f64) -> bool {
        match self {
            Self::Equal => number == limit,
            Self::Less => number < limit,
            Self::LessOrEqual => number <= limit,
            Self::Greater => number > limit,
            Self::GreaterOrEqual => number >= limit,
        }
    }
}

/// `[">", 0, "<=", 5]`
fn comparisons(argument: &Value) -> Option<Vec<(Comparison, f64)>> {
    let pairs = argument.as_array()?.chunks(2).map(|pair| {
        let [operator, limit] = pair else {
            return None;
        };
        let comparison = match operator.as_str()? {
            "=" => Comparison::Equal,
            "<" => Comparison::Less,
            "<=" => Comparison::LessOrEqual,
            ">" => Comparison::Greater,
            ">=" => Comparison::GreaterOrEqual,
            _ => return None,
        };
        Some((comparison, limit.as_f64()?))
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn patterns_match_as_on_aws() {
        let record = json!({
            "eventName": "MODIFY",
            "count": 5,
            "tags": ["a", "b"],
            "empty": "",
            "nothing": null,
            "dynamodb": { "Keys": { "sk": { "S": "ORDER#1" } }, "NewImage": { "total": { "N": "5" } } },
        });
        for (pattern, expected) in [
            (json!({}), true),
            (json!({ "eventName": ["INSERT", "MODIFY"] }), true),
            (json!({ "eventName": ["INSERT"] }), false),
            (json!({ "eventName": ["modify"] }), false),
            (json!({ "eventName": [{ "equals-ignore-case": "Modify" }] }), true),
            (json!({ "eventName": ["MODIFY"], "count": [6] }), false),
            (json!({ "count": [5] }), true),
            (json!({ "count": ["5"] }), false),
            (json!({ "tags": ["b"] }), true),
            (json!({ "tags": ["c"] }), false),
            (json!({ "dynamodb": { "Keys": { "sk": { "S": [{ "prefix": "ORDER#" }] } } } }), true),
            (json!({ "dynamodb": { "Keys": { "sk": { "S": [{ "prefix": "OPEN#" }] } } } }), false),
            (json!({ "dynamodb": { "Keys": { "sk": { "S": [{ "suffix": "#1" }] } } } }), true),
            (json!({ "dynamodb": { "Keys": { "pk": { "S": [{ "prefix": "" }] } } } }), false),
            (json!({ "eventName": [{ "anything-but": ["REMOVE", "INSERT"] }] }), true),
            (json!({ "eventName": [{ "anything-but": "MODIFY" }] }), false),
            (json!({ "eventName": [{ "anything-but": { "prefix": "MOD" } }] }), false),
            (json!({ "absent": [{ "anything-but": "x" }] }), false),
            (json!({ "absent": [{ "exists": false }] }), true),
            (json!({ "dynamodb": { "OldImage": { "total": { "N": [{ "exists": false }] } } } }), true),
            (json!({ "dynamodb": { "NewImage": { "total": { "N": [{ "exists": true }] } } } }), true),
            (json!({ "dynamodb": { "NewImage": [{ "exists": true }] } }), false),
            (json!({ "count": [{ "numeric": [">", 0, "<=", 5] }] }), true),
            (json!({ "count": [{ "numeric": ["<", 5] }] }), false),
            (json!({ "count": [{ "numeric": ["=", 5] }] }), true),
            (json!({ "dynamodb": { "NewImage": { "total": { "N": [{ "numeric": ["=", 5] }] } } } }), false),
            (json!({ "empty": [""] }), true),
            (json!({ "empty": [null] }), false),
            (json!({ "nothing": [null] }), true),
            (json!({ "absent": [null] }), false),
            (json!({ "$or": [{ "count": [6] }, { "eventName": ["MODIFY"] }] }), true),
            (json!({ "$or": [{ "count": [6] }, { "eventName": ["REMOVE"] }] }), false),
            (json!({ "$or": [{ "count": [5] }], "eventName": ["REMOVE"] }), false),
        ] {
            let filter = Filter::parse(&pattern).expect("a valid pattern");
            assert_eq!(filter.matches(&record), expected, "{pattern}");
        }
    }

    #[test]
    fn what_is_not_understood_is_an_error() {
        for pattern in [
            json!([]),
            json!({ "a": "b" }),
            json!({ "a": [["b"]] }),
            json!({ "a": [{ "wildcard": "b*" }] }),
            json!({ "a": [{ "prefix": "b", "suffix": "c" }] }),
            json!({ "a": [{ "exists": "yes" }] }),
            json!({ "a": [{ "numeric": [">"] }] }),
            json!({ "a": [{ "numeric": ["~", 1] }] }),
            json!({ "$or": ["a"] }),
            json!({ "$or": [] }),
            json!({ "a": [] }),
        ] {
            assert!(Filter::parse(&pattern).is_err(), "{pattern}");
        }
    }
}
