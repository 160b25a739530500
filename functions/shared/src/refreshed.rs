//! A value that is read from elsewhere, kept, and read again when it gets old.

use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::timeout;

use crate::clock::Clock;
use crate::problem::Chain;

/// A request does not wait longer than this for a newer value where the old one will do.
pub const PATIENCE: Duration = Duration::from_secs(2);

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

    /// The value, by `read` where it is due, which gets the one of before and as much time as `patience`.
    pub async fn get<E: Error + 'static, F: Future<Output = Result<T, E>>>(
        &self,
        patience: Duration,
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
            self.read(patience, read).await;
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
            self.read(PATIENCE, read).await;
        }
        drop(reading);
        self.current()
    }

    async fn read<E: Error + 'static, F: Future<Output = Result<T, E>>>(
        &self,
        patience: Duration,
        read: impl FnOnce(Arc<T>) -> F,
    ) {
        let begun = self.clock.now();
        match timeout(patience, read(self.current())).await {
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

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::Notify;

    use super::*;

    /// A number that is read every minute, and how often it was.
    struct Test {
        clock: Clock,
        number: Refreshed<u32>,
        reads: AtomicU32,
        /// Lets a read end.
        go: Notify,
    }

    impl Test {
        fn new() -> Self {
            let schedule = Schedule {
                what: "a number",
                max_age: SignedDuration::from_mins(1),
                pause: SignedDuration::from_secs(5),
            };
            let clock = Clock::fixed("2026-01-01T00:00:00Z".parse().unwrap());
            let number = Refreshed::new(schedule, clock.clone(), 0, Some(clock.now()));
            Self { clock, number, reads: AtomicU32::new(0), go: Notify::new() }
        }

        /// The number, which each read counts up by one, or which cannot be read.
        async fn get(&self, works: bool) -> u32 {
            *self.number.get(PATIENCE, |before| self.read(works, *before + 1)).await
        }

        async fn read(&self, works: bool, number: u32) -> Result<u32, io::Error> {
            self.reads.fetch_add(1, Ordering::Relaxed);
            self.go.notified().await;
            if works { Ok(number) } else { Err(io::Error::other("out of reach")) }
        }

        fn advance(&self, seconds: i64) {
            self.clock.advance(SignedDuration::from_secs(seconds));
        }

        fn reads(&self) -> u32 {
            self.reads.load(Ordering::Relaxed)
        }
    }

    /// Lets every other task go on as far as it can.
    async fn others() {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn all_who_find_it_due_wait_for_one_read_and_get_the_new_value() {
        let test = Test::new();
        assert_eq!(test.get(true).await, 0);
        test.advance(60);
        let go = async {
            others().await;
            test.go.notify_one();
        };
        let (one, two, three, ()) = tokio::join!(test.get(true), test.get(true), test.get(true), go);
        assert_eq!((one, two, three, test.reads()), (1, 1, 1, 1));
    }

    #[tokio::test]
    async fn an_outage_costs_one_request_in_five_seconds_its_patience_and_no_other() {
        let test = Test::new();
        test.advance(60);
        for attempt in 1..=3 {
            test.go.notify_one();
            for _ in 0..10 {
                assert_eq!(test.get(false).await, 0);
            }
            assert_eq!(test.reads(), attempt);
            test.advance(5);
        }
        // While one tries again, the others go on with what is there.
        let others = async {
            others().await;
            assert_eq!(test.get(false).await, 0);
            test.go.notify_one();
        };
        let (tries, ()) = tokio::join!(test.get(true), others);
        assert_eq!((tries, test.reads()), (1, 4));
    }

    #[tokio::test]
    async fn when_the_reading_request_is_dropped_the_next_one_reads() {
        let test = Test::new();
        test.advance(60);
        let dropped = tokio::select! {
            biased;
            _ = test.get(true) => false,
            () = others() => true,
        };
        assert!(dropped);
        test.go.notify_one();
        assert_eq!((test.get(true).await, test.reads()), (1, 2));
    }

    #[tokio::test]
    async fn a_clock_that_is_set_back_makes_nothing_younger() {
        let test = Test::new();
        test.advance(-3600);
        test.go.notify_one();
        assert_eq!(test.get(true).await, 1);
    }

    #[tokio::test]
    async fn who_wants_it_anew_gets_it_whatever_its_age_and_once_for_all_who_wait() {
        let test = Test::new();
        let anew = || test.number.get_anew(|number| *number == 0, |_| test.read(true, 7));
        let go = async {
            others().await;
            test.go.notify_one();
        };
        let (one, other, ()) = tokio::join!(anew(), anew(), go);
        assert_eq!((*one, *other, test.reads()), (7, 7, 1));
    }
}
