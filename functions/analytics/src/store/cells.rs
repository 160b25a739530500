//! How figures lie in the table: a cell is what one item, or its four shards together, holds.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_dynamodb::types::AttributeValue;
use cart::model::ProductId;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use shared::db::{DbError, Item, Key};

use crate::bucket::Bucket;
use crate::figures::{Funnel, ProductFigures, Products, Totals};
use crate::model::EventName;
use crate::sketch::Sketch;

/// Each cell is spread over so many items: one item takes 1,000 writes a second.
pub(crate) const SHARDS: u8 = 4;

/// What the attributes of sketches are called.
pub(crate) const VISITORS: &str = "visitors";
pub(crate) const STAGES: [&str; 4] = ["s0", "s1", "s2", "s3"];

const EVENTS: &str = "e:";
const REVENUE: &str = "r:";
const REFUNDS: &str = "f:";
const VIEWS: &str = "views";
const CARTS: &str = "carts";
const UNITS: &str = "units";

/// Something that is added up, as the attribute of its cell.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Measure {
    /// How often an event happened.
    Event(EventName),
    /// What was earned, in minor units.
    Revenue(shared::money::Currency),
    /// What was paid back, in minor units.
    Refunds(shared::money::Currency),
    /// How often a product was looked at.
    Views,
    /// How often it was put into a cart.
    Carts,
    /// How many pieces of it were sold.
    Units,
}

impl Measure {
    pub(crate) fn attribute(&self) -> String {
        match self {
            Self::Event(name) => format!("{EVENTS}{}", name.as_str()),
            Self::Revenue(currency) => format!("{REVENUE}{currency}"),
            Self::Refunds(currency) => format!("{REFUNDS}{currency}"),
            Self::Views => VIEWS.to_owned(),
            Self::Carts => CARTS.to_owned(),
            Self::Units => UNITS.to_owned(),
        }
    }

    fn parse(attribute: &str) -> Option<Self> {
        match attribute {
            VIEWS => return Some(Self::Views),
            CARTS => return Some(Self::Carts),
            UNITS => return Some(Self::Units),
            _ => {}
        }
        if let Some(name) = attribute.strip_prefix(EVENTS) {
            EventName::try_from(name.to_owned()).ok().map(Self::Event)
        } else if let Some(currency) = attribute.strip_prefix(REVENUE) {
            currency.parse().ok().map(Self::Revenue)
        } else {
            attribute.strip_prefix(REFUNDS)?.parse().ok().map(Self::Refunds)
        }
    }
}

/// Which figures of a bucket a cell holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Totals,
    Funnel,
    Product(ProductId),
}

/// Names a cell.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CellId {
    pub(crate) bucket: Bucket,
    pub(crate) part: Part,
}

/// What is to be added to a cell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Cell {
    pub(crate) numbers: BTreeMap<Measure, u64>,
    /// Who is to be added to which sketch.
    pub(crate) people: BTreeMap<&'static str, BTreeSet<String>>,
}

impl CellId {
    /// The key of one of its items.
    pub(crate) fn key(&self, shard: u8) -> Key {
        let (pk, slot) = place(self.bucket);
        let sk = match &self.part {
            Part::Totals => format!("{TOTALS}{slot}#{shard}"),
            Part::Funnel => format!("{FUNNEL}{slot}#{shard}"),
            Part::Product(id) => format!("{PRODUCT}{slot}#{id}#{shard}"),
        };
        Key::new(pk, sk)
    }
}

/// What sort keys begin with, per part.
pub(super) const TOTALS: &str = "TOTALS#";
pub(super) const FUNNEL: &str = "FUNNEL#";
pub(super) const PRODUCT: &str = "PRODUCT#";

/// The partition of a bucket, and its place in there: an hour in its day, a day in its month.
pub(super) fn place(bucket: Bucket) -> (String, String) {
    let day = |date: Date| format!("{:04}-{:02}-{:02}", date.year(), date.month(), date.day());
    match bucket {
        Bucket::Hour(start) => {
            let start = start.to_zoned(TimeZone::UTC);
            (format!("HOURS#{}", day(start.date())), format!("{:02}", start.hour()))
        }
        Bucket::Day(date) => {
            let month = format!("DAYS#{:04}-{:02}", date.year(), date.month());
            (month, format!("{:02}", date.day()))
        }
    }
}

/// The numbers of an item; an attribute of unknown meaning is left out, and said so.
pub(super) fn numbers(item: &Item) -> Result<Vec<(Measure, u64)>, DbError> {
    let mut numbers = Vec::new();
    for (attribute, value) in item {
        let AttributeValue::N(number) = value else { continue };
        if let Some(measure) = Measure::parse(attribute) {
            numbers.push((measure, number.parse().map_err(unexpected)?));
        } else {
            tracing::warn!(attribute, "a figure of unknown meaning is left out");
        }
    }
    Ok(numbers)
}

/// The sketch of this attribute; an empty one where there is none.
pub(super) fn sketch(item: &Item, attribute: &str) -> Result<Sketch, DbError> {
    match item.get(attribute) {
        Some(AttributeValue::B(bytes)) => Sketch::from_bytes(bytes.as_ref()).map_err(unexpected),
        _ => Ok(Sketch::default()),
    }
}

pub(super) fn totals(item: &Item, _: &str) -> Result<Totals, DbError> {
    let mut totals = Totals { visitors: sketch(item, VISITORS)?, ..Totals::default() };
    for (measure, value) in numbers(item)? {
        match measure {
            Measure::Event(name) => totals.events.insert(name, value),
            Measure::Revenue(currency) => totals.revenue.insert(currency, value),
            Measure::Refunds(currency) => totals.refunds.insert(currency, value),
            Measure::Views | Measure::Carts | Measure::Units => None,
        };
    }
    Ok(totals)
}

pub(super) fn funnel(item: &Item, _: &str) -> Result<Funnel, DbError> {
    let mut funnel = Funnel::default();
    for (stage, attribute) in funnel.stages.iter_mut().zip(STAGES) {
        *stage = sketch(item, attribute)?;
    }
    Ok(funnel)
}

/// `rest` is what follows the place of the bucket in the sort key.
pub(super) fn product(item: &Item, rest: &str) -> Result<Products, DbError> {
    let id = rest.rsplit_once('#').map_or(rest, |(id, _)| id);
    let id = ProductId::try_from(id.to_owned()).map_err(unexpected)?;
    let mut figures = ProductFigures::default();
    for (measure, value) in numbers(item)? {
        match measure {
            Measure::Views => figures.views = value,
            Measure::Carts => figures.carts = value,
            Measure::Units => figures.units = value,
            Measure::Revenue(currency) => {
                figures.revenue.insert(currency, value);
            }
            Measure::Event(_) | Measure::Refunds(_) => {}
        }
    }
    Ok(Products([(id, figures)].into()))
}

pub(super) fn unexpected(error: impl std::fmt::Display) -> DbError {
    DbError::Format(serde::de::Error::custom(error))
}
