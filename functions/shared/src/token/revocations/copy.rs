//! A service's copy of the revocations.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::RevocationLog;
use crate::clock::Clock;
use crate::db::DbError;
use crate::refreshed::{Refreshed, Schedule};
use crate::token::Refused;

const SCHEDULE: Schedule = Schedule {
    what: "the revocations",
    max_age: SignedDuration::from_secs(10),
    pause: SignedDuration::from_secs(5),
};
/// The oldest copy that still serves, while no newer one can be had.
const MAX_OUTAGE: SignedDuration = SignedDuration::from_mins(5);

/// The sessions that were revoked within [`RevocationLog::RETENTION`].
#[derive(Debug)]
pub(in crate::token) struct Revocations {
    log: RevocationLog,
    clock: Clock,
    copy: Refreshed<Copy>,
}

/// What the table held at one time.
#[derive(Debug, Clone, Default)]
pub(in crate::token) struct Copy {
    /// When its reading began; `None` before the first.
    read: Option<Timestamp>,
    /// By session, when, in microseconds since the epoch: 24 bytes each, and nothing to free.
    pub(super) revoked: HashMap<Uuid, i64>,
}

impl Revocations {
    /// When a client may try again, in seconds, after the revocations could not be read.
    pub(in crate::token) const RETRY_AFTER: u64 = SCHEDULE.pause.unsigned_abs().as_secs();

    /// A copy of `log`, which is yet to be read.
    pub(in crate::token) fn new(log: RevocationLog, clock: Clock) -> Self {
        Self { log, copy: Refreshed::new(SCHEDULE, clock.clone(), Copy::default(), None), clock }
    }

    /// Whether the session lives on.
    pub(in crate::token) async fn check(&self, session_id: Uuid) -> Result<(), Refused> {
        let copy = self.current().await?;
        if copy.revoked.contains_key(&session_id) { Err(Refused::Revoked) } else { Ok(()) }
    }

    /// The copy, up to date, or at most [`MAX_OUTAGE`] old.
    pub(in crate::token) async fn current(&self) -> Result<Arc<Copy>, Refused> {
        let copy = self.copy.get(|copy| self.read(copy)).await;
        let age = copy.read.map(|read| self.clock.now().duration_since(read));
        match age {
            Some(age) if (SignedDuration::ZERO..MAX_OUTAGE).contains(&age) => Ok(copy),
            _ => Err(Refused::RevocationsUnknown),
        }
    }

    /// The copy with what came since. The end of what it knows is read once more, because a revocation may appear later
    /// than its key says.
    async fn read(&self, copy: Arc<Copy>) -> Result<Copy, DbError> {
        let begun = self.clock.now();
        let oldest = begun - RevocationLog::RETENTION;
        let from = copy.read.map_or(oldest, |read| oldest.max(read - RevocationLog::MAX_DELAY));
        let entries = self.log.since(from).await?;
        let mut revoked = copy.revoked.clone();
        revoked.retain(|_, at| *at >= oldest.as_microsecond());
        revoked.extend(entries);
        Ok(Copy { read: Some(begun), revoked })
    }
}
