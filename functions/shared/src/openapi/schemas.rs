//! JSON Schemas of our types.

use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

/// Makes the schemas. What a request may hold is not what an answer holds, even of one type: an optional member may be left
/// out of a request, and is there in the answer, unless it is skipped.
#[derive(Debug)]
pub struct Schemas {
    input: SchemaGenerator,
    output: SchemaGenerator,
}

impl Schemas {
    pub(super) fn new() -> Self {
        let mut settings = SchemaSettings::draft2020_12();
        settings.meta_schema = None;
        settings.definitions_path = "/components/schemas".into();
        let input = settings.clone().for_deserialize().with(|settings| settings.inline_subschemas = true);
        let output = settings.for_serialize().with_transform(RecursiveTransform(skip_instead_of_null));
        Self {
            input: input.with_transform(RecursiveTransform(simplify)).into_generator(),
            output: output.with_transform(RecursiveTransform(simplify)).into_generator(),
        }
    }

    /// What a request may hold.
    pub fn input<T: JsonSchema>(&mut self) -> Value {
        let mut schema = self.input.subschema_for::<T>();
        for transform in self.input.transforms_mut() {
            transform.transform(&mut schema);
        }
        schema.to_value()
    }

    /// What an answer holds: mostly a reference into the components.
    pub fn output<T: JsonSchema>(&mut self) -> Value {
        self.output.subschema_for::<T>().to_value()
    }

    pub(super) fn into_components(mut self) -> Map<String, Value> {
        self.output.take_definitions(true)
    }
}

/// A member that an answer may lack is skipped where it is none, and so never null.
fn skip_instead_of_null(schema: &mut Schema) {
    let required = schema.get("required").cloned().unwrap_or_else(|| json!([]));
    let Some(Value::Object(properties)) = schema.get_mut("properties") else { return };
    for (name, property) in properties {
        if !required.as_array().is_some_and(|required| required.iter().any(|other| other == name)) {
            without_null(property);
        }
    }
}

/// The same without null, which neither a query string nor a member that is skipped can be.
pub(super) fn without_null(property: &mut Value) {
    if let Some(Value::Array(types)) = property.get_mut("type") {
        types.retain(|name| name != "null");
        if let [one] = types.as_slice() {
            property["type"] = one.clone();
        }
    }
    let Some(Value::Array(choices)) = property.get_mut("anyOf") else { return };
    choices.retain(|choice| choice["type"] != "null");
    if let [Value::Object(only)] = choices.as_mut_slice() {
        let only = std::mem::take(only);
        if let Some(property) = property.as_object_mut() {
            property.remove("anyOf");
            for (keyword, value) in only {
                property.entry(keyword).or_insert(value);
            }
        }
    }
}

/// As clients' generators like it best.
fn simplify(schema: &mut Schema) {
    // What is left out is left out; that it is null in our code is nobody's concern.
    if schema.get("default").is_some_and(Value::is_null) {
        schema.remove("default");
    }
    // Doc comments wrap, and link into the code.
    if let Some(Value::String(text)) = schema.get_mut("description") {
        *text = text.replace("\n\n", "\r").replace('\n', " ").replace('\r', "\n\n");
        *text = text.replace("[`", "`").replace("`]", "`");
    }
    // A choice among constants is an enumeration.
    let constants = |choices: &Value| {
        let choices = choices.as_array()?.iter();
        choices.map(|choice| choice.get("const").filter(|value| value.is_string()).cloned()).collect()
    };
    if let Some(names) = schema.get("oneOf").and_then(constants) {
        schema.remove("oneOf");
        schema.insert("type".to_owned(), json!("string"));
        schema.insert("enum".to_owned(), Value::Array(names));
    }
}
