//! Sessions that ended before their access tokens did: a small table, of which every service keeps a copy.
//!
//! | item | pk | sk |
//! |---|---|---|
//! | revocation | `SHARD#<0 to 7>`, by the session's id | `<when, microseconds since the epoch, 16 digits>#<session id>` |
//!
//! Auth writes, in the very transaction that ends a session; the others only read. Each shard is sorted by time, so that a
//! copy is brought up to date by reading its end. An item's TTL `expires_at` comes when no token of the session can be left.

use aws_sdk_dynamodb::types::TransactWriteItem;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use uuid::Uuid;

use crate::db::{DbError, Key, Table};

/// How many partitions the table is spread over: each takes 1000 writes a second.
const SHARDS: u8 = 8;

/// Writes revocations.
#[derive(Debug, Clone)]
pub struct RevocationLog {
    table: Table,
}

#[derive(Serialize)]
struct Revocation {
    session_id: Uuid,
    /// TTL, seconds since the epoch.
    expires_at: i64,
}

impl RevocationLog {
    /// The log in `RevocationTable`.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// The table.
    pub fn table(&self) -> Table {
        self.table.clone()
    }

    /// Revokes a session, in the transaction that ends it; twice is once.
    pub fn write(&self, session_id: Uuid, at: Timestamp) -> Result<TransactWriteItem, DbError> {
        let key = Key::new(shard(session_id), format!("{:016}#{session_id}", at.as_microsecond()));
        let expires_at = (at + SignedDuration::from_hours(1)).as_second();
        self.table.put_write(&key, &Revocation { session_id, expires_at }, "")
    }
}

fn shard(session_id: Uuid) -> String {
    format!("SHARD#{}", session_id.as_bytes()[15] % SHARDS)
}
