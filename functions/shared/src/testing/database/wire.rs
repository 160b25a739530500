//! What is between the SDK's client, with its retries, and DynamoDB: here calls are counted, and answers get lost.

use std::ops::Range;
use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::config::{HttpClient, SharedHttpClient};
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use http_body_util::BodyExt as _;
use serde_json::Value;

use super::capacity::Meter;
use super::faults::{Dice, Fault, leave_keys_over};
use super::hang::{Hang, When};

/// An HTTP client over another one.
#[derive(Debug, Clone)]
pub(super) struct Wire {
    pub(super) inner: SharedHttpClient,
    pub(super) state: WireState,
}

/// What a test asks of the wire, and learns from it.
#[derive(Debug, Clone, Default)]
pub(super) struct WireState {
    pub(super) loss: Arc<Mutex<Option<Loss>>>,
    /// The calls so far, as `Operation Table`.
    pub(super) calls: Arc<Mutex<Vec<String>>>,
    pub(super) dice: Dice,
    pub(super) hang: Hang,
    pub(super) meter: Meter,
}

/// Answers to lose: of which operation, and which of its calls, those that were seen already not counted.
pub(super) type Loss = (&'static str, Range<usize>);

#[derive(Debug, Clone)]
struct Connection {
    inner: SharedHttpConnector,
    state: WireState,
}

impl HttpClient for Wire {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let inner = self.inner.http_connector(settings, components);
        SharedHttpConnector::new(Connection { inner, state: self.state.clone() })
    }
}

impl HttpConnector for Connection {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let connection = self.clone();
        HttpConnectorFuture::new(async move { connection.carry(request).await })
    }
}

impl Connection {
    async fn carry(self, mut request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let operation = operation(&request).to_owned();
        let state = &self.state;
        state.note(&operation, request.body().bytes().unwrap_or_default());
        state.dice.dawdle().await;
        let fault = state.dice.fault(&operation, request.body().bytes().unwrap_or_default());
        let mut left_over = None;
        match &fault {
            Some(Fault::Before(failure)) => return failure.answer(),
            Some(Fault::LeaveKeysOver) => left_over = leave_keys_over(&mut request),
            Some(Fault::After(_)) | None => {}
        }
        let hangs = state.hang.of_this_call();
        state.hang.strike(hangs, When::Before).await;
        let (status, mut body) = answer(self.inner.call(request).await?).await?;
        state.hang.strike(hangs, When::After).await;
        state.meter.book(&operation, &body);
        if state.loses(&operation) {
            return Err(ConnectorError::io("the connection broke off".into()));
        }
        state.dice.dawdle().await;
        match (fault, left_over) {
            (Some(Fault::After(failure)), _) => return failure.answer(),
            (_, Some(left_over)) if status.is_success() => body["UnprocessedKeys"] = left_over,
            _ => {}
        }
        Ok(HttpResponse::new(status, SdkBody::from(body.to_string())))
    }
}

/// An answer that has all arrived.
async fn answer(response: HttpResponse) -> Result<(StatusCode, Value), ConnectorError> {
    let status = response.status();
    let body = response.into_body().collect().await.map_err(ConnectorError::io)?;
    Ok((status, serde_json::from_slice(&body.to_bytes()).expect("DynamoDB answers JSON")))
}

/// `GetItem` and so on.
pub(super) fn operation(request: &HttpRequest) -> &str {
    let target = request.headers().get("x-amz-target").and_then(|target| target.split('.').nth(1));
    target.unwrap_or_default()
}

impl WireState {
    fn note(&self, operation: &str, body: &[u8]) {
        let mut call = operation.to_owned();
        note_tables(&serde_json::from_slice(body).unwrap_or_default(), &mut call);
        self.calls.lock().expect("no panic").push(call);
        self.meter.0.lock().expect("no panic").round_trips += 1;
    }

    /// Whether the answer to this call gets lost.
    fn loses(&self, operation: &str) -> bool {
        let mut loss = self.loss.lock().expect("no panic");
        let Some((_, calls)) = loss.as_mut().filter(|(of, _)| *of == operation) else { return false };
        let this_one = calls.contains(&0);
        *calls = calls.start.saturating_sub(1)..calls.end.saturating_sub(1);
        this_one
    }
}

/// The value of each `TableName`, in order.
fn note_tables(body: &Value, call: &mut String) {
    match body {
        Value::Object(members) => {
            for (name, value) in members {
                match value {
                    Value::String(table) if name == "TableName" => {
                        call.push(' ');
                        call.push_str(table);
                    }
                    value => note_tables(value, call),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| note_tables(value, call)),
        _ => {}
    }
}
