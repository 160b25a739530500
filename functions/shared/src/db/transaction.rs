//! One `TransactWriteItems`, composed from items that the owning crates build.

use std::time::Duration;

use aws_lc_rs::rand;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::TransactWriteItem;
use uuid::Uuid;

use super::error::{DbError, is_transient};
use crate::problem::Problem;

/// How often a write that meets another transaction is tried, in all.
const ATTEMPTS: u32 = 8;

/// Writes that happen all together or not at all; at most 100, each on another item.
#[derive(Debug)]
pub struct Transaction {
    client: Client,
    writes: Vec<TransactWriteItem>,
}

/// Why a transaction was not written.
#[derive(Debug, thiserror::Error)]
pub enum TransactionError {
    /// The condition of at least one write does not hold.
    #[error("a condition of the transaction does not hold")]
    Cancelled(Cancelled),
    /// The call failed. After [`DbError::Unavailable`] the transaction may have been written all the same.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Which conditions did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancelled {
    failed: Vec<bool>,
}

impl Cancelled {
    /// Whether the condition of this write (the index that [`Transaction::add`] gave) is one that did not hold.
    pub fn failed(&self, index: usize) -> bool {
        self.failed.get(index).copied().unwrap_or(false)
    }
}

impl Transaction {
    /// An empty transaction.
    pub fn new(client: &Client) -> Self {
        Self { client: client.clone(), writes: Vec::new() }
    }

    /// Adds a write; its index, to ask for in [`Cancelled::failed`].
    pub fn add(&mut self, write: TransactWriteItem) -> usize {
        self.writes.push(write);
        self.writes.len() - 1
    }

    /// Writes all, or nothing. A `TransactionConflict`, which the SDK does not retry, is retried here. All attempts, the
    /// SDK's and ours, carry one `ClientRequestToken`: whichever of them was written, and its answer lost, the next one
    /// succeeds, and writes nothing.
    pub async fn run(self) -> Result<(), TransactionError> {
        let token = token()?;
        let outcome = retry_conflicts(|| async {
            let call = self.client.transact_write_items().set_transact_items(Some(self.writes.clone()));
            let call = call.client_request_token(&token);
            let Err(error) = call.send().await else {
                return Ok(Ok(()));
            };
            let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) =
                error.as_service_error()
            else {
                return Err(error.into());
            };
            let codes: Vec<&str> = cancelled
                .cancellation_reasons()
                .iter()
                .map(|reason| reason.code().unwrap_or("None"))
                .collect();
            // A failed condition is the answer, whatever else happened to the other writes.
            let failed: Vec<bool> = codes.iter().map(|code| *code == "ConditionalCheckFailed").collect();
            if failed.contains(&true) {
                return Ok(Err(Cancelled { failed }));
            }
            Err(match codes.iter().find(|code| **code != "None") {
                Some(&"TransactionConflict") => DbError::Conflict,
                Some(code) if is_transient(code) => DbError::Unavailable(error.into()),
                _ => DbError::Refused(error.into()),
            })
        })
        .await?;
        outcome.map_err(TransactionError::Cancelled)
    }
}

fn token() -> Result<String, DbError> {
    let mut random = [0; 16];
    rand::fill(&mut random)
        .map_err(|_| DbError::Unavailable("the operating system has no randomness".into()))?;
    Ok(Uuid::from_bytes(random).simple().to_string())
}

/// Runs `write` again, after a growing and jittered pause, while another transaction holds its item.
pub async fn retry_conflicts<T, F: Future<Output = Result<T, DbError>>>(
    mut write: impl FnMut() -> F,
) -> Result<T, DbError> {
    let mut attempt = 1;
    loop {
        match write().await {
            Err(DbError::Conflict) if attempt < ATTEMPTS => {
                tokio::time::sleep(pause(attempt)).await;
                attempt += 1;
            }
            outcome => return outcome,
        }
    }
}

/// "Full jitter": anything up to 20 ms after the first attempt, twice as much after each further one, at most 400 ms.
/// <https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/>
fn pause(attempt: u32) -> Duration {
    let mut random = [0; 2];
    if rand::fill(&mut random).is_err() {
        random = [0xff; 2];
    }
    let ceiling = Duration::from_millis(10 << attempt).min(Duration::from_millis(400));
    ceiling.mul_f64(f64::from(u16::from_le_bytes(random)) / f64::from(u16::MAX))
}

impl From<TransactionError> for Problem {
    /// For transactions whose conditions can only fail by a bug; the others look at [`Cancelled`] first.
    fn from(error: TransactionError) -> Self {
        match error {
            TransactionError::Db(error) => error.into(),
            TransactionError::Cancelled(_) => Self::internal(&error),
        }
    }
}
