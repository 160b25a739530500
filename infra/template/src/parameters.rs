//! The template's parameters: defaults, overridden by the caller, checked against `AllowedValues`.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use crate::value;

/// The value of each parameter.
pub(crate) fn values(
    document: &Value,
    overrides: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, Value>> {
    let mut values = BTreeMap::new();
    for (name, declared) in value::object(document, "Parameters")? {
        let given = overrides.get(name).cloned();
        let text = given
            .or_else(|| value::text(&declared["Default"]))
            .with_context(|| format!("parameter {name} has no default: give it a value"))?;
        let allowed: Vec<_> =
            value::list(&declared["AllowedValues"]).iter().filter_map(value::text).collect();
        if !allowed.is_empty() && !allowed.contains(&text) {
            bail!("parameter {name} must be one of {}, not {text}", allowed.join(", "));
        }
        let kind = value::required(declared, "Type").with_context(|| format!("parameter {name}"))?;
        let value = match kind.as_str() {
            "CommaDelimitedList" | "List<Number>" => text.split(',').map(str::trim).collect(),
            _ => json!(text),
        };
        values.insert(name.clone(), value);
    }
    if let Some(unknown) = overrides.keys().find(|name| !values.contains_key(*name)) {
        let known: Vec<_> = values.keys().map(String::as_str).collect();
        bail!("the template has no parameter {unknown}; it has {}", known.join(", "));
    }
    Ok(values)
}
