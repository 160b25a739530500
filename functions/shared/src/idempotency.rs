//! `Idempotency-Key`: a request that creates something may be sent again, and happens once.
//! <https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/>
//!
//! A handler takes [`Keyed`] for its body and does its work in [`Idempotency::run`]:
//!
//! 1. The key is **claimed** by a conditional write with an owner of its own; keys are scoped to user and route. A key whose
//!    answer is stored answers that again, with `Idempotency-Replayed: true`. Another body under it is 422. While its owner
//!    may still be at work it is 409 with `Retry-After`; an owner older than [`LEASE`] is dead, and is replaced.
//! 2. The work stores its answer **in its own transaction** ([`Attempt::complete`]), on condition that it still owns the key:
//!    an owner that was replaced fails as a whole, and nothing happens twice.
//! 3. An error answer frees the key: nothing was done, so the request may be corrected and sent again. What the work
//!    [noted](Attempt::note) in an earlier transaction is kept for the next owner, who goes on from there.
//!
//! Answers of 500 and above are never stored. Neither may answers be that carry tokens: no route of Auth uses this. Records
//! are in the table of the service that acts, and expire after a day; that is checked here, since DynamoDB's TTL is late.
//!
//! | item | pk | sk |
//! |---|---|---|
//! | record | `IDEMPOTENCY#<user id>` | `<METHOD> <route>#<key>` |

mod key;
mod record;
mod reply;

use std::sync::atomic::{AtomicBool, Ordering};

use axum::response::{IntoResponse as _, Response};
use http::{HeaderName, HeaderValue};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

pub use key::{Keyed, RequestKey};
pub use reply::{Reply, Success};

pub(crate) use reply::status;

use crate::clock::Clock;
use crate::db::{Cancelled, DbError, Table, Transaction};
use crate::id::Generator;
use crate::problem::{Chain, Problem};
use record::{Claim, Record, Slot};

/// How long an owner may be at work: longer than any function that serves the API may run (10 s; a test compares it with
/// `template.yaml`), by enough for clocks that differ.
pub const LEASE: SignedDuration = SignedDuration::from_secs(15);

/// How long a key is remembered.
pub const RETENTION: SignedDuration = SignedDuration::from_hours(24);

const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// The keys of one service.
#[derive(Debug, Clone)]
pub struct Idempotency {
    table: Table,
    clock: Clock,
    ids: Generator,
}

/// One try of the work under a key; or without one, and then there is nothing to store.
#[derive(Debug)]
pub struct Attempt {
    slot: Option<Slot>,
    noted: Option<String>,
    completed: AtomicBool,
}

/// A write that holds only as long as its attempt owns the key; by default none.
#[derive(Debug, Clone, Copy, Default)]
pub struct Completion(Option<usize>);

impl Idempotency {
    /// The records in `table`.
    pub fn new(table: Table, clock: Clock, ids: Generator) -> Self {
        Self { table, clock, ids }
    }

    /// Does `work` at most once per key, or answers what it came to. Without a key it is simply done. `Ok` of the work is
    /// final: an answer that [`Attempt::complete`] did not store is stored afterwards. `Err` is not stored.
    pub async fn run(
        &self,
        user_id: Uuid,
        key: RequestKey,
        work: impl AsyncFnOnce(&Attempt) -> Result<Reply, Problem>,
    ) -> Result<Response, Problem> {
        let Some(given) = key.0 else {
            return Ok(work(&Attempt::new(None, None)).await?.into_response());
        };
        let now = self.clock.now();
        let slot =
            Slot { table: self.table.clone(), key: given.record_key(user_id), owner: self.ids.uuid(now) };
        let record = Record::claimed(&given, slot.owner, now);
        let attempt = match slot.claim(&record, now).await? {
            Claim::Owned { noted } => Attempt::new(Some(slot), noted),
            Claim::Answered(reply) => return Ok(replayed(reply)),
            Claim::OtherRequest => return Err(reused()),
            Claim::InProgress => return Err(in_progress()),
        };
        match work(&attempt).await {
            Ok(reply) if !reply.is_server_error() => {
                attempt.store(&reply).await?;
                Ok(reply.into_response())
            }
            refused => {
                attempt.free().await;
                Ok(refused?.into_response())
            }
        }
    }
}

impl Attempt {
    fn new(slot: Option<Slot>, noted: Option<String>) -> Self {
        Self { slot, noted, completed: AtomicBool::new(false) }
    }

    /// Stores the answer in the work's own transaction, which then fails as a whole where another request has taken the
    /// key over.
    pub fn complete(&self, transaction: &mut Transaction, reply: &Reply) -> Result<Completion, DbError> {
        let Some(slot) = self.slot.as_ref().filter(|_| !reply.is_server_error()) else {
            return Ok(Completion(None));
        };
        self.completed.store(true, Ordering::Relaxed);
        Ok(Completion(Some(transaction.add(slot.answer_write(reply)?))))
    }

    /// The transaction of [`complete`](Self::complete) was not written, and yet there is a final answer: somebody else had
    /// done the work.
    pub fn was_not_written(&self) {
        self.completed.store(false, Ordering::Relaxed);
    }

    /// Notes how far the work is, in the transaction that gets it there: the next owner finds it in
    /// [`noted`](Self::noted), should this one die. At most one of this and [`complete`](Self::complete) per transaction.
    pub fn note(&self, transaction: &mut Transaction, note: &str) -> Result<Completion, DbError> {
        let Some(slot) = &self.slot else { return Ok(Completion(None)) };
        Ok(Completion(Some(transaction.add(slot.note_write(note)?))))
    }

    /// What an earlier owner of the key noted.
    pub fn noted(&self) -> Option<&str> {
        self.noted.as_deref()
    }

    /// The answer where [`Completion::superseded`]: someone else is at work under the same key.
    pub fn superseded(&self) -> Problem {
        in_progress()
    }

    async fn store(&self, reply: &Reply) -> Result<(), Problem> {
        let Some(slot) = self.slot.as_ref().filter(|_| !self.completed.load(Ordering::Relaxed)) else {
            return Ok(());
        };
        if slot.answer(reply).await? { Ok(()) } else { Err(in_progress()) }
    }

    /// A key that cannot be freed now is free when its lease has run out.
    async fn free(&self) {
        let Some(slot) = &self.slot else { return };
        if let Err(error) = slot.free().await {
            tracing::warn!(error = %Chain(&error), "an idempotency key stays claimed for a while");
        }
    }
}

impl Completion {
    /// Whether the transaction failed because another request owns the key now.
    pub fn superseded(self, cancelled: &Cancelled) -> bool {
        self.0.is_some_and(|index| cancelled.failed(index))
    }
}

fn replayed(reply: Reply) -> Response {
    let mut response = match reply {
        Reply::Success(success) => success.into_response(),
        Reply::Problem(problem) => {
            return problem.header(REPLAYED, HeaderValue::from_static("true")).into_response();
        }
    };
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

fn reused() -> Problem {
    Problem::new(
        http::StatusCode::UNPROCESSABLE_ENTITY,
        "idempotency-key-reused",
        "The idempotency key belongs to another request",
    )
    .detail("The key was used with another body or path; a new request needs a new key")
}

fn in_progress() -> Problem {
    Problem::conflict(
        "request-in-progress",
        "The same request is under way",
        "A request with this idempotency key is being carried out; ask again shortly for its answer",
    )
    .retry_after(1)
}

fn seconds(at: Timestamp) -> i64 {
    at.as_second()
}

#[cfg(test)]
mod tests;
