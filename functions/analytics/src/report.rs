//! What every question about a period is answered with: the figures of the whole, and of its points.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use serde::Serialize;
use shared::db::DbError;

use crate::bucket::Bucket;
use crate::figures::{Funnel, Merge, Products, Totals};
use crate::format::Tabular;
use crate::period::{Granularity, Period, Stretch};
use crate::store::AnalyticsStore;
use crate::table::{Cell, Table};

/// Figures that the store has per bucket.
pub(crate) trait Stored: Merge + Send + Sync {
    /// Those of each of these buckets that anything happened in.
    fn read(
        store: &AnalyticsStore,
        buckets: &BTreeSet<Bucket>,
    ) -> impl Future<Output = Result<BTreeMap<Bucket, Self>, DbError>> + Send;
}

impl Stored for Totals {
    async fn read(
        store: &AnalyticsStore,
        buckets: &BTreeSet<Bucket>,
    ) -> Result<BTreeMap<Bucket, Self>, DbError> {
        store.totals(buckets).await
    }
}

impl Stored for Funnel {
    async fn read(
        store: &AnalyticsStore,
        buckets: &BTreeSet<Bucket>,
    ) -> Result<BTreeMap<Bucket, Self>, DbError> {
        store.funnels(buckets).await
    }
}

impl Stored for Products {
    async fn read(
        store: &AnalyticsStore,
        buckets: &BTreeSet<Bucket>,
    ) -> Result<BTreeMap<Bucket, Self>, DbError> {
        store.products(buckets).await
    }
}

/// Figures as they are answered.
pub(crate) trait Shown: Serialize {
    /// The columns; the first is the point's `start`.
    const HEADER: &'static [&'static str];

    /// The rows, without `start`.
    fn rows(&self) -> Vec<Vec<Cell>>;
}

/// Figures of a period.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "Report_of_{T}"))]
pub(crate) struct Report<T> {
    from: Date,
    to: Date,
    time_zone: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    granularity: Option<Granularity>,
    total: T,
    /// Where a granularity is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    points: Option<Vec<Point<T>>>,
    #[serde(skip)]
    #[cfg_attr(feature = "openapi", schemars(skip))]
    start: String,
}

#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "Point_of_{T}"))]
struct Point<T> {
    start: String,
    #[serde(flatten)]
    figures: T,
}

impl<T: Shown> Report<T> {
    /// Reads the figures and shows them. The cost grows with the buckets that the period needs, at most twice 366 UTC days, or
    /// about 9,000 hours where points are wanted of the days of another zone; never with the number of events.
    pub(crate) async fn read<F: Stored>(
        store: &AnalyticsStore,
        period: Period,
        show: impl Fn(F) -> T + Send,
    ) -> Result<Self, DbError> {
        let total = figures::<F>(store, std::slice::from_ref(&period.whole)).await?;
        let total = total.into_iter().next().unwrap_or_default();
        let mut points = Vec::new();
        // What is read is in memory until it is summed up: of days and hours a week at a time.
        let at_once = if period.granularity == Some(Granularity::Hour) { 7 * 24 } else { 7 };
        for some in period.points.chunks(at_once) {
            let figures = figures::<F>(store, some).await?;
            points.extend(
                some.iter()
                    .zip(figures)
                    .map(|(point, sum)| Point { start: start(point), figures: show(sum) }),
            );
        }
        Ok(Self {
            from: period.from,
            to: period.to,
            time_zone: period.time_zone,
            granularity: period.granularity,
            total: show(total),
            points: period.granularity.map(|_| points),
            start: start(&period.whole),
        })
    }
}

impl<T: Shown> Tabular for Report<T> {
    /// The rows of the points, or of the whole where there are none; the sum of both in one column would count everything twice.
    fn table(&self) -> Table {
        let mut rows = Vec::new();
        let mut add = |start: &String, figures: &T| {
            let start = Cell::text(start);
            rows.extend(figures.rows().into_iter().map(|row| [vec![start.clone()], row].concat()));
        };
        match &self.points {
            Some(points) => points.iter().for_each(|point| add(&point.start, &point.figures)),
            None => add(&self.start, &self.total),
        }
        Table { header: T::HEADER, rows }
    }
}

/// The figures of each of these stretches.
async fn figures<F: Stored>(store: &AnalyticsStore, stretches: &[Stretch]) -> Result<Vec<F>, DbError> {
    let parts: Vec<_> = stretches.iter().map(Stretch::buckets).collect();
    let read = F::read(store, &parts.iter().flatten().copied().collect()).await?;
    let sum = |buckets: BTreeSet<Bucket>| {
        let mut sum = F::default();
        buckets.iter().filter_map(|bucket| read.get(bucket)).for_each(|figures| sum.merge(figures));
        sum
    };
    Ok(parts.into_iter().map(sum).collect())
}

/// RFC 3339 with the offset that holds then: two hours of a day on which clocks go back differ in nothing else.
fn start(stretch: &Stretch) -> String {
    stretch.start.timestamp().display_with_offset(stretch.start.offset()).to_string()
}

/// How much of `whole` the part is, with four decimals; none of nothing.
pub(crate) fn share(part: u64, whole: u64) -> Option<f64> {
    #[expect(
        clippy::cast_precision_loss,
        reason = "of numbers beyond 2^53 the four decimals are right all the same"
    )]
    let ratio = part as f64 / whole as f64;
    (whole > 0).then(|| (ratio * 10_000.0).round() / 10_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_have_four_decimals() {
        assert_eq!(share(1, 3), Some(0.3333));
        assert_eq!(share(2, 3), Some(0.6667));
        assert_eq!((share(5, 5), share(0, 5), share(3, 2)), (Some(1.0), Some(0.0), Some(1.5)));
        assert_eq!((share(0, 0), share(1, 0)), (None, None));
    }
}
