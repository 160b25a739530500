//! `cron(minutes hours day-of-month month day-of-week year)`, in UTC.
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html>

use anyhow::{Context as _, Result, bail, ensure};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};

const MONTHS: [&str; 12] =
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
/// The week begins on Sunday, which is day 1.
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
/// No date is longer away than the next 29th of February on a given weekday.
const SEARCH_DAYS: usize = 366 * 41;

/// When to fire. Each field lists its values; `None` of the two kinds of day is the one that is left open.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cron {
    minutes: Vec<i16>,
    hours: Vec<i16>,
    days: Option<Vec<i16>>,
    months: Vec<i16>,
    weekdays: Option<Vec<i16>>,
    years: Vec<i16>,
}

impl Cron {
    /// Reads what is between the brackets; an error names the field that is not understood.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let fields: Vec<_> = text.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays, years] = fields.as_slice() else {
            bail!("cron({text}) does not have six fields");
        };
        ensure!((*days == "?") != (*weekdays == "?"), "cron({text}): one of the two kinds of day must be ?");
        let day = |field: &str, last, names: &[&str]| {
            (field != "?").then(|| values(field, 1, last, names)).transpose()
        };
        Ok(Self {
            minutes: values(minutes, 0, 59, &[])?,
            hours: values(hours, 0, 23, &[])?,
            days: day(days, 31, &[])?,
            months: values(months, 1, 12, &MONTHS)?,
            weekdays: day(weekdays, 7, &WEEKDAYS)?,
            years: values(years, 1970, 2199, &[])?,
        })
    }

    /// The first time after this one; `None`: never again.
    pub(super) fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let now = after.to_zoned(TimeZone::UTC).datetime();
        let days = std::iter::successors(Some(now.date()), |date| date.tomorrow().ok()).take(SEARCH_DAYS);
        days.filter(|date| self.includes(*date)).find_map(|date| {
            let midnight = date.to_zoned(TimeZone::UTC).ok()?.timestamp();
            let times =
                self.hours.iter().flat_map(|hour| self.minutes.iter().map(move |minute| (hour, minute)));
            times
                .filter_map(|(hour, minute)| midnight.checked_add(hour.hours().minutes(*minute)).ok())
                .find(|time| *time > after)
        })
    }

    fn includes(&self, date: Date) -> bool {
        let weekday = i16::from(date.weekday().to_sunday_one_offset());
        self.years.contains(&date.year())
            && self.months.contains(&i16::from(date.month()))
            && self.days.as_ref().is_none_or(|days| days.contains(&i16::from(date.day())))
            && self.weekdays.as_ref().is_none_or(|weekdays| weekdays.contains(&weekday))
    }
}

/// `*`, `1`, `1-5`, `MON-FRI`, `1,3`, `*/5`, `0/15`; in ascending order.
fn values(field: &str, first: i16, last: i16, names: &[&str]) -> Result<Vec<i16>> {
    let number = |text: &str| {
        let name = names.iter().position(|name| name.eq_ignore_ascii_case(text));
        let number = name.and_then(|index| i16::try_from(index + 1).ok()).or_else(|| text.parse().ok());
        number
            .filter(|number| (first..=last).contains(number))
            .with_context(|| format!("infra/local does not understand {text} in a cron schedule"))
    };
    let mut all = Vec::new();
    for part in field.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(step)),
            None => (part, None),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (first, last),
            Some((from, to)) => (number(from)?, number(to)?),
            // `5/10`: from 5 on.
            None => (number(range)?, if step.is_some() { last } else { number(range)? }),
        };
        let step = match step {
            None => 1,
            Some(step) => {
                step.parse().ok().filter(|step| *step > 0).with_context(|| format!("{part}: no step"))?
            }
        };
        ensure!(from <= to, "{part} is empty");
        all.extend((from..=to).step_by(step));
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_fires_when_aws_does() {
        // A Sunday.
        let after = "2026-02-01T12:00:30Z".parse().unwrap();
        for (expression, expected) in [
            ("* * * * ? *", "2026-02-01T12:01:00Z"),
            ("0 2 * * ? *", "2026-02-02T02:00:00Z"),
            ("0/15 * * * ? *", "2026-02-01T12:15:00Z"),
            ("5,50 12 * * ? *", "2026-02-01T12:05:00Z"),
            ("0 8 ? * MON-FRI *", "2026-02-02T08:00:00Z"),
            ("0 8 ? * 1 *", "2026-02-08T08:00:00Z"),
            ("30 23 31 * ? *", "2026-03-31T23:30:00Z"),
            ("0 0 1 jan ? *", "2027-01-01T00:00:00Z"),
            ("0 0 29 2 ? *", "2028-02-29T00:00:00Z"),
            ("0 0 1 * ? 2030-2031", "2030-01-01T00:00:00Z"),
        ] {
            let next = Cron::parse(expression).unwrap().next(after);
            assert_eq!(next, Some(expected.parse().unwrap()), "{expression}");
        }
        assert_eq!(Cron::parse("0 0 1 1 ? 2026").unwrap().next(after), None, "never again");
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (expression, culprit) in [
            ("0 2 * * ?", "six fields"),
            ("0 2 * * * *", "?"),
            ("60 2 * * ? *", "60"),
            ("0 2 L * ? *", "L"),
            ("0 2 ? * 2#1 *", "2#1"),
            ("0/0 2 * * ? *", "0/0"),
            ("0 5-2 * * ? *", "5-2"),
        ] {
            let error = Cron::parse(expression).unwrap_err().to_string();
            assert!(error.contains(culprit), "{expression}: {error}");
        }
    }
}
