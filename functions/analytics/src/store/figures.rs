//! Reading figures: the cost grows with the stretch of time, and not with the number of events.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::ToSpan as _;
use jiff::civil::Date;
use shared::db::{DbError, Item};
use tokio::task::JoinSet;
use tracing::Instrument as _;

use super::AnalyticsStore;
use super::cells::{self, place};
use crate::bucket::Bucket;
use crate::cohort::{Cohort, monday};
use crate::figures::{Funnel, Merge, Products, Totals};

impl AnalyticsStore {
    /// The totals of each of these buckets that anything happened in.
    pub async fn totals(&self, buckets: &BTreeSet<Bucket>) -> Result<BTreeMap<Bucket, Totals>, DbError> {
        self.figures(buckets, cells::TOTALS, cells::totals).await
    }

    /// The funnel of each of these buckets that anything happened in.
    pub async fn funnels(&self, buckets: &BTreeSet<Bucket>) -> Result<BTreeMap<Bucket, Funnel>, DbError> {
        self.figures(buckets, cells::FUNNEL, cells::funnel).await
    }

    /// The products of each of these buckets that anything happened to one in.
    pub async fn products(&self, buckets: &BTreeSet<Bucket>) -> Result<BTreeMap<Bucket, Products>, DbError> {
        self.figures(buckets, cells::PRODUCT, cells::product).await
    }

    /// The cohorts of the weeks from that of `first` to that of `last`, in order, those of nobody included.
    pub async fn cohorts(&self, first: Date, last: Date) -> Result<Vec<Cohort>, DbError> {
        let last = monday(last);
        let weeks: Vec<Date> = monday(first).series(7.days()).take_while(|week| *week <= last).collect();
        let partitions = weeks.iter().map(|week| (cohort_partition(*week), String::new(), "~".to_owned()));
        let items = self.all(partitions.collect()).await?;
        let mut sums: BTreeMap<Date, BTreeMap<u32, i64>> =
            weeks.into_iter().map(|week| (week, BTreeMap::new())).collect();
        for item in items {
            let text = |name: &str| item.get(name).and_then(|value| value.as_s().ok());
            let week = text("pk").and_then(|pk| pk.strip_prefix(COHORT)?.parse().ok());
            let weeks_later = text("sk").and_then(|sk| sk.split_once('#')?.0.parse().ok());
            let people = item.get("people").and_then(|people| people.as_n().ok());
            if let (Some(week), Some(weeks_later), Some(people)) = (week, weeks_later, people) {
                // One shard alone may be below zero: who leaves a cell need not have come through that shard.
                let people: i64 = people.parse().map_err(cells::unexpected)?;
                *sums.entry(week).or_default().entry(weeks_later).or_default() += people;
            }
        }
        let cohort = |(week, sums): (Date, BTreeMap<u32, i64>)| {
            let people = |sum| u64::try_from(sum).ok().filter(|people| *people > 0);
            let active = sums.into_iter().filter_map(|(later, sum)| Some((later, people(sum)?))).collect();
            Cohort { week, active }
        };
        Ok(sums.into_iter().map(cohort).collect())
    }

    /// One query per day of hours and per month of days, all at once. An answer that lags by a second is good enough, and
    /// costs half.
    async fn figures<F: Merge>(
        &self,
        buckets: &BTreeSet<Bucket>,
        part: &str,
        read: impl Fn(&Item, &str) -> Result<F, DbError>,
    ) -> Result<BTreeMap<Bucket, F>, DbError> {
        let mut places: BTreeMap<String, BTreeMap<String, Bucket>> = BTreeMap::new();
        for bucket in buckets {
            let (pk, slot) = place(*bucket);
            places.entry(pk).or_default().insert(slot, *bucket);
        }
        let ranges = places.iter().filter_map(|(pk, slots)| {
            let (first, last) = (slots.keys().next()?, slots.keys().next_back()?);
            // In ASCII `~` comes after all that a sort key may go on with.
            Some((pk.clone(), format!("{part}{first}#"), format!("{part}{last}#~")))
        });
        let mut figures = BTreeMap::<Bucket, F>::new();
        for item in self.all(ranges.collect()).await? {
            let text = |name: &str| item.get(name).and_then(|value| value.as_s().ok()).map(String::as_str);
            let (Some(slots), Some(sk)) = (text("pk").and_then(|pk| places.get(pk)), text("sk")) else {
                continue;
            };
            let Some((slot, rest)) = sk.strip_prefix(part).and_then(|sk| sk.split_once('#')) else {
                continue;
            };
            if let Some(bucket) = slots.get(slot) {
                figures.entry(*bucket).or_default().merge(&read(&item, rest)?);
            }
        }
        Ok(figures)
    }

    /// The items of these partitions whose sort keys are in these ranges.
    async fn all(&self, ranges: Vec<(String, String, String)>) -> Result<Vec<Item>, DbError> {
        let mut queries = JoinSet::new();
        for (pk, first, last) in ranges {
            let store = self.clone();
            // A task is outside of the request's span, and its log lines would lack the request's id.
            queries.spawn(async move { store.range(pk, first, last).await }.in_current_span());
        }
        let items = queries.join_all().await.into_iter().collect::<Result<Vec<_>, _>>()?;
        Ok(items.into_iter().flatten().collect())
    }

    async fn range(&self, pk: String, first: String, last: String) -> Result<Vec<Item>, DbError> {
        let query = self.table.client().query().table_name(self.table.name());
        // An empty value of a key is refused.
        let query = if first.is_empty() {
            query.key_condition_expression("pk = :pk AND sk <= :last")
        } else {
            query
                .key_condition_expression("pk = :pk AND sk BETWEEN :first AND :last")
                .expression_attribute_values(":first", AttributeValue::S(first))
        };
        let query = query
            .expression_attribute_values(":pk", AttributeValue::S(pk))
            .expression_attribute_values(":last", AttributeValue::S(last));
        let mut items = Vec::new();
        let mut start = None;
        loop {
            let output = query.clone().set_exclusive_start_key(start).send().await?;
            items.extend(output.items.unwrap_or_default());
            start = output.last_evaluated_key;
            if start.is_none() {
                return Ok(items);
            }
        }
    }
}

pub(super) const COHORT: &str = "COHORT#";

pub(super) fn cohort_partition(week: Date) -> String {
    format!("{COHORT}{week}")
}
