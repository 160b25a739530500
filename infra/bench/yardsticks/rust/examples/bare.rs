//! A yardstick: the runtime and nothing on it. What a function in Rust costs at least, if it uses the library for it.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::run(service_fn(constant)).await
}

async fn constant(_: LambdaEvent<Value>) -> Result<Value, Error> {
    Ok(
        json!({"statusCode": 200, "headers": {"content-type": "application/json"}, "body": r#"{"hello":"world"}"#}),
    )
}
