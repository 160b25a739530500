//! Chance that repeats itself: everything that a simulation does follows from a number.

use uuid::{Builder, Uuid};

/// `SplitMix64`: 64 bits of state, even enough for shoppers, and not for secrets.
#[derive(Debug, Clone)]
pub(super) struct Dice(u64);

impl Dice {
    /// Dice of two numbers; others for any other two.
    pub(super) fn new(seed: u64, run: u64) -> Self {
        let mut dice = Self(seed);
        dice.0 = dice.next() ^ run;
        dice
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 up to, but without, 1.
    pub(super) fn fraction(&mut self) -> f64 {
        // 32 bits are exact in a float, and more than enough.
        f64::from(u32::try_from(self.next() >> 32).unwrap_or_default()) / 4_294_967_296.0
    }

    /// Whether something happens that does so with this probability.
    pub(super) fn happens(&mut self, probability: f64) -> bool {
        self.fraction() < probability
    }

    /// A number from `least` to `most`, both included.
    pub(super) fn between(&mut self, least: u32, most: u32) -> u32 {
        let span = u64::from(most.saturating_sub(least)) + 1;
        least + u32::try_from(self.next() % span).unwrap_or_default()
    }

    /// A place in a list of weights, as often as its weight says; `None` where all weigh nothing.
    pub(super) fn weighted(&mut self, weights: &[f64]) -> Option<usize> {
        let mut left = self.fraction() * weights.iter().sum::<f64>();
        for (index, weight) in weights.iter().enumerate() {
            if left < *weight {
                return Some(index);
            }
            left -= weight;
        }
        weights.iter().rposition(|weight| *weight > 0.0)
    }

    /// One of these.
    pub(super) fn pick<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        let most = u32::try_from(list.len()).ok()?.checked_sub(1)?;
        list.get(self.between(0, most) as usize)
    }

    /// The list in another order.
    pub(super) fn shuffle<T>(&mut self, list: &mut [T]) {
        for last in (1..list.len()).rev() {
            let other = self.between(0, u32::try_from(last).unwrap_or_default()) as usize;
            list.swap(last, other);
        }
    }

    /// An id; those of two runs differ.
    pub(super) fn uuid(&mut self) -> Uuid {
        let bytes = (u128::from(self.next()) << 64) | u128::from(self.next());
        Builder::from_random_bytes(bytes.to_be_bytes()).into_uuid()
    }
}
