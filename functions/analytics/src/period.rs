//! The time that a question is about: days in a time zone, cut into points, each covered exactly by the buckets that figures
//! are kept for. Pure.

use std::collections::BTreeSet;

use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _, Zoned};
use serde::{Deserialize, Serialize};

use crate::bucket::Bucket;

/// The longest period, in days.
const MAX_DAYS: i64 = 366;

/// The longest period that is cut into hours, in days.
const MAX_DAYS_OF_HOURS: i64 = 31;

/// A day written as `YYYY-MM-DD`, and in no other of the ways that ISO 8601 knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(inline, extend("format" = "date", "pattern" = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$")))]
pub struct Day(pub Date);

impl TryFrom<String> for Day {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let day = text.parse::<Date>().ok().filter(|day| day.to_string() == text && text.len() == 10);
        day.map(Self).ok_or("from and to must be days written as YYYY-MM-DD")
    }
}

/// How long a point is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(inline))]
pub enum Granularity {
    /// An hour.
    Hour,
    /// A day of the time zone; 23 or 25 hours where its clocks change.
    Day,
    /// From Monday on.
    Week,
    /// A month of the calendar.
    Month,
}

/// What a client asks for. Without `from`, the 7 days up to `to`; without `to`, up to today.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Asked {
    /// The first day.
    pub from: Option<Day>,
    /// The last.
    pub to: Option<Day>,
    /// How long the points are; no points without it.
    pub granularity: Option<Granularity>,
    /// The IANA name of the time zone that the days are days of; UTC without it.
    pub time_zone: Option<String>,
}

/// Time from a full hour, in UTC, to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// When it begins, in the time zone asked for.
    pub start: Zoned,
    /// When the next one begins.
    pub end: Zoned,
}

impl Stretch {
    /// The fewest buckets that cover it, each moment once: the UTC days that lie in it, and the hours around them.
    pub fn buckets(&self) -> BTreeSet<Bucket> {
        let end = self.end.timestamp();
        let mut at = self.start.timestamp();
        let mut buckets = BTreeSet::new();
        while at < end {
            let [hour, day] = Bucket::of(at);
            let bucket = if day.start() == at && day.end() <= end { day } else { hour };
            buckets.insert(bucket);
            at = bucket.end();
        }
        buckets
    }
}

/// Days of a time zone, and the points that they are cut into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period {
    /// The first day.
    pub from: Date,
    /// The last.
    pub to: Date,
    /// The name of the time zone.
    pub time_zone: String,
    /// How long the points are, where there are any.
    pub granularity: Option<Granularity>,
    /// From the first moment of the first day to the last moment of the last.
    pub whole: Stretch,
    /// The parts of it, in order, each as long as `granularity` says; the first and the last may lack what lies outside of the
    /// period. None without a granularity.
    pub points: Vec<Stretch>,
}

impl Period {
    /// The period that is asked for at the time `now`; otherwise why there is none.
    pub fn new(asked: Asked, now: Timestamp) -> Result<Self, String> {
        let (zone, time_zone) = zone(asked.time_zone)?;
        let to = asked.to.map_or_else(|| now.to_zoned(zone.clone()).date(), |day| day.0);
        let from = asked.from.map_or_else(|| to.saturating_sub(6.days()), |day| day.0);
        check_length(from, to, asked.granularity)?;
        let whole = to
            .tomorrow()
            .and_then(|next| Ok(Stretch { start: midnight(from, &zone)?, end: midnight(next, &zone)? }))
            .map_err(|_| "from and to must be days that have a beginning and an end".to_owned())?;
        let points = match asked.granularity {
            None => Vec::new(),
            Some(granularity) => points(from, to, &whole, granularity),
        };
        if !is_in_hours(&whole, &points) {
            return Err(format!(
                "figures are kept per UTC hour, and in these days the time of {time_zone} is not always whole hours off UTC"
            ));
        }
        Ok(Self { from, to, time_zone, granularity: asked.granularity, whole, points })
    }
}

fn zone(name: Option<String>) -> Result<(TimeZone, String), String> {
    let Some(name) = name else { return Ok((TimeZone::UTC, "UTC".to_owned())) };
    let zone = TimeZone::get(&name).ok().filter(|zone| !zone.is_unknown());
    // Names are found in whatever case, and answered as IANA writes them.
    let zone = zone.and_then(|zone| zone.iana_name().map(ToOwned::to_owned).map(|name| (zone, name)));
    zone.ok_or_else(|| {
        format!("the time zone {name:?} is not known: expected an IANA name, such as Europe/Berlin")
    })
}

fn check_length(from: Date, to: Date, granularity: Option<Granularity>) -> Result<(), String> {
    if from > to {
        return Err("from must not be after to".to_owned());
    }
    let days = from.duration_until(to).as_hours() / 24 + 1;
    if days > MAX_DAYS {
        return Err(format!("from and to must span at most {MAX_DAYS} days, both included"));
    }
    if granularity == Some(Granularity::Hour) && days > MAX_DAYS_OF_HOURS {
        return Err(format!("hours are given for at most {MAX_DAYS_OF_HOURS} days, both included"));
    }
    Ok(())
}

/// The first moment of a day, which need not be 00:00, for clocks change at midnight too.
fn midnight(day: Date, zone: &TimeZone) -> Result<Zoned, jiff::Error> {
    day.to_zoned(zone.clone())?.start_of_day()
}

fn points(from: Date, to: Date, whole: &Stretch, granularity: Granularity) -> Vec<Stretch> {
    let zone = whole.start.time_zone();
    let starts_point = |day: &Date| match granularity {
        Granularity::Hour => false,
        Granularity::Day => true,
        Granularity::Week => day.weekday() == Weekday::Monday,
        Granularity::Month => day.day() == 1,
    };
    let mut bounds = vec![whole.start.clone()];
    if granularity == Granularity::Hour {
        let hours = whole.start.timestamp().series(1.hour()).skip(1);
        let inside = hours.take_while(|at| *at < whole.end.timestamp());
        bounds.extend(inside.map(|at| at.to_zoned(zone.clone())));
    } else {
        let days = from.series(1.day()).skip(1).take_while(|day| *day <= to).filter(starts_point);
        bounds.extend(days.filter_map(|day| midnight(day, zone).ok()));
    }
    bounds.push(whole.end.clone());
    // A day that a zone left out when it moved over the date line is no point: it begins when the next one does.
    let pairs = bounds.windows(2).filter(|pair| pair[0] < pair[1]);
    pairs.map(|pair| Stretch { start: pair[0].clone(), end: pair[1].clone() }).collect()
}

/// Whether every point begins and ends with an hour of UTC, and the hours of the zone are those of UTC throughout.
fn is_in_hours(whole: &Stretch, points: &[Stretch]) -> bool {
    let hour = SignedDuration::from_hours(1).as_secs();
    let zone = whole.start.time_zone();
    let changes = zone.following(whole.start.timestamp());
    let mut offsets = changes
        .take_while(|change| change.timestamp() < whole.end.timestamp())
        .map(|change| change.offset())
        .chain([whole.start.offset()]);
    let mut bounds = points.iter().chain([whole]).flat_map(|part| [&part.start, &part.end]);
    offsets.all(|offset| i64::from(offset.seconds()) % hour == 0)
        && bounds.all(|bound| bound.timestamp().as_second() % hour == 0)
}

#[cfg(test)]
mod tests;
