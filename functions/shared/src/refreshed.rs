//! A value that is read from elsewhere, kept, and read again when it gets old.

use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::timeout;

use crate::clock::Clock;
use crate::problem::Chain;

/// A request does not wait longer than this for a newer value.
const PATIENCE: Duration = Duration::from_secs(2);

/// When a value is read again.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    /// What the value is, for the log.
    pub what: &'static str,
    /// Read again when older.
    pub max_age: SignedDuration,
    /// How long nobody tries again after a failed read, so that an outage costs only some requests their patience.
    pub pause: SignedDuration,
}

/// The value, and its reading again: by one request at a time, while those that need the outcome wait for it. A failed
/// read keeps the value of before.
#[derive(Debug)]
pub struct Refreshed<T> {
    schedule: Schedule,
    clock: Clock,
    kept: Mutex<Kept<T>>,
    /// Held by the request that reads.
    reading: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Kept<T> {
    value: Arc<T>,
    /// When the read of the value began: what was written before is in it.
    read: Option<Timestamp>,
    /// When the last read failed; none after one that did not.
    failed: Option<Timestamp>,
}

impl<T> Refreshed<T> {
    /// Keeps `value`, which was `read` then; where it never was, it is due at once.
    pub fn new(schedule: Schedule, clock: Clock, value: T, read: Option<Timestamp>) -> Self {
        let kept = Mutex::new(Kept { value: Arc::new(value), read, failed: None });
        Self { schedule, clock, kept, reading: tokio::sync::Mutex::default() }
    }

    /// The value as it is.
    pub fn current(&self) -> Arc<T> {
        Arc::clone(&self.kept().value)
    }

    /// The value, by `read` where it is due; `read` gets the one of before.
    pub async fn get<E: Error + 'static, F: Future<Output = Result<T, E>>>(
        &self,
        read: impl FnOnce(Arc<T>) -> F,
    ) -> Arc<T> {
        if !self.is_due() {
            return self.current();
        }
        let failing = self.kept().failed.is_some();
        let reading = match self.reading.try_lock() {
            Ok(reading) => reading,
            // What fails again and again is not worth waiting for.
            Err(_) if failing => return self.current(),
            Err(_) => self.reading.lock().await,
        };
        if self.is_due() {
            self.read(read).await;
        }
        drop(reading);
        self.current()
    }

    /// The value, by `read` where it is `wanted`, whatever its age. It is asked when nobody else reads (any more).
    pub async fn get_anew<E: Error + 'static, F: Future<Output = Result<T, E>>>(
        &self,
        wanted: impl FnOnce(&T) -> bool,
        read: impl FnOnce(Arc<T>) -> F,
    ) -> Arc<T> {
        let reading = self.reading.lock().await;
        if wanted(&self.current()) {
            self.read(read).await;
        }
        drop(reading);
        self.current()
    }

    async fn read<E: Error + 'static, F: Future<Output = Result<T, E>>>(
        &self,
        read: impl FnOnce(Arc<T>) -> F,
    ) {
        let begun = self.clock.now();
        match timeout(PATIENCE, read(self.current())).await {
            Ok(Ok(value)) => {
                *self.kept() = Kept { value: Arc::new(value), read: Some(begun), failed: None };
                return;
            }
            Ok(Err(error)) => {
                tracing::error!(what = self.schedule.what, error = %Chain(&error), "cannot be read again");
            }
            Err(_) => tracing::error!(what = self.schedule.what, "takes too long to be read again"),
        }
        self.kept().failed = Some(self.clock.now());
    }

    fn is_due(&self) -> bool {
        let now = self.clock.now();
        // A time ahead of now is of a clock that was set back since, and says nothing.
        let within = |time: Option<Timestamp>, limit| {
            time.is_some_and(|time| (SignedDuration::ZERO..limit).contains(&now.duration_since(time)))
        };
        let kept = self.kept();
        !within(kept.read, self.schedule.max_age) && !within(kept.failed, self.schedule.pause)
    }

    fn kept(&self) -> MutexGuard<'_, Kept<T>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
