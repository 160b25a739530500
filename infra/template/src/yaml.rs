//! YAML to JSON: the short forms of intrinsic functions (`!Ref X`) become their long forms (`{"Ref": "X"}`).

use anyhow::{Context as _, Result, bail};
use saphyr::{LoadableYamlNode as _, Scalar, Yaml};
use serde_json::{Map, Number, Value, json};

/// Parses a file of exactly one YAML document.
pub(crate) fn parse(text: &str) -> Result<Value> {
    let documents = Yaml::load_from_str(text).context("not valid YAML")?;
    match documents.as_slice() {
        [document] => json_of(document),
        documents => bail!("expected one YAML document, found {}", documents.len()),
    }
}

fn json_of(node: &Yaml) -> Result<Value> {
    Ok(match node {
        Yaml::Value(Scalar::Null) => Value::Null,
        Yaml::Value(Scalar::Boolean(flag)) => Value::Bool(*flag),
        Yaml::Value(Scalar::Integer(number)) => json!(number),
        Yaml::Value(Scalar::FloatingPoint(number)) => Number::from_f64(number.into_inner())
            .map(Value::Number)
            .context("a number that JSON does not know")?,
        Yaml::Value(Scalar::String(text)) => json!(text),
        Yaml::Sequence(nodes) => Value::Array(nodes.iter().map(json_of).collect::<Result<_>>()?),
        Yaml::Mapping(entries) => {
            let mut object = Map::new();
            for (key, value) in entries {
                let key = match json_of(key)? {
                    Value::String(key) => key,
                    key @ (Value::Number(_) | Value::Bool(_)) => key.to_string(),
                    key => bail!("{key} cannot be a key"),
                };
                let value = json_of(value).with_context(|| format!("at {key}"))?;
                object.insert(key, value);
            }
            Value::Object(object)
        }
        Yaml::Tagged(tag, node) if tag.handle == "!" => long_form(&tag.suffix, &json_of(node)?)?,
        Yaml::Tagged(tag, _) => bail!("unknown tag {}{}", tag.handle, tag.suffix),
        Yaml::Representation(..) | Yaml::Alias(_) | Yaml::BadValue => {
            bail!("a YAML value that cannot be read")
        }
    })
}

fn long_form(name: &str, argument: &Value) -> Result<Value> {
    Ok(match name {
        "Ref" | "Condition" => json!({ name: argument }),
        "GetAtt" => match argument.as_str() {
            Some(path) => {
                let (resource, attribute) =
                    path.split_once('.').context("!GetAtt needs Resource.Attribute")?;
                json!({ "Fn::GetAtt": [resource, attribute] })
            }
            None => json!({ "Fn::GetAtt": argument }),
        },
        name => json!({ format!("Fn::{name}"): argument }),
    })
}
