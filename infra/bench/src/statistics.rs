//! Figures out of many.

/// What was measured again and again, in whichever unit.
#[derive(Debug, Clone, Default)]
pub struct Sample(Vec<f64>);

impl Sample {
    /// One more.
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing was measured.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value that half of them do not exceed; 0 of none.
    pub fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// The value that 99 of 100 do not exceed; 0 of none.
    pub fn p99(&self) -> f64 {
        self.quantile(0.99)
    }

    /// How far the middle half lies apart, as a part of the median: how much to believe the median; 0 of none.
    pub fn spread(&self) -> f64 {
        let median = self.median();
        if median > 0.0 { (self.quantile(0.75) - self.quantile(0.25)) / median } else { 0.0 }
    }

    /// How many times as much as `reference`: the median of the ratios of what was measured in the same round, so that whatever else the
    /// machine did meanwhile struck both. 0 of none.
    pub fn ratio_to(&self, reference: &Self) -> f64 {
        let pairs = self.0.iter().zip(&reference.0);
        pairs
            .filter(|(_, reference)| **reference > 0.0)
            .map(|(value, reference)| value / reference)
            .collect::<Self>()
            .median()
    }

    /// The smallest of them that `part` of them do not exceed (nearest rank).
    fn quantile(&self, part: f64) -> f64 {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        #[expect(clippy::cast_precision_loss, reason = "there are not that many")]
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and their number"
        )]
        let rank = (part * sorted.len() as f64).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
    }
}

impl FromIterator<f64> for Sample {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let sample: Sample = (1..=100).rev().map(f64::from).collect();
        assert_eq!((sample.median(), sample.p99(), sample.len()), (50.0, 99.0, 100));
        assert!((sample.spread() - 1.0).abs() < 1e-9, "{}", sample.spread());
        let (quiet, noisy): (Sample, Sample) =
            ([1.0, 1.0, 5.0].into_iter().collect(), [2.0, 2.0, 10.0].into_iter().collect());
        assert!((noisy.ratio_to(&quiet) - 2.0).abs() < 1e-9);
        let one: Sample = [7.0].into_iter().collect();
        assert_eq!((one.median(), one.p99(), one.spread()), (7.0, 7.0, 0.0));
        assert!(Sample::default().median() < 1.0, "of none");
    }
}
