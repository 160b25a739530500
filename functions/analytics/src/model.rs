//! Events, and the sums of them that a shop owner asks for.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use order::events::Kind;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::money::{Currency, Money};
use shared::text::Text;
use uuid::Uuid;

/// How long a raw event is kept, in hours: 90 days.
const KEPT_HOURS: i64 = 90 * 24;

/// What the names of facts about orders begin with; only the order table's stream brings those.
const ORDER_PREFIX: &str = "order_";

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// What tells it from every other; a second event with the same id is the first one again.
    pub id: String,
    /// What happened.
    pub name: EventName,
    /// When, by a clock of ours.
    pub at: Timestamp,
    /// When, by the clock of the client, which may be wrong.
    pub client_at: Option<Timestamp>,
    /// Who did it, as the token says.
    pub user_id: Option<Uuid>,
    /// Who did it, as the client says of someone without a token.
    pub anonymous_id: Option<Text<64>>,
    /// The order that it happened to.
    pub order_id: Option<Uuid>,
    /// What was earned by it.
    pub revenue: Option<Money>,
    /// What was paid back by it.
    pub refund: Option<Money>,
    /// What else the client said.
    pub properties: Properties,
}

impl Event {
    /// The day, in UTC, that counts it.
    pub fn day(&self) -> Date {
        day_of(self.at)
    }

    /// When the raw event may be deleted, in seconds since 1970.
    pub fn expires_at(&self) -> i64 {
        self.at.as_second() + KEPT_HOURS * 3600
    }
}

/// The day of a time, in UTC.
pub fn day_of(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

/// The name of a kind of event: a lower-case letter, then up to 63 of `a-z 0-9 _`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EventName(String);

impl EventName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether only the server itself may say that this happened.
    pub fn is_reserved(&self) -> bool {
        self.0.starts_with(ORDER_PREFIX)
    }

    /// The name of the event that this happened to an order.
    pub fn of_order(kind: Kind) -> Self {
        let name = match kind {
            Kind::Placed => "placed",
            Kind::Paid => "paid",
            Kind::Packed => "packed",
            Kind::Shipped => "shipped",
            Kind::Delivered => "delivered",
            Kind::Cancelled => "cancelled",
            Kind::Expired => "expired",
            Kind::PartiallyRefunded => "partially_refunded",
            Kind::Refunded => "refunded",
        };
        Self(format!("{ORDER_PREFIX}{name}"))
    }

    /// What happened to an order, where that is what the name says.
    fn order_kind(&self) -> Option<Kind> {
        let kinds = [
            Kind::Placed,
            Kind::Paid,
            Kind::Packed,
            Kind::Shipped,
            Kind::Delivered,
            Kind::Cancelled,
            Kind::Expired,
            Kind::PartiallyRefunded,
            Kind::Refunded,
        ];
        kinds.into_iter().find(|kind| Self::of_order(*kind) == *self)
    }
}

impl TryFrom<String> for EventName {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let good = (1..=64).contains(&name.len())
            && name.starts_with(|first: char| first.is_ascii_lowercase())
            && name.bytes().all(allowed);
        if good {
            Ok(Self(name))
        } else {
            Err("expected a name such as page_view: a lower-case letter, then up to 63 of a-z 0-9 _")
        }
    }
}

impl From<EventName> for String {
    fn from(name: EventName) -> Self {
        name.0
    }
}

/// What a client adds to an event: at most 20 members, names of 1 to 64 characters, values that are a boolean, a number
/// or a text of at most 256 characters.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(try_from = "BTreeMap<String, Value>")]
pub struct Properties(BTreeMap<String, Value>);

impl Properties {
    /// The members as JSON text; none where there are none. That is how they are stored: DynamoDB's numbers are narrower
    /// than JSON's.
    pub fn to_json(&self) -> Option<String> {
        if self.0.is_empty() { None } else { serde_json::to_string(&self.0).ok() }
    }
}

impl TryFrom<BTreeMap<String, Value>> for Properties {
    type Error = &'static str;

    fn try_from(members: BTreeMap<String, Value>) -> Result<Self, Self::Error> {
        if members.len() > 20 {
            return Err("expected at most 20 properties");
        }
        for (name, value) in &members {
            if !(1..=64).contains(&name.chars().count()) {
                return Err("expected names of properties of 1 to 64 characters");
            }
            match value {
                Value::Bool(_) | Value::Number(_) => {}
                Value::String(text) if text.chars().count() <= 256 => {}
                Value::String(_) => return Err("expected texts in properties of at most 256 characters"),
                _ => return Err("expected properties that are booleans, numbers or texts"),
            }
        }
        Ok(Self(members))
    }
}

/// One thing that is counted per day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Counter {
    /// How often an event of this name happened.
    Happened(EventName),
    /// What was earned in a currency, in minor units.
    Revenue(Currency),
    /// What was paid back in a currency, in minor units.
    Refunds(Currency),
}

impl Counter {
    /// The counter's name in the table. No event's name contains `#`.
    pub fn name(&self) -> String {
        match self {
            Self::Happened(name) => name.as_str().to_owned(),
            Self::Revenue(currency) => format!("revenue#{currency}"),
            Self::Refunds(currency) => format!("refunds#{currency}"),
        }
    }

    /// The counter of this name.
    pub fn parse(name: &str) -> Option<Self> {
        match name.split_once('#') {
            Some(("revenue", currency)) => currency.parse().ok().map(Self::Revenue),
            Some(("refunds", currency)) => currency.parse().ok().map(Self::Refunds),
            Some(_) => None,
            None => EventName::try_from(name.to_owned()).ok().map(Self::Happened),
        }
    }
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
    /// Adds `value` of `counter`.
    pub fn add(&mut self, counter: Counter, value: u64) {
        let sum = match counter {
            Counter::Revenue(currency) => self.revenue.entry(currency).or_default(),
            Counter::Refunds(currency) => self.refunds.entry(currency).or_default(),
            Counter::Happened(name) => match name.order_kind() {
                Some(kind) => self.orders.entry(kind).or_default(),
                None => self.events.entry(name.into()).or_default(),
            },
        };
        *sum = sum.saturating_add(value);
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

    #[test]
    fn names() {
        for good in ["a", "page_view", "x2", &"a".repeat(64)] {
            EventName::try_from(good.to_owned()).unwrap();
        }
        for bad in ["", "A", "_a", "2a", "page-view", "a b", "ä", "a#b", &"a".repeat(65)] {
            EventName::try_from(bad.to_owned()).unwrap_err();
        }
    }

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
    fn counters_keep_their_meaning_in_the_table() {
        let eur = "EUR".parse().unwrap();
        let page_view = Counter::Happened("page_view".to_owned().try_into().unwrap());
        for counter in [page_view, Counter::Revenue(eur), Counter::Refunds(eur)] {
            assert_eq!(Counter::parse(&counter.name()), Some(counter));
        }
        assert_eq!(Counter::parse("revenue#x"), None);
        assert_eq!(Counter::parse("losses#EUR"), None);
    }

    #[test]
    fn whatever_happens_to_an_order_is_counted_as_that() {
        for kind in [Kind::Placed, Kind::Cancelled, Kind::Expired, Kind::PartiallyRefunded, Kind::Refunded] {
            let mut sums = Sums::default();
            sums.add(Counter::Happened(EventName::of_order(kind)), 1);
            assert_eq!(sums.orders, [(kind, 1)].into());
        }
    }

    #[test]
    fn a_client_may_count_revenue_and_orders_of_its_own_apart_from_ours() {
        let mut sums = Sums::default();
        for name in ["revenue", "refunds", "order"] {
            sums.add(Counter::parse(name).unwrap(), 1);
        }
        sums.add(Counter::Happened(EventName::of_order(Kind::Paid)), 2);
        assert_eq!(
            serde_json::to_value(sums).unwrap(),
            serde_json::json!({ "events": { "order": 1, "refunds": 1, "revenue": 1 }, "orders": { "paid": 2 }, "revenue": [], "refunds": [] })
        );
    }
}
