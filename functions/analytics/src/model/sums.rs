//! Sums over days.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use order::events::Kind;
use serde::Serialize;
use shared::money::{Currency, Money};

use crate::figures::Totals;

/// The day of a time, in UTC.
pub fn day_of(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

/// Sums over some time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Sums {
    /// How often each event of clients happened.
    pub events: BTreeMap<String, u64>,
    /// How often each thing happened to an order.
    pub orders: BTreeMap<Kind, u64>,
    /// What was earned, per currency; refunds are not taken off, for they may be of another day.
    #[serde(serialize_with = "as_money")]
    pub revenue: BTreeMap<Currency, u64>,
    /// What was paid back, per currency.
    #[serde(serialize_with = "as_money")]
    pub refunds: BTreeMap<Currency, u64>,
}

impl Sums {
    /// The sums that these figures are.
    pub fn of(totals: &Totals) -> Self {
        let (revenue, refunds) = (totals.revenue.clone(), totals.refunds.clone());
        let mut sums = Self { revenue, refunds, ..Self::default() };
        for (name, count) in &totals.events {
            match name.order_kind() {
                Some(kind) => sums.orders.insert(kind, *count),
                None => sums.events.insert(name.as_str().to_owned(), *count),
            };
        }
        sums
    }

    /// Adds the sums of another time.
    pub fn add_all(&mut self, other: &Self) {
        merge(&mut self.events, &other.events);
        merge(&mut self.orders, &other.orders);
        merge(&mut self.revenue, &other.revenue);
        merge(&mut self.refunds, &other.refunds);
    }
}

fn merge<K: Ord + Clone>(into: &mut BTreeMap<K, u64>, from: &BTreeMap<K, u64>) {
    for (key, value) in from {
        let sum = into.entry(key.clone()).or_default();
        *sum = sum.saturating_add(*value);
    }
}

fn as_money<S: serde::Serializer>(
    revenue: &BTreeMap<Currency, u64>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(revenue.iter().map(|(currency, amount)| Money::new(*amount, *currency)))
}

/// Days from the first to the last, both included; at most 31.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Days {
    /// The first.
    pub first: Date,
    /// The last.
    pub last: Date,
}

impl Days {
    /// The days `from` to `to`; the 7 up to `to` where no `from` is given, up to `today` where no `to` is.
    pub fn new(from: Option<Date>, to: Option<Date>, today: Date) -> Result<Self, &'static str> {
        let last = to.unwrap_or(today);
        let first = from.unwrap_or_else(|| last.saturating_sub(6.days()));
        if first > last {
            return Err("from must not be after to");
        }
        if last.saturating_sub(30.days()) > first {
            return Err("from and to must span at most 31 days, both included");
        }
        Ok(Self { first, last })
    }

    /// Each day.
    pub fn iter(self) -> impl Iterator<Item = Date> {
        self.first.series(1.day()).take_while(move |day| *day <= self.last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::EventName;

    #[test]
    fn ranges_of_days() {
        let day = |text: &str| text.parse::<Date>().unwrap();
        let today = day("2026-03-02");
        let count = |from: Option<&str>, to: Option<&str>| {
            Days::new(from.map(day), to.map(day), today).map(|days| days.iter().count())
        };
        assert_eq!(count(None, None), Ok(7));
        assert_eq!(Days::new(None, None, today).unwrap().first, day("2026-02-24"));
        assert_eq!(count(Some("2026-03-02"), Some("2026-03-02")), Ok(1));
        assert_eq!(count(Some("2026-01-31"), None), Ok(31));
        count(Some("2026-01-30"), None).unwrap_err();
        count(Some("2026-03-03"), None).unwrap_err();
        assert_eq!(count(Some("2024-02-28"), Some("2024-03-01")), Ok(3), "a leap year");
        assert_eq!(count(None, Some("-009999-01-01")), Ok(1), "the first day that there is");
        assert_eq!(count(None, Some("9999-12-31")), Ok(7), "and the last");
    }

    #[test]
    fn a_client_may_count_revenue_and_orders_of_its_own_apart_from_ours() {
        let mut totals = Totals::default();
        for name in ["revenue", "refunds", "order"] {
            totals.events.insert(name.to_owned().try_into().unwrap(), 1);
        }
        for kind in [Kind::Paid, Kind::PartiallyRefunded, Kind::Expired] {
            totals.events.insert(EventName::of_order(kind), 2);
        }
        assert_eq!(
            serde_json::to_value(Sums::of(&totals)).unwrap(),
            serde_json::json!({
                "events": { "order": 1, "refunds": 1, "revenue": 1 },
                "orders": { "paid": 2, "expired": 2, "partially_refunded": 2 },
                "revenue": [],
                "refunds": [],
            })
        );
    }
}
