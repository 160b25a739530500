//! A service's copy of the revocations.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::{ALL, Entry, RevocationLog, SHARDS};
use crate::clock::Clock;
use crate::db::DbError;
use crate::refreshed::{PATIENCE, Refreshed, Schedule};
use crate::token::Refused;

const SCHEDULE: Schedule = Schedule {
    what: "the revocations",
    max_age: SignedDuration::from_secs(10),
    pause: SignedDuration::from_secs(5),
};
/// Beyond this age of the copy it is worth more to be right than to be quick, and a request waits for [`LONG_PATIENCE`].
/// That is well below what a request may take in all.
const PROMISED: SignedDuration = SignedDuration::from_secs(30);
const LONG_PATIENCE: Duration = Duration::from_secs(6);
/// The oldest copy that still serves, while no newer one can be had.
const MAX_OUTAGE: SignedDuration = SignedDuration::from_mins(5);

/// The sessions that were revoked within [`RevocationLog::RETENTION`].
#[derive(Debug)]
pub(in crate::token) struct Revocations {
    log: RevocationLog,
    clock: Clock,
    known: Arc<Mutex<Known>>,
    /// When the last reading that came to its end began.
    read: Refreshed<Option<Timestamp>>,
}

#[derive(Debug, Default)]
struct Known {
    /// By session, when, in microseconds since the epoch: 24 bytes each, and nothing to free.
    revoked: HashMap<Uuid, i64>,
    /// By shard, from when on it is yet to be read, in microseconds since the epoch. It moves with each page, so that a
    /// reading that is cut off was not in vain.
    from: [i64; SHARDS as usize],
}

impl Revocations {
    /// When a client may try again, in seconds, after the revocations could not be read.
    pub(in crate::token) const RETRY_AFTER: u64 = SCHEDULE.pause.unsigned_abs().as_secs();

    /// A copy of `log`, which is yet to be read.
    pub(in crate::token) fn new(log: RevocationLog, clock: Clock) -> Self {
        Self { log, read: Refreshed::new(SCHEDULE, clock.clone(), None, None), clock, known: Arc::default() }
    }

    /// Whether the session lives on, which began at `auth_time`, in seconds since the epoch. One that does not say when it
    /// began may have begun before all were revoked.
    pub(in crate::token) async fn check(
        &self,
        session_id: Uuid,
        auth_time: Option<i64>,
    ) -> Result<(), Refused> {
        self.refresh().await?;
        let known = lock(&self.known);
        let among_all =
            known.revoked.get(&ALL).is_some_and(|all| auth_time.is_none_or(|began| began <= all / 1_000_000));
        if among_all || known.revoked.contains_key(&session_id) { Err(Refused::Revoked) } else { Ok(()) }
    }

    /// Brings the copy up to date where that is due; when its reading began, which is less than [`MAX_OUTAGE`] ago.
    pub(in crate::token) async fn refresh(&self) -> Result<Timestamp, Refused> {
        let within = |limit, read: Option<Timestamp>| {
            let age = |read| self.clock.now().duration_since(read);
            read.filter(|read| (SignedDuration::ZERO..limit).contains(&age(*read)))
        };
        let patience = within(PROMISED, *self.read.current()).map_or(LONG_PATIENCE, |_| PATIENCE);
        let read = self.read.get(patience, |_| self.read()).await;
        within(MAX_OUTAGE, *read).ok_or(Refused::RevocationsUnknown)
    }

    /// Reads what came since, all shards at once. The end of what is known is read once more, because a revocation may
    /// appear later than its key says.
    async fn read(&self) -> Result<Option<Timestamp>, DbError> {
        let begun = self.clock.now();
        let oldest = (begun - RevocationLog::RETENTION).as_microsecond();
        let settled = (begun - RevocationLog::MAX_DELAY).as_microsecond();
        let mut shards: JoinSet<_> = (0..SHARDS)
            .map(|shard| {
                let (log, known) = (self.log.clone(), Arc::clone(&self.known));
                async move {
                    let from = lock(&known).from[usize::from(shard)].max(oldest);
                    log.read(shard, from, |page| lock(&known).take(shard, page, settled)).await?;
                    lock(&known).from[usize::from(shard)] = settled;
                    Ok::<_, DbError>(())
                }
            })
            .collect();
        while let Some(outcome) = shards.join_next().await {
            outcome.map_err(|error| DbError::Unavailable(error.into()))??;
        }
        lock(&self.known).revoked.retain(|_, at| *at >= oldest);
        Ok(Some(begun))
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        lock(&self.known).revoked.len()
    }
}

impl Known {
    /// Adds a page, up to whose end the shard needs no second look, but for what is not `settled` yet.
    fn take(&mut self, shard: u8, page: &[Entry], settled: i64) {
        for (session_id, at) in page {
            // A page that is read again must not set back when all sessions were revoked.
            let known = self.revoked.entry(*session_id).or_insert(*at);
            *known = at.max(known).to_owned();
        }
        if let Some((_, last)) = page.last() {
            self.from[usize::from(shard)] = settled.min(*last);
        }
    }
}

fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}
