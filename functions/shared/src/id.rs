//! Identifiers and random bytes, handed in through the state.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_lc_rs::rand;
use jiff::Timestamp;
use uuid::{Builder, Uuid};

/// A source of ids and secrets.
#[derive(Debug, Clone)]
pub struct Generator(Source);

#[derive(Debug, Clone)]
enum Source {
    System,
    Counting(Arc<AtomicU64>),
}

impl Generator {
    /// Random numbers from the operating system, by aws-lc.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// Counts 1, 2, 3 …, so that a test can name what will be generated.
    pub fn counting() -> Self {
        Self(Source::Counting(Arc::new(AtomicU64::new(0))))
    }

    /// A UUIDv7 (RFC 9562 §5.7) of the time `now`: ids sort by their time of creation, to the millisecond.
    pub fn uuid(&self, now: Timestamp) -> Uuid {
        let millis = u64::try_from(now.as_millisecond()).unwrap_or_default();
        Builder::from_unix_timestamp_millis(millis, &self.bytes()).into_uuid()
    }

    /// `N` unpredictable bytes.
    ///
    /// # Panics
    /// When the operating system has no randomness to give: nothing secret may be made then.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        match &self.0 {
            Source::System => rand::fill(&mut bytes).expect("the operating system gives random bytes"),
            Source::Counting(count) => {
                let count = count.fetch_add(1, Ordering::Relaxed) + 1;
                for (byte, value) in bytes.iter_mut().rev().zip(count.to_le_bytes()) {
                    *byte = value;
                }
            }
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time() {
        let generator = Generator::system();
        let early = generator.uuid("2026-01-01T00:00:00Z".parse().unwrap());
        let late = generator.uuid("2026-01-01T00:00:00.001Z".parse().unwrap());
        assert!(early.to_string() < late.to_string());
        assert_eq!(early.get_version_num(), 7);
    }
}
