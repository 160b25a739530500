//! When a user wants to be left alone.

use jiff::Timestamp;
use jiff::ToSpan as _;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

/// From a time of day until another, which is on the next day where it is not later, by the clocks of a time zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct QuietHours {
    from: Time,
    to: Time,
    zone: TimeZone,
}

/// `{"from":"22:00","to":"07:00","time_zone":"Europe/Berlin"}`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
struct Wire {
    #[cfg_attr(feature = "openapi", schemars(extend("pattern" = "^([01][0-9]|2[0-3]):[0-5][0-9]$")))]
    from: String,
    #[cfg_attr(feature = "openapi", schemars(extend("pattern" = "^([01][0-9]|2[0-3]):[0-5][0-9]$")))]
    to: String,
    time_zone: String,
}

impl QuietHours {
    /// When they end, where `now` is in them.
    pub fn end(&self, now: Timestamp) -> Option<Timestamp> {
        let here = now.to_zoned(self.zone.clone());
        let time = here.time();
        let over_night = self.from > self.to;
        let quiet = if over_night {
            time >= self.from || time < self.to
        } else {
            time >= self.from && time < self.to
        };
        if !quiet {
            return None;
        }
        let day =
            if over_night && time >= self.from { here.date().saturating_add(1.day()) } else { here.date() };
        // Where clocks are set back, the time comes twice: the first may be over.
        let end = self.zone.to_ambiguous_zoned(day.to_datetime(self.to));
        let first = end.clone().compatible().ok().map(|end| end.timestamp());
        first.filter(|end| *end > now).or_else(|| end.later().ok().map(|end| end.timestamp()))
    }
}

fn time_of_day(text: &str) -> Option<Time> {
    let (hour, minute) = text.split_once(':')?;
    let two_digits = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    if !two_digits(hour) || !two_digits(minute) {
        return None;
    }
    Time::new(hour.parse().ok()?, minute.parse().ok()?, 0, 0).ok()
}

impl TryFrom<Wire> for QuietHours {
    type Error = &'static str;

    fn try_from(wire: Wire) -> Result<Self, Self::Error> {
        let time = |text: &str| time_of_day(text).ok_or("expected from and to as times such as 22:00");
        let (from, to) = (time(&wire.from)?, time(&wire.to)?);
        if from == to {
            return Err("expected from and to to differ");
        }
        let zone = TimeZone::get(&wire.time_zone).ok().filter(|zone| zone.iana_name().is_some());
        let zone = zone.ok_or("expected a time_zone of the IANA database such as Europe/Berlin")?;
        Ok(Self { from, to, zone })
    }
}

impl From<QuietHours> for Wire {
    fn from(hours: QuietHours) -> Self {
        let time = |time: Time| format!("{:02}:{:02}", time.hour(), time.minute());
        let zone = hours.zone.iana_name().unwrap_or("UTC").to_owned();
        Self { from: time(hours.from), to: time(hours.to), time_zone: zone }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn hours(from: &str, to: &str, zone: &str) -> QuietHours {
        serde_json::from_value(json!({ "from": from, "to": to, "time_zone": zone })).unwrap()
    }

    #[test]
    fn nights_end_in_the_morning_of_the_users_zone() {
        let night = hours("22:00", "07:00", "Europe/Berlin");
        for (now, end) in [
            ("2026-01-10T20:59:59Z", None),
            ("2026-01-10T21:00:00Z", Some("2026-01-11T06:00:00Z")),
            ("2026-01-11T05:59:59Z", Some("2026-01-11T06:00:00Z")),
            ("2026-01-11T06:00:00Z", None),
            ("2026-07-10T20:30:00Z", Some("2026-07-11T05:00:00Z")),
            // The night in which the clocks are set forward, and the one in which they are set back.
            ("2026-03-28T23:00:00Z", Some("2026-03-29T05:00:00Z")),
            ("2026-10-24T22:00:00Z", Some("2026-10-25T06:00:00Z")),
        ] {
            let end = end.map(|end| end.parse().unwrap());
            assert_eq!(night.end(now.parse().unwrap()), end, "{now}");
        }
        let noon = hours("12:00", "13:30", "Asia/Kolkata");
        assert_eq!(
            noon.end("2026-01-10T06:30:00Z".parse().unwrap()),
            Some("2026-01-10T08:00:00Z".parse().unwrap())
        );
        assert_eq!(noon.end("2026-01-10T08:00:00Z".parse().unwrap()), None);
    }

    #[test]
    fn an_end_that_comes_twice_or_never_is_still_ahead() {
        // 02:30 comes at 00:30Z and at 01:30Z.
        let back = hours("01:00", "02:30", "Europe/Berlin");
        for (now, end) in [
            ("2026-10-25T00:10:00Z", "2026-10-25T00:30:00Z"),
            ("2026-10-25T01:10:00Z", "2026-10-25T01:30:00Z"),
        ] {
            assert_eq!(back.end(now.parse().unwrap()), Some(end.parse().unwrap()), "{now}");
        }
        // There is no 02:30.
        let forward = back.end("2026-03-29T00:30:00Z".parse().unwrap()).unwrap();
        assert_eq!(forward, "2026-03-29T01:30:00Z".parse().unwrap());
    }

    #[test]
    fn what_makes_no_sense_is_refused_and_the_rest_is_kept_as_it_was_said() {
        let said = json!({ "from": "22:00", "to": "07:05", "time_zone": "America/New_York" });
        let hours: QuietHours = serde_json::from_value(said.clone()).unwrap();
        assert_eq!(serde_json::to_value(hours).unwrap(), said);
        for (from, to, zone) in [
            ("22:00", "22:00", "UTC"),
            ("24:00", "07:00", "UTC"),
            ("9:00", "10:00", "UTC"),
            ("09:60", "10:00", "UTC"),
            ("09:00:00", "10:00", "UTC"),
            ("+9:00", "10:00", "UTC"),
            ("09:00", "10:00", "Mars/Olympus"),
            ("09:00", "10:00", ""),
            ("09:00", "10:00", "+02:00"),
        ] {
            let wire = json!({ "from": from, "to": to, "time_zone": zone });
            serde_json::from_value::<QuietHours>(wire).unwrap_err();
        }
    }
}
