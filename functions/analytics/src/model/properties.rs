//! What clients add to events.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// What a client adds to an event: at most 20 members, names of 1 to 64 characters, values that are a boolean, a number
/// or a text of at most 256 characters.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(try_from = "BTreeMap<String, Value>")]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(inline, transform = bounded))]
pub struct Properties(BTreeMap<String, Value>);

#[cfg(feature = "openapi")]
fn bounded(properties: &mut schemars::Schema) {
    *properties = schemars::json_schema!({
        "type": "object",
        "maxProperties": 20,
        "propertyNames": { "minLength": 1, "maxLength": 64 },
        "additionalProperties": { "type": ["boolean", "number", "string"], "maxLength": 256 },
    });
}

impl Properties {
    /// The member of this name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    /// The members as JSON text; none where there are none. That is how they are stored: DynamoDB's numbers are narrower
    /// than JSON's.
    pub fn to_json(&self) -> Option<String> {
        if self.0.is_empty() { None } else { serde_json::to_string(&self.0).ok() }
    }
}

impl TryFrom<BTreeMap<String, Value>> for Properties {
    type Error = &'static str;

    fn try_from(members: BTreeMap<String, Value>) -> Result<Self, Self::Error> {
        if members.len() > 20 {
            return Err("expected at most 20 properties");
        }
        for (name, value) in &members {
            if !(1..=64).contains(&name.chars().count()) {
                return Err("expected names of properties of 1 to 64 characters");
            }
            match value {
                Value::Bool(_) | Value::Number(_) => {}
                Value::String(text) if text.chars().count() <= 256 => {}
                Value::String(_) => return Err("expected texts in properties of at most 256 characters"),
                _ => return Err("expected properties that are booleans, numbers or texts"),
            }
        }
        Ok(Self(members))
    }
}
