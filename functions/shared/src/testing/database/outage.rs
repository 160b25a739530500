//! A DynamoDB that is out of reach.

use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;

/// Fails all calls of one operation before they are sent; the SDK does not try them again.
#[derive(Debug, Clone, Default)]
pub(super) struct Outage(pub(super) Arc<Mutex<Option<&'static str>>>);

impl Intercept for Outage {
    fn name(&self) -> &'static str {
        "Outage"
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let target = context.request().headers().get("x-amz-target").unwrap_or_default();
        match *self.0.lock().expect("no panic") {
            Some(operation) if target.ends_with(&format!(".{operation}")) => Err("out of reach".into()),
            _ => Ok(()),
        }
    }
}
