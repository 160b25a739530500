//! Sessions that ended before their access tokens did: a small table, of which every service keeps a copy.
//!
//! | item | pk | sk |
//! |---|---|---|
//! | revocation | `SHARD#<0 or 1>`, by the session's id | `<when, microseconds since the epoch, 16 digits>#<session id>` |
//! | of every session that began until then | `SHARD#0` | the same with the nil UUID, which is no session's |
//!
//! Auth writes, in the very transaction that ends a session; the others only read. Each shard is sorted by time, so that a
//! copy is brought up to date by reading its end. An item's TTL `expires_at` comes when no token of the session can be left.
//!
//! # How long a revoked session still gets in
//!
//! - Normally up to 10 seconds after the transaction was written: no request is answered by an older copy. When reading
//!   it again fails, it is tried again five seconds later; two failures in a row still stay below 30 seconds.
//! - While the table cannot be read at all, up to 5 minutes: as long the copy still serves. Then nobody gets in (503)
//!   until it can be read.
//! - A function that starts without the table lets nobody in (503) until it can be read.
//!
//! Clocks are taken to differ by less than [`CLOCK_SKEW`](super::CLOCK_SKEW).

mod copy;
#[cfg(test)]
mod tests;

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde::de::Error as _;
use uuid::Uuid;

pub(super) use copy::Revocations;

use super::LIFETIME;
use crate::db::{DbError, Item, Key, Table};

/// How many partitions the table is spread over. Each takes 500 revocations a second, and each is one more query for every start and
/// every ten seconds of every function.
const SHARDS: u8 = 2;

/// Revocations per call, so that none comes near the time limit of a call, however many there are.
const PAGE: i32 = 10_000;

/// In the place of a session's id: every session that began until then.
const ALL: Uuid = Uuid::nil();

/// Writes revocations, and reads them.
#[derive(Debug, Clone)]
pub struct RevocationLog {
    table: Table,
}

#[derive(Serialize)]
struct Revocation {
    /// TTL, seconds since the epoch.
    expires_at: i64,
}

/// A session, and when it was revoked, in microseconds since the epoch.
type Entry = (Uuid, i64);

impl RevocationLog {
    /// How long after the time in its key a revocation may appear: longer than a function that writes may run, and clocks
    /// may differ.
    pub const MAX_DELAY: SignedDuration = SignedDuration::from_secs(30);
    /// For how long a revocation counts. The last token of its session may have been issued by a request that began before
    /// the revocation was written and ended as late as it may: hence one delay for each of the two.
    pub const RETENTION: SignedDuration =
        SignedDuration::from_secs(LIFETIME.as_secs() + 2 * Self::MAX_DELAY.as_secs());

    /// The log in `RevocationTable`.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// The table.
    pub fn table(&self) -> Table {
        self.table.clone()
    }

    /// Revokes a session, in the transaction that ends it; twice is once. `at` is when the request began that does so.
    pub fn write(&self, session_id: Uuid, at: Timestamp) -> Result<TransactWriteItem, DbError> {
        let key = Key::new(
            partition(session_id.as_bytes()[15] % SHARDS),
            format!("{}#{session_id}", sort_key(at.as_microsecond())),
        );
        // Long after the last reader: TTL must never be what ends a revocation.
        let expires_at = (at + SignedDuration::from_hours(1)).as_second();
        self.table.put_write(&key, &Revocation { expires_at }, "")
    }

    /// Revokes every session that began until `at`, in the transaction that makes Auth refuse to refresh them: an access
    /// token says when its session began.
    pub fn write_all(&self, at: Timestamp) -> Result<TransactWriteItem, DbError> {
        self.write(ALL, at)
    }

    /// What was revoked in a shard at `from` (microseconds since the epoch) and later, read consistently, in order, and
    /// given to `take` page by page.
    async fn read(self, shard: u8, from: i64, take: impl Fn(&[Entry])) -> Result<(), DbError> {
        let mut pages = self
            .table
            .client()
            .query()
            .table_name(self.table.name())
            .key_condition_expression("pk = :shard AND sk >= :from")
            .expression_attribute_values(":shard", AttributeValue::S(partition(shard)))
            .expression_attribute_values(":from", AttributeValue::S(sort_key(from)))
            .projection_expression("sk")
            .consistent_read(true)
            .limit(PAGE)
            .into_paginator()
            .send();
        while let Some(page) = pages.try_next().await? {
            // An entry that cannot be understood may be anyone's: better an error than a session that lives on.
            let entries = page.items().iter().map(parse).collect::<Option<Vec<_>>>();
            take(&entries.ok_or_else(|| DbError::Format(serde_dynamo::Error::custom("not a revocation")))?);
        }
        Ok(())
    }
}

fn partition(shard: u8) -> String {
    format!("SHARD#{shard}")
}

/// Sorts as the times, microseconds since the epoch, do.
fn sort_key(at: i64) -> String {
    format!("{at:016}")
}

fn parse(item: &Item) -> Option<Entry> {
    let (at, session_id) = item.get("sk")?.as_s().ok()?.split_once('#')?;
    Some((session_id.parse().ok()?, at.parse().ok()?))
}
