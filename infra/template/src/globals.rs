//! SAM's `Globals.Function`: mappings are merged, lists are appended to, anything else is overridden by the function.

use serde_json::{Map, Value};

/// The resource as declared, with the globals of its type merged in.
pub(crate) fn merged(document: &Value, resource: &Value) -> Value {
    let mut resource = resource.clone();
    let globals = &document["Globals"]["Function"];
    if resource["Type"] == "AWS::Serverless::Function" && globals.is_object() {
        let own = resource["Properties"].take();
        resource["Properties"] = merge(globals.clone(), own);
    }
    resource
}

fn merge(global: Value, own: Value) -> Value {
    match (global, own) {
        (global, Value::Null) => global,
        (Value::Object(mut global), Value::Object(own)) if !is_intrinsic(&global) && !is_intrinsic(&own) => {
            for (key, value) in own {
                let inherited = global.remove(&key).unwrap_or_default();
                global.insert(key, merge(inherited, value));
            }
            Value::Object(global)
        }
        (Value::Array(mut global), Value::Array(own)) => {
            global.extend(own);
            Value::Array(global)
        }
        (_, own) => own,
    }
}

fn is_intrinsic(object: &Map<String, Value>) -> bool {
    object.len() == 1 && object.keys().all(|key| key == "Ref" || key.starts_with("Fn::"))
}
