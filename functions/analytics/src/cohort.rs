//! Who comes back: of the people who first came in a week, how many were there again some weeks later. Pure.

use std::collections::{BTreeMap, BTreeSet};

use jiff::ToSpan as _;
use jiff::civil::{Date, Weekday};

/// A person counts up to this many weeks after their first: half a year. It bounds what is kept of one person, and one
/// transaction holds every change of it.
pub const MAX_WEEKS_LATER: u32 = 26;

/// The people who first came in one week.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cohort {
    /// The Monday, in UTC, that the week begins on.
    pub week: Date,
    /// How many of them were active so many weeks later; 0 weeks later are all of them.
    pub active: BTreeMap<u32, u64>,
}

/// The weeks, by their Mondays, that a person was active in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Weeks(BTreeSet<Date>);

/// What is counted: the week of the cohort, and how many weeks later.
pub(crate) type CohortCell = (Date, u32);

/// The Monday of a day's week.
pub fn monday(day: Date) -> Date {
    day.saturating_sub(i64::from(day.weekday().since(Weekday::Monday)).days())
}

impl Weeks {
    /// Adds weeks. What lies too far behind the first week counts nowhere and is left out: as the first week only ever
    /// becomes an earlier one, the outcome does not depend on the order of adding.
    pub fn add(&mut self, weeks: impl IntoIterator<Item = Date>) {
        self.0.extend(weeks.into_iter().map(monday));
        if let Some(first) = self.0.first().copied() {
            self.0.retain(|week| later(first, *week) <= MAX_WEEKS_LATER);
        }
    }

    /// The Mondays.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Date> {
        self.0.iter().copied()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Where the person counts: a function of the weeks alone.
    pub(crate) fn cells(&self) -> impl Iterator<Item = CohortCell> {
        let first = self.0.first().copied();
        self.0.iter().filter_map(move |week| first.map(|first| (first, later(first, *week))))
    }
}

impl FromIterator<Date> for Weeks {
    fn from_iter<I: IntoIterator<Item = Date>>(weeks: I) -> Self {
        let mut all = Self::default();
        all.add(weeks);
        all
    }
}

/// What to add to the cells when these people's weeks change from `before` to `after`.
pub(crate) fn change<'a>(
    before: impl IntoIterator<Item = &'a Weeks>,
    after: impl IntoIterator<Item = &'a Weeks>,
) -> BTreeMap<CohortCell, i64> {
    let mut cells = BTreeMap::new();
    for cell in after.into_iter().flat_map(Weeks::cells) {
        *cells.entry(cell).or_default() += 1;
    }
    for cell in before.into_iter().flat_map(Weeks::cells) {
        *cells.entry(cell).or_default() -= 1;
    }
    cells.retain(|_, by| *by != 0);
    cells
}

/// How many weeks after `first` the week is.
fn later(first: Date, week: Date) -> u32 {
    u32::try_from(first.duration_until(week).as_hours() / (7 * 24)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn week(n: i64) -> Date {
        let first: Date = "2026-01-05".parse().unwrap();
        first.saturating_add((7 * n).days())
    }

    #[test]
    fn weeks_begin_on_monday() {
        for (day, begins) in [
            ("2026-01-05", "2026-01-05"),
            ("2026-01-11", "2026-01-05"),
            ("2026-01-04", "2025-12-29"),
            ("-009999-01-01", "-009999-01-01"),
        ] {
            assert_eq!(monday(day.parse().unwrap()), begins.parse().unwrap(), "{day}");
        }
    }

    #[test]
    fn a_person_counts_in_the_cohort_of_the_first_week_once_per_week_up_to_half_a_year_later() {
        let weeks: Weeks = [week(3), week(0), week(3), week(26), week(27), week(100)].into_iter().collect();
        assert_eq!(weeks.cells().collect::<Vec<_>>(), [(week(0), 0), (week(0), 3), (week(0), 26)]);
    }

    #[test]
    fn cells_are_the_same_in_whatever_order_and_portions_weeks_come() {
        // Every order of five weeks, two of which are too far apart from the first, added one by one or joined.
        let all = [0, 2, 26, 28, 30].map(week);
        for order in 0..120_usize {
            let (mut left, mut rest) = (all.to_vec(), order);
            let mut cells = BTreeMap::new();
            let mut known = Weeks::default();
            for of in (1..=5).rev() {
                let next = left.remove(rest % of);
                rest /= of;
                let before = known.clone();
                known.add([next]);
                for (cell, by) in change([&before], [&known]) {
                    *cells.entry(cell).or_insert(0) += by;
                }
            }
            cells.retain(|_, people| *people != 0);
            assert_eq!(cells, change([], [&all.into_iter().collect()]), "{order}");
        }
    }

    #[test]
    fn a_visitor_who_turns_out_to_be_a_known_user_is_one_person() {
        let (visitor, user): (Weeks, Weeks) =
            ([week(0), week(2)].into_iter().collect(), [week(1)].into_iter().collect());
        let mut both = user.clone();
        both.add(visitor.iter());
        assert_eq!(change([&visitor, &user], [&both]), [((week(1), 0), -1), ((week(0), 1), 1)].into());
    }
}
