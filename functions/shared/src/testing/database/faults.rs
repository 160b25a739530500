//! A DynamoDB that fails now and then, as the real one does.

use std::sync::{Arc, Mutex};

use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};

/// How often calls of DynamoDB fail, each by a throw of dice that the seed decides. They fail below the SDK's retries: as
/// the network and the service fail, so that the SDK tries again as it would then.
///
/// Half of the faults strike before the call took effect: throttling, an internal error, a connection that breaks off or
/// times out, and for writes and transactions `TransactionConflict`. The other half strike after it: an internal error, or
/// no answer. `BatchGetItem` may also leave keys over. And each call waits for the other tasks a random number of times,
/// so that handlers that run at once meet in many ways; with `per_mille` 0 that is all that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Faults {
    /// The same seed is the same faults, as long as the calls come in the same order.
    pub seed: u64,
    /// Of a thousand calls, so many fail on average.
    pub per_mille: u16,
}

/// Who decides, call by call.
#[derive(Debug, Clone, Default)]
pub(super) struct Dice(Arc<Mutex<Option<Thrower>>>);

#[derive(Debug)]
struct Thrower {
    per_mille: u64,
    state: u64,
    struck: Vec<String>,
}

/// What happens to one call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// It does not reach the database.
    Before(Failure),
    /// It is carried out, and the client does not hear of it.
    After(Failure),
    /// A part of it is carried out, and the client hears which.
    LeaveKeysOver,
}

/// What the client hears instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// Nothing for too long.
    TimeOut,
    /// Nothing any more.
    BrokenConnection,
    /// An error of the API.
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html>
    Error { status: u16, body: Value },
}

impl Failure {
    fn error(status: u16, namespace: &str, code: &str, message: &str) -> Self {
        Self::Error { status, body: json!({"__type": format!("{namespace}#{code}"), "message": message}) }
    }

    fn internal() -> Self {
        Self::error(500, SERVICE, "InternalServerError", "The request could not be completed")
    }

    /// A transaction of so many items, cancelled because of one of them.
    fn cancelled(items: usize, at_fault: usize, code: &str) -> Self {
        let codes: Vec<&str> = (0..items).map(|item| if item == at_fault { code } else { "None" }).collect();
        let reasons: Vec<Value> = codes.iter().map(|code| json!({"Code": code})).collect();
        let message = format!(
            "Transaction cancelled, please refer cancellation reasons for specific reasons [{}]",
            codes.join(", ")
        );
        let kind = format!("{SERVICE}#TransactionCanceledException");
        let body = json!({"__type": kind, "Message": message, "CancellationReasons": reasons});
        Self::Error { status: 400, body }
    }

    pub(super) fn answer(&self) -> Result<HttpResponse, ConnectorError> {
        match self {
            Self::TimeOut => Err(ConnectorError::timeout("no answer in time, as a test asked for".into())),
            Self::BrokenConnection => {
                Err(ConnectorError::io("the connection broke off, as a test asked for".into()))
            }
            Self::Error { status, body } => {
                let status = StatusCode::try_from(*status).expect("a valid status");
                let mut response = HttpResponse::new(status, SdkBody::from(body.to_string()));
                response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
                Ok(response)
            }
        }
    }
}

const SERVICE: &str = "com.amazonaws.dynamodb.v20120810";

impl Dice {
    /// `None` puts them away.
    pub(super) fn set(&self, faults: Option<Faults>) {
        *self.0.lock().expect("no panic") = faults.map(|faults| Thrower {
            per_mille: faults.per_mille.into(),
            state: faults.seed,
            struck: Vec::new(),
        });
    }

    /// What struck so far.
    pub(super) fn struck(&self) -> Vec<String> {
        self.0.lock().expect("no panic").as_ref().map(|thrower| thrower.struck.clone()).unwrap_or_default()
    }

    /// Lets the other tasks go first, a random number of times.
    pub(super) async fn dawdle(&self) {
        let times = self.0.lock().expect("no panic").as_mut().map_or(0, |thrower| thrower.below(4));
        for _ in 0..times {
            tokio::task::yield_now().await;
        }
    }

    /// What happens to this call, if anything.
    pub(super) fn fault(&self, operation: &str, body: &[u8]) -> Option<Fault> {
        let mut thrower = self.0.lock().expect("no panic");
        let thrower = thrower.as_mut()?;
        if thrower.below(1000) >= thrower.per_mille {
            return None;
        }
        let fault = thrower.choose(operation, &serde_json::from_slice(body).unwrap_or_default());
        thrower.struck.push(format!("{operation} {fault:?}"));
        Some(fault)
    }
}

impl Thrower {
    fn choose(&mut self, operation: &str, body: &Value) -> Fault {
        if operation == "BatchGetItem" && self.below(3) == 0 {
            return Fault::LeaveKeysOver;
        }
        if self.below(2) == 0 {
            return Fault::After(match self.below(3) {
                0 => Failure::internal(),
                1 => Failure::BrokenConnection,
                _ => Failure::TimeOut,
            });
        }
        let throttled = "The level of configured provisioned throughput for the table was exceeded";
        let items = body["TransactItems"].as_array().map_or(0, Vec::len);
        Fault::Before(match self.below(6) {
            0 => Failure::internal(),
            1 => Failure::BrokenConnection,
            2 => Failure::TimeOut,
            3 => Failure::error(400, SERVICE, "ProvisionedThroughputExceededException", throttled),
            4 if items > 0 => Failure::cancelled(items, self.index(items), "ThrottlingError"),
            4 => Failure::error(400, "com.amazon.coral.availability", "ThrottlingException", "Rate exceeded"),
            _ if items > 0 => Failure::cancelled(items, self.index(items), "TransactionConflict"),
            _ => match operation {
                "PutItem" | "UpdateItem" | "DeleteItem" => {
                    let message = "Transaction is ongoing for the item";
                    Failure::error(400, SERVICE, "TransactionConflictException", message)
                }
                _ => Failure::internal(),
            },
        })
    }

    /// A number below `limit`.
    fn below(&mut self, limit: u64) -> u64 {
        // SplitMix64: <https://doi.org/10.1145/2714064.2660195>. A dependency for this would be heavier than it is.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    fn index(&mut self, items: usize) -> usize {
        usize::try_from(self.below(items as u64)).expect("an index")
    }
}

/// Takes the last key of each table out of a `BatchGetItem` of several; what the answer says of them. Nothing where there
/// is one key alone: DynamoDB answers a part, or throttles.
pub(super) fn leave_keys_over(request: &mut HttpRequest) -> Option<Value> {
    let mut body: Value = serde_json::from_slice(request.body().bytes()?).ok()?;
    let mut left_over = json!({});
    for (table, wanted) in body["RequestItems"].as_object_mut()? {
        let keys = wanted["Keys"].as_array_mut()?;
        if keys.len() > 1 {
            let last = keys.pop();
            left_over[table] = wanted.clone();
            left_over[table]["Keys"] = json!([last]);
        }
    }
    let body = body.to_string();
    request.headers_mut().insert("content-length", body.len().to_string());
    *request.body_mut() = SdkBody::from(body);
    Some(left_over)
}
