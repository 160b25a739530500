//! CloudFormation's intrinsic functions, pseudo parameters, conditions and mappings.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value, json};

use crate::{ACCOUNT, REGION, parameters, value};

/// What names in the template can refer to.
pub(crate) struct Scope {
    parameters: BTreeMap<String, Value>,
    mappings: Value,
    conditions: Value,
    /// The type of each resource, absent ones included.
    types: BTreeMap<String, String>,
    /// Logical ids of the resources whose condition holds.
    present: Vec<String>,
}

impl Scope {
    pub(crate) fn new(document: &Value, overrides: &BTreeMap<String, String>) -> Result<Self> {
        let mut scope = Self {
            parameters: parameters::values(document, overrides)?,
            mappings: document["Mappings"].clone(),
            conditions: document["Conditions"].clone(),
            types: BTreeMap::new(),
            present: Vec::new(),
        };
        for (id, resource) in value::object(document, "Resources")? {
            let kind = value::required(resource, "Type").with_context(|| format!("resource {id}"))?;
            let mut declared = vec![(id.clone(), kind.clone())];
            if kind == "AWS::Serverless::Function" {
                // SAM makes it, and templates may refer to it.
                declared.push((format!("{id}Role"), "AWS::IAM::Role".to_owned()));
            }
            if scope.is_included(resource).with_context(|| format!("resource {id}"))? {
                scope.present.extend(declared.iter().map(|(id, _)| id.clone()));
            }
            scope.types.extend(declared);
        }
        Ok(scope)
    }

    /// Whether the resource is declared and its condition holds.
    pub(crate) fn has_resource(&self, id: &str) -> bool {
        self.present.iter().any(|present| present == id)
    }

    /// Whether the `Condition` of a resource or output holds, or there is none.
    pub(crate) fn is_included(&self, item: &Value) -> Result<bool> {
        item["Condition"].as_str().map_or(Ok(true), |name| self.condition(name, &[]))
    }

    /// The value with every intrinsic function evaluated; `AWS::NoValue` at the top is null.
    pub(crate) fn resolve(&self, value: &Value) -> Result<Value> {
        Ok(self.evaluate(value)?.unwrap_or_default())
    }

    /// `None` stands for `AWS::NoValue`: the property or list item is left out.
    fn evaluate(&self, value: &Value) -> Result<Option<Value>> {
        Ok(Some(match value {
            Value::Array(values) => {
                let values: Result<Vec<_>> = values.iter().map(|value| self.evaluate(value)).collect();
                Value::Array(values?.into_iter().flatten().collect())
            }
            Value::Object(object) => {
                if let Some((name, argument)) = intrinsic(object) {
                    return self.call(name, argument).with_context(|| format!("{name} {argument}"));
                }
                let mut resolved = Map::new();
                for (key, value) in object {
                    if let Some(value) = self.evaluate(value).with_context(|| format!("at {key}"))? {
                        resolved.insert(key.clone(), value);
                    }
                }
                Value::Object(resolved)
            }
            value => value.clone(),
        }))
    }

    fn call(&self, name: &str, argument: &Value) -> Result<Option<Value>> {
        if name == "Fn::If" {
            let (condition, branches) = arguments(argument)?.split_first().context("needs a condition")?;
            let [then, otherwise] = branches else {
                bail!("needs a condition and two values");
            };
            let holds = self.condition(condition.as_str().context("names no condition")?, &[])?;
            return self.evaluate(if holds { then } else { otherwise });
        }
        if name == "Ref" {
            return self.reference(argument.as_str().context("needs a name")?);
        }
        if name == "Fn::Sub" {
            return self.substitute(argument).map(Some);
        }
        let argument = self.resolve(argument)?;
        Ok(Some(match (name, argument.as_array().map(Vec::as_slice)) {
            ("Fn::GetAtt", Some([resource, attribute])) => {
                json!(self.attribute(string(resource)?, string(attribute)?)?)
            }
            ("Fn::Join", Some([separator, Value::Array(parts)])) => {
                let parts: Option<Vec<_>> = parts.iter().map(value::text).collect();
                json!(parts.context("joins scalars only")?.join(string(separator)?))
            }
            ("Fn::Split", Some([separator, text])) => string(text)?.split(string(separator)?).collect(),
            ("Fn::Select", Some([index, Value::Array(values)])) => {
                let index: usize = value::text(index).context("needs an index")?.parse()?;
                values.get(index).context("index out of range")?.clone()
            }
            ("Fn::FindInMap", Some([map, top, second])) => {
                let found = &self.mappings[string(map)?][string(top)?][string(second)?];
                self.resolve(Some(found).filter(|found| !found.is_null()).context("not in the mappings")?)?
            }
            _ => bail!("not understood by infra/template"),
        }))
    }

    fn reference(&self, name: &str) -> Result<Option<Value>> {
        let text = match name {
            "AWS::NoValue" => return Ok(None),
            "AWS::Region" => REGION.to_owned(),
            "AWS::AccountId" => ACCOUNT.to_owned(),
            "AWS::Partition" => "aws".to_owned(),
            "AWS::URLSuffix" => "amazonaws.com".to_owned(),
            "AWS::StackName" => "local".to_owned(),
            "AWS::StackId" => format!("arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/local/local"),
            name => {
                if let Some(value) = self.parameters.get(name) {
                    return Ok(Some(value.clone()));
                }
                // A resource that SAM makes of another: `Api.Stage`.
                let (resource, made) = name.split_once('.').unwrap_or((name, ""));
                match self.kind_of(resource)? {
                    "AWS::Serverless::HttpApi" if made == "Stage" => "$default".to_owned(),
                    _ if !made.is_empty() => bail!("not understood by infra/template"),
                    "AWS::SQS::Queue" => format!("https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{name}"),
                    "AWS::SNS::Topic" => arn(name, "AWS::SNS::Topic"),
                    _ => name.to_owned(),
                }
            }
        };
        Ok(Some(json!(text)))
    }

    fn attribute(&self, resource: &str, attribute: &str) -> Result<String> {
        let kind = self.kind_of(resource)?;
        Ok(match attribute {
            "Arn" | "TopicArn" => arn(resource, kind),
            // On AWS the label is the time at which the stream was made.
            "StreamArn" => format!("{}/stream/local", arn(resource, kind)),
            "QueueUrl" => format!("https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{resource}"),
            attribute => format!("{resource}.{attribute}"),
        })
    }

    fn kind_of(&self, resource: &str) -> Result<&str> {
        let kind = self.types.get(resource).with_context(|| format!("nothing is called {resource}"))?;
        if !self.has_resource(resource) {
            bail!("the condition of {resource} leaves it out");
        }
        Ok(kind)
    }

    /// `${Name}`, `${Resource.Attribute}`, `${!Literal}`.
    fn substitute(&self, argument: &Value) -> Result<Value> {
        let (template, variables) = match argument {
            Value::String(template) => (template.as_str(), Value::Null),
            Value::Array(parts) => match parts.as_slice() {
                [Value::String(template), variables] => (template.as_str(), self.resolve(variables)?),
                _ => bail!("needs text and a mapping"),
            },
            _ => bail!("needs text"),
        };
        let mut text = String::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once("${") {
            let (name, after) = after.split_once('}').context("${ without }")?;
            text.push_str(before);
            rest = after;
            if let Some(literal) = name.strip_prefix('!') {
                text.push_str("${");
                text.push_str(literal);
                text.push('}');
                continue;
            }
            let value = match (variables.get(name), name.split_once('.')) {
                (Some(value), _) => Some(value.clone()),
                (None, Some((resource, attribute))) => Some(json!(self.attribute(resource, attribute)?)),
                (None, None) => self.reference(name)?,
            };
            let value = value.as_ref().and_then(value::text);
            text.push_str(&value.with_context(|| format!("${{{name}}} is not text"))?);
        }
        text.push_str(rest);
        Ok(json!(text))
    }

    /// `callers`: the conditions being evaluated, to refuse circles.
    fn condition(&self, name: &str, callers: &[&str]) -> Result<bool> {
        if callers.contains(&name) {
            bail!("condition {name} refers to itself");
        }
        let definition =
            self.conditions.get(name).with_context(|| format!("no condition is called {name}"))?;
        self.holds(definition, &[callers, &[name]].concat()).with_context(|| format!("condition {name}"))
    }

    /// Whether a condition function holds; `callers` as in [`Scope::condition`].
    pub(crate) fn holds(&self, definition: &Value, callers: &[&str]) -> Result<bool> {
        let (name, argument) =
            definition.as_object().and_then(|object| object.iter().next()).context("no condition")?;
        if name == "Condition" {
            return self.condition(argument.as_str().context("names no condition")?, callers);
        }
        let arguments = arguments(argument)?;
        match (name.as_str(), arguments) {
            ("Fn::Equals", [left, right]) => {
                Ok(value::text(&self.resolve(left)?) == value::text(&self.resolve(right)?))
            }
            ("Fn::Not", [condition]) => Ok(!self.holds(condition, callers)?),
            ("Fn::And", conditions) => {
                conditions.iter().try_fold(true, |all, condition| Ok(self.holds(condition, callers)? && all))
            }
            ("Fn::Or", conditions) => {
                conditions.iter().try_fold(false, |any, condition| Ok(self.holds(condition, callers)? || any))
            }
            (name, _) => bail!("{name} is not understood by infra/template"),
        }
    }
}

/// The ARN of a resource, of the shape its service gives it.
pub(crate) fn arn(id: &str, kind: &str) -> String {
    match kind {
        "AWS::DynamoDB::Table" => format!("arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{id}"),
        "AWS::SQS::Queue" => format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{id}"),
        "AWS::SNS::Topic" => format!("arn:aws:sns:{REGION}:{ACCOUNT}:{id}"),
        "AWS::SecretsManager::Secret" => format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{id}"),
        "AWS::Serverless::Function" | "AWS::Lambda::Function" => {
            format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{id}")
        }
        "AWS::IAM::Role" => format!("arn:aws:iam::{ACCOUNT}:role/{id}"),
        "AWS::Logs::LogGroup" => format!("arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{id}:*"),
        kind => {
            let service = kind.split("::").nth(1).unwrap_or_default().to_ascii_lowercase();
            format!("arn:aws:{service}:{REGION}:{ACCOUNT}:{id}")
        }
    }
}

fn intrinsic(object: &Map<String, Value>) -> Option<(&str, &Value)> {
    let (name, argument) = object.iter().next().filter(|_| object.len() == 1)?;
    (name == "Ref" || name.starts_with("Fn::")).then_some((name, argument))
}

fn arguments(argument: &Value) -> Result<&[Value]> {
    argument.as_array().map(Vec::as_slice).context("needs a list")
}

fn string(value: &Value) -> Result<&str> {
    value.as_str().context("needs text")
}
