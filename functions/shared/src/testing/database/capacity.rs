//! What calls of DynamoDB cost.

use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextMut;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_smithy_types::body::SdkBody;
use serde_json::Value;

use super::wire::operation;

/// What some calls cost, in DynamoDB's units: a strongly consistent read of up to 4 KB is one read unit, half of that when
/// eventually consistent; a write of up to 1 KB is one write unit, for each index that it changes one more; within a
/// transaction an item costs twice, an index not.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html>
///
/// DynamoDB does not say what a call cost that ended with an error, and neither does this count it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Capacity {
    /// How many calls were made, those that failed included.
    pub round_trips: u32,
    /// What they read.
    pub read_units: f64,
    /// What they wrote.
    pub write_units: f64,
}

/// Asks DynamoDB with every call what it costs, and adds up what it says.
#[derive(Debug, Clone, Default)]
pub(super) struct Meter(pub(super) Arc<Mutex<Capacity>>);

impl Meter {
    pub(super) fn book(&self, operation: &str, answer: &Value) {
        let mut capacity = self.0.lock().expect("no panic");
        let consumed = match &answer["ConsumedCapacity"] {
            Value::Array(tables) => tables.as_slice(),
            Value::Null => &[],
            table => std::slice::from_ref(table),
        };
        for table in consumed {
            let units = |name: &str| table[name].as_f64();
            match (units("ReadCapacityUnits"), units("WriteCapacityUnits"), units("CapacityUnits")) {
                (None, None, Some(units)) if writes(operation) => capacity.write_units += units,
                (None, None, Some(units)) => capacity.read_units += units,
                (read, write, _) => {
                    capacity.read_units += read.unwrap_or_default();
                    capacity.write_units += write.unwrap_or_default();
                }
            }
        }
    }
}

fn writes(operation: &str) -> bool {
    ["PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem", "TransactWriteItems"].contains(&operation)
}

fn reads(operation: &str) -> bool {
    ["GetItem", "BatchGetItem", "Query", "Scan", "TransactGetItems"].contains(&operation)
}

impl Intercept for Meter {
    fn name(&self) -> &'static str {
        "Meter"
    }

    fn modify_before_retry_loop(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = context.request_mut();
        if !reads(operation(request)) && !writes(operation(request)) {
            return Ok(());
        }
        let mut body: Value = serde_json::from_slice(request.body().bytes().unwrap_or_default())?;
        body["ReturnConsumedCapacity"] = "TOTAL".into();
        let body = body.to_string();
        request.headers_mut().insert("content-length", body.len().to_string());
        *request.body_mut() = SdkBody::from(body);
        Ok(())
    }
}
