//! The stretches of time that figures are kept for: every hour, and every day, in UTC.

use jiff::Timestamp;
use jiff::ToSpan as _;
use jiff::civil::Date;
use jiff::tz::TimeZone;

/// The day of a time, in UTC.
pub fn day_of(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

/// An hour or a day in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Bucket {
    /// The hour that begins then.
    Hour(Timestamp),
    /// The day.
    Day(Date),
}

impl Bucket {
    /// The two buckets that something at this time belongs to: its hour and its day.
    pub fn of(at: Timestamp) -> [Self; 2] {
        let second = at.as_second();
        // Truncating a time that exists cannot leave the range of times.
        let hour = Timestamp::from_second(second - second.rem_euclid(3600)).unwrap_or(at);
        [Self::Hour(hour), Self::Day(day_of(at))]
    }

    /// When it begins.
    pub fn start(self) -> Timestamp {
        match self {
            Self::Hour(start) => start,
            Self::Day(day) => {
                day.at(0, 0, 0, 0).to_zoned(TimeZone::UTC).map_or(Timestamp::MIN, |at| at.timestamp())
            }
        }
    }

    /// When the next one begins.
    pub fn end(self) -> Timestamp {
        let length = match self {
            Self::Hour(_) => 1.hour(),
            Self::Day(_) => 24.hours(),
        };
        self.start().saturating_add(length).unwrap_or(Timestamp::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_belongs_to_its_hour_and_its_day() {
        let at: Timestamp = "2026-01-31T23:59:59.999Z".parse().unwrap();
        let [hour, day] = Bucket::of(at);
        assert_eq!(hour.start().to_string(), "2026-01-31T23:00:00Z");
        assert_eq!(day, Bucket::Day("2026-01-31".parse().unwrap()));
        assert_eq!((hour.end(), day.end()), (day.end(), "2026-02-01T00:00:00Z".parse().unwrap()));
        let before = "1969-12-31T23:30:00Z".parse().unwrap();
        assert_eq!(Bucket::of(before)[0].start().to_string(), "1969-12-31T23:00:00Z");
    }
}
