//! Reading JSON values the way CloudFormation does: parameters are strings, so `"30"` is a number and `"true"` a flag.

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value};

/// The entries of the object under `key`; none when it is absent.
pub(crate) fn object<'a>(
    value: &'a Value,
    key: &str,
) -> Result<impl Iterator<Item = (&'a String, &'a Value)> + use<'a>> {
    let entries: Option<&Map<String, Value>> = match &value[key] {
        Value::Null => None,
        Value::Object(entries) => Some(entries),
        _ => bail!("{key} is not a mapping"),
    };
    Ok(entries.into_iter().flatten())
}

/// The value as a list: none for null, one for anything that is not a list.
pub(crate) fn list(value: &Value) -> &[Value] {
    match value {
        Value::Null => &[],
        Value::Array(values) => values,
        value => std::slice::from_ref(value),
    }
}

/// The value as text, when it is a scalar.
pub(crate) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// The text under `key`, which must be there.
pub(crate) fn required(value: &Value, key: &str) -> Result<String> {
    text(&value[key]).with_context(|| format!("{key} is missing or not text"))
}

/// The number or numeric text under `key`.
pub(crate) fn number(value: &Value, key: &str) -> Result<Option<i64>> {
    let Some(text) = text(&value[key]) else {
        return Ok(None);
    };
    text.parse().map(Some).with_context(|| format!("{key} is not a number: {text}"))
}

/// The flag under `key`.
pub(crate) fn flag(value: &Value, key: &str) -> Result<Option<bool>> {
    match text(&value[key]).as_deref() {
        None => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(other) => bail!("{key} is neither true nor false: {other}"),
    }
}
