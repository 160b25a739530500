//! `GET /analytics/cohorts`.

use axum::extract::State;
use axum::response::Response;
use jiff::ToSpan as _;
use jiff::civil::Date;
use serde::Serialize;
use shared::http::Query;
use shared::problem::Problem;

use crate::State as App;
use crate::bucket::day_of;
use crate::cohort::{Cohort, MAX_WEEKS_LATER, monday};
use crate::format::{Format, Tabular};
use crate::period::{Asked, Granularity};
use crate::report::share;
use crate::table::{Cell, Table};

const MAX_WEEKS: i64 = 53;

/// How many weeks there are without a `from`.
const DEFAULT_WEEKS: i64 = 8;

/// Who came back, by the week in which they first came.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub(crate) struct Retention {
    /// The Monday of the first week.
    from: Date,
    /// The Sunday of the last.
    to: Date,
    cohorts: Vec<Returning>,
}

#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "Cohort"))]
struct Returning {
    /// The Monday that it begins on.
    week: Date,
    /// How many people first came in it.
    people: u64,
    /// Each week since, that one included, as far as it has begun and is counted; none where nobody came.
    retained: Vec<Retained>,
}

#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
struct Retained {
    weeks_later: u32,
    people: u64,
    share: Option<f64>,
}

impl Returning {
    fn new(cohort: &Cohort, today: Date) -> Self {
        let active = |later| cohort.active.get(&later).copied().unwrap_or_default();
        let people = active(0);
        let last = if people == 0 { None } else { weeks_between(cohort.week, today).try_into().ok() };
        let retained = (0..=MAX_WEEKS_LATER).take_while(|later| last.is_some_and(|last: u32| *later <= last));
        let retained = retained.map(|weeks_later| {
            let there = active(weeks_later);
            Retained { weeks_later, people: there, share: share(there, people) }
        });
        Self { week: cohort.week, people, retained: retained.collect() }
    }
}

impl Tabular for Retention {
    fn table(&self) -> Table {
        let rows = self.cohorts.iter().flat_map(|week| {
            week.retained.iter().map(|retained| {
                vec![
                    Cell::text(week.week.to_string()),
                    Cell::Number(week.people),
                    Cell::Number(retained.weeks_later.into()),
                    Cell::Number(retained.people),
                    retained.share.map_or(Cell::Empty, Cell::Share),
                ]
            })
        });
        Table { header: &["week", "people", "weeks_later", "retained", "share"], rows: rows.collect() }
    }
}

/// The weeks that are asked for, by the Mondays of the first and the last.
fn weeks(asked: &Asked, today: Date) -> Result<(Date, Date), String> {
    if asked.granularity.is_some_and(|granularity| granularity != Granularity::Week) {
        return Err("cohorts are kept per week: granularity can only be week".to_owned());
    }
    if asked.time_zone.as_ref().is_some_and(|zone| !zone.eq_ignore_ascii_case("UTC")) {
        return Err("cohorts are kept per week of UTC: time_zone can only be UTC".to_owned());
    }
    let to = asked.to.map_or(today, |day| day.0);
    let from = asked.from.map_or_else(|| to.saturating_sub((DEFAULT_WEEKS - 1).weeks()), |day| day.0);
    if from > to {
        return Err("from must not be after to".to_owned());
    }
    let (first, last) = (monday(from), monday(to));
    if weeks_between(first, last) >= MAX_WEEKS {
        return Err(format!("from and to must be of at most {MAX_WEEKS} weeks, both included"));
    }
    Ok((first, last))
}

/// How many weeks the week of `day` is after that of the Monday.
fn weeks_between(monday: Date, day: Date) -> i64 {
    (monday.duration_until(day).as_hours() / 24).div_euclid(7)
}

/// Says who came back. One query per week, of at most some 100 small items.
pub(crate) async fn get(
    State(app): State<App>,
    Query(asked): Query<Asked>,
    format: Format,
) -> Result<Response, Problem> {
    let today = day_of(app.clock.now());
    let (first, last) = weeks(&asked, today).map_err(Problem::bad_request)?;
    let cohorts = app.analytics.cohorts(first, last).await?;
    let cohorts = cohorts.iter().map(|cohort| Returning::new(cohort, today)).collect();
    let cohorts = Retention { from: first, to: last.saturating_add(6.days()), cohorts };
    format.answer("analytics-cohorts", cohorts)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::period::Day;

    fn date(text: &str) -> Date {
        text.parse().unwrap()
    }

    #[test]
    fn weeks_run_from_monday_to_sunday_whatever_the_days() {
        let day = |text: &str| Some(Day(date(text)));
        let asked = |from, to| Asked { from, to, ..Asked::default() };
        let weeks = |asked: Asked| weeks(&asked, date("2026-03-04"));
        let both = |first, last| Ok((date(first), date(last)));
        assert_eq!(weeks(asked(None, None)), both("2026-01-12", "2026-03-02"));
        assert_eq!(weeks(asked(day("2026-01-11"), day("2026-01-12"))), both("2026-01-05", "2026-01-12"));
        assert_eq!(weeks(asked(day("2026-01-05"), day("2026-01-11"))), both("2026-01-05", "2026-01-05"));
        assert_eq!(weeks(asked(day("2025-03-03"), None)), both("2025-03-03", "2026-03-02"));
        weeks(asked(day("2025-03-02"), None)).unwrap_err();
        weeks(asked(day("2026-03-05"), None)).unwrap_err();
        weeks(asked(None, day("9999-12-31"))).unwrap();
    }

    #[test]
    fn a_week_in_which_nobody_came_back_is_a_zero_and_one_that_has_not_begun_is_none() {
        let shown = |week: &str, active: &[(u32, u64)], today: &str| {
            let cohort = Cohort { week: date(week), active: active.iter().copied().collect() };
            serde_json::to_value(Returning::new(&cohort, date(today))).unwrap()
        };
        assert_eq!(
            shown("2026-01-05", &[(0, 3), (2, 1)], "2026-01-19"),
            json!({
                "week": "2026-01-05",
                "people": 3,
                "retained": [
                    { "weeks_later": 0, "people": 3, "share": 1.0 },
                    { "weeks_later": 1, "people": 0, "share": 0.0 },
                    { "weeks_later": 2, "people": 1, "share": 0.3333 },
                ],
            })
        );
        let count =
            |week: &str, today: &str| shown(week, &[(0, 3)], today)["retained"].as_array().map(Vec::len);
        assert_eq!(count("2026-01-05", "2026-01-18"), Some(2));
        assert_eq!(count("2026-01-05", "2027-06-01"), Some(27), "half a year is counted");
        assert_eq!(count("2026-01-05", "2026-01-04"), Some(0), "a clock that went back");
        assert_eq!(shown("2026-01-05", &[], "2026-01-19")["retained"], json!([]));
    }
}
