use super::*;

fn date(text: &str) -> Date {
    text.parse().unwrap()
}

fn period(from: &str, to: &str, granularity: Option<Granularity>, zone: &str) -> Result<Period, String> {
    let asked = Asked {
        from: Some(Day(date(from))),
        to: Some(Day(date(to))),
        granularity,
        time_zone: Some(zone.to_owned()),
    };
    Period::new(asked, Timestamp::UNIX_EPOCH)
}

/// Panics unless the buckets cover the stretch, each moment once; gives how many there are.
fn check(stretch: &Stretch) -> usize {
    let mut buckets: Vec<_> = stretch.buckets().into_iter().collect();
    buckets.sort_by_key(|bucket| bucket.start());
    let mut at = stretch.start.timestamp();
    for bucket in &buckets {
        assert_eq!(bucket.start(), at, "neither a gap nor an overlap: {stretch:?}");
        at = bucket.end();
    }
    assert_eq!(at, stretch.end.timestamp(), "{stretch:?}");
    let hours = buckets.iter().filter(|bucket| matches!(bucket, Bucket::Hour(_)));
    assert!(hours.count() <= 46, "as few as possible: {stretch:?}");
    buckets.len()
}

const ZONES: [&str; 16] = [
    "UTC",
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/Los_Angeles",
    "America/Sao_Paulo",
    "America/Havana",
    "America/Santiago",
    "Asia/Tokyo",
    "Asia/Beirut",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Atlantic/Azores",
    "Pacific/Auckland",
    "Pacific/Kiritimati",
    "Etc/GMT+12",
];

#[test]
fn the_buckets_of_any_period_in_any_zone_cover_it_and_its_points_exactly() {
    // Every day of two years begins a period, so that all changes of clocks are within and at the edges of some.
    for zone in ZONES {
        for (offset, from) in date("2024-12-28").series(1.day()).take(730).enumerate() {
            let length = [0, 1, 2, 6, 9, 30][offset % 6];
            let to = from.saturating_add(length.days());
            let granularity =
                [Granularity::Hour, Granularity::Day, Granularity::Week, Granularity::Month][offset % 4];
            let period = period(&from.to_string(), &to.to_string(), Some(granularity), zone).unwrap();
            check(&period.whole);
            let mut at = period.whole.start.clone();
            for point in &period.points {
                assert_eq!(point.start, at);
                check(point);
                at = point.end.clone();
            }
            assert_eq!(at, period.whole.end);
            assert_eq!(period.whole.start.date(), from);
        }
    }
}

#[test]
fn a_year_of_utc_is_its_days() {
    let year = period("2024-01-01", "2024-12-31", None, "UTC").unwrap();
    assert_eq!(check(&year.whole), 366);
    let year = period("2025-01-01", "2025-12-31", None, "Europe/Berlin").unwrap();
    assert_eq!(
        check(&year.whole),
        364 + 1 + 23,
        "23:00 of the day before, 364 days, and 23 hours of the last"
    );
}

#[test]
fn days_on_which_clocks_change_have_23_or_25_hours() {
    for (day, zone, hours, starts) in [
        ("2026-03-29", "Europe/Berlin", 23, ["2026-03-29T00:00:00+01:00", "2026-03-29T03:00:00+02:00"]),
        ("2026-10-25", "Europe/Berlin", 25, ["2026-10-25T00:00:00+02:00", "2026-10-25T02:00:00+02:00"]),
        ("2026-03-08", "America/New_York", 23, ["2026-03-08T00:00:00-05:00", "2026-03-08T03:00:00-04:00"]),
        ("2026-11-01", "America/New_York", 25, ["2026-11-01T00:00:00-04:00", "2026-11-01T02:00:00-05:00"]),
        // There is no 00:00 on this day.
        ("2026-09-06", "America/Santiago", 23, ["2026-09-06T01:00:00-03:00", "2026-09-06T03:00:00-03:00"]),
        ("2026-04-01", "Asia/Tokyo", 24, ["2026-04-01T00:00:00+09:00", "2026-04-01T02:00:00+09:00"]),
    ] {
        let period = period(day, day, Some(Granularity::Hour), zone).unwrap();
        let text = |point: &Stretch| point.start.strftime("%FT%T%:z").to_string();
        assert_eq!(period.points.len(), hours, "{zone}");
        assert_eq!(check(&period.whole), hours, "{zone}");
        assert_eq!(text(&period.points[0]), starts[0]);
        assert!(period.points.iter().map(text).any(|start| start == starts[1]), "{zone}");
    }
}

#[test]
fn weeks_begin_on_mondays_and_months_on_their_first_and_both_are_cut_at_the_edges() {
    let starts = |granularity| {
        let period = period("2026-01-28", "2026-03-02", Some(granularity), "Europe/Berlin").unwrap();
        period.points.iter().map(|point| point.start.date().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(
        starts(Granularity::Week),
        ["2026-01-28", "2026-02-02", "2026-02-09", "2026-02-16", "2026-02-23", "2026-03-02"]
    );
    assert_eq!(starts(Granularity::Month), ["2026-01-28", "2026-02-01", "2026-03-01"]);
    assert_eq!(starts(Granularity::Day).len(), 34);
}

#[test]
fn what_is_not_asked_for_is_the_last_seven_days_there() {
    let now = "2026-01-01T02:00:00Z".parse().unwrap();
    let asked = |zone: Option<&str>| Asked { time_zone: zone.map(str::to_owned), ..Asked::default() };
    let utc = Period::new(asked(None), now).unwrap();
    assert_eq!((utc.from, utc.to, utc.time_zone.as_str()), (date("2025-12-26"), date("2026-01-01"), "UTC"));
    assert!(utc.points.is_empty());
    let there = Period::new(asked(Some("america/new_york")), now).unwrap();
    assert_eq!((there.to, there.time_zone.as_str()), (date("2025-12-31"), "America/New_York"));
}

#[test]
fn periods_that_are_too_long_or_no_whole_hours_are_refused_with_the_reason() {
    let hour = Some(Granularity::Hour);
    for (from, to, granularity, zone, reason) in [
        ("2026-01-02", "2026-01-01", None, "UTC", "from must not be after to"),
        ("2026-01-01", "2027-01-02", None, "UTC", "at most 366 days"),
        ("2026-01-01", "2026-02-01", hour, "UTC", "at most 31 days"),
        ("2026-01-01", "2026-01-01", None, "Europe/Atlantis", "\"Europe/Atlantis\" is not known"),
        ("2026-01-01", "2026-01-01", None, "", "\"\" is not known"),
        ("2026-01-01", "2026-01-01", None, "Etc/Unknown", "is not known"),
        ("2026-01-01", "2026-01-01", None, "Asia/Kolkata", "per UTC hour"),
        ("2026-01-01", "2026-01-01", None, "America/St_Johns", "per UTC hour"),
        // Eleven hours off UTC at both ends, ten and a half between.
        ("2026-04-01", "2026-10-31", None, "Australia/Lord_Howe", "per UTC hour"),
        // 53 minutes and 28 seconds, until 1893.
        ("1890-01-01", "1890-01-01", None, "Europe/Berlin", "per UTC hour"),
        ("9999-12-31", "9999-12-31", None, "UTC", "a beginning and an end"),
    ] {
        let refused = period(from, to, granularity, zone).unwrap_err();
        assert!(refused.contains(reason), "{zone}: {refused}");
    }
    period("2026-01-01", "2027-01-01", None, "UTC").unwrap();
    period("2026-01-01", "2026-01-31", hour, "UTC").unwrap();
    period("2026-01-01", "2026-01-31", hour, "Australia/Lord_Howe").unwrap();
    period("0000-01-01", "0000-01-01", None, "UTC").unwrap();
}

#[test]
fn a_day_that_a_zone_left_out_is_no_point() {
    let period = period("2011-12-29", "2011-12-31", Some(Granularity::Day), "Pacific/Apia").unwrap();
    let days: Vec<_> = period.points.iter().map(|point| point.start.date().to_string()).collect();
    assert_eq!(days, ["2011-12-29", "2011-12-31"]);
    check(&period.whole);
}

#[test]
fn days_are_written_in_one_way_only() {
    for bad in ["yesterday", "", "2026-1-1", "20260101", "2026-01-01T00:00:00", "-009999-01-01", "2026-02-30"]
    {
        Day::try_from(bad.to_owned()).unwrap_err();
    }
    assert_eq!(Day::try_from("2026-02-28".to_owned()), Ok(Day(date("2026-02-28"))));
}
