//! Who comes when and does what: a function of the options, the time and the products, and of nothing else.

#[cfg(test)]
mod tests;
mod visit;

use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::Options;
use super::dice::Dice;

/// Most users that are registered: each costs the time of two password hashes.
pub(super) const MOST_REGISTERED: usize = 60;
/// Which part of the shoppers has an account.
const REGISTERED: f64 = 0.3;
/// Most visits of one shopper.
const MOST_VISITS: usize = 10;
/// How soon before now the last visit of the past begins: none is cut off by the present.
const PAUSE: SignedDuration = SignedDuration::from_mins(45);

/// How busy the shop is at each hour, in UTC.
const HOURS: [f64; 24] = [
    2.0, 1.0, 1.0, 1.0, 1.0, 2.0, 4.0, 6.0, 7.0, 8.0, 8.0, 9.0, 10.0, 9.0, 8.0, 8.0, 9.0, 11.0, 13.0, 15.0,
    15.0, 12.0, 8.0, 4.0,
];

const FIRST_NAMES: [&str; 16] = [
    "ada", "ben", "chidi", "dana", "emre", "fatima", "goran", "hana", "ines", "jun", "kofi", "lea", "mateo",
    "noor", "olga", "priya",
];

/// What a browser says that it is; Analytics keeps the class alone. How many shoppers in ten have it.
pub(super) const BROWSERS: [(&str, f64); 3] = [
    (
        "Mozilla/5.0 (Linux; Android 16; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/150.0.0.0 Mobile Safari/537.36",
        5.0,
    ),
    ("Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0", 4.0),
    (
        "Mozilla/5.0 (iPad; CPU OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Safari/605.1.15",
        1.0,
    ),
];

/// A product of the shop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Product {
    pub(super) id: String,
    pub(super) name: String,
    /// Whether there were pieces left a moment ago.
    pub(super) available: bool,
}

/// Somebody with a browser.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shopper {
    /// What the browser calls them.
    pub(super) anonymous_id: String,
    /// Which of [`BROWSERS`] they have.
    pub(super) browser: usize,
    /// Visits in the past, first to last.
    pub(super) visits: Vec<Vec<Event>>,
    /// The account that they have, unless they are a stranger.
    pub(super) account: Option<Account>,
}

/// What only somebody with an account does, now.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Account {
    pub(super) username: String,
    /// What they do now, logged in.
    pub(super) visit: Vec<Event>,
    pub(super) purchase: Option<Purchase>,
}

/// An order and how it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Purchase {
    /// Product and number of pieces.
    pub(super) lines: Vec<(String, u32)>,
    pub(super) ending: Ending,
    /// Keys that let the order and the payment be sent again.
    pub(super) keys: [Uuid; 3],
}

/// How an order ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Paid,
    /// The first card was refused.
    PaidByAnotherCard,
    Declined,
    Abandoned,
    Cancelled,
    /// Paid, cancelled and refunded.
    Returned,
}

/// How many orders in a hundred end how.
const ENDINGS: [(Ending, f64); 6] = [
    (Ending::Paid, 64.0),
    (Ending::PaidByAnotherCard, 8.0),
    (Ending::Declined, 7.0),
    (Ending::Abandoned, 9.0),
    (Ending::Cancelled, 6.0),
    (Ending::Returned, 6.0),
];

/// Something that a browser reports.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Event {
    pub(super) name: &'static str,
    pub(super) id: Uuid,
    pub(super) at: Timestamp,
    pub(super) properties: Map<String, Value>,
}

impl Event {
    /// As `POST /events` takes it.
    pub(super) fn body(&self, anonymous_id: &str) -> Value {
        json!({
            "name": self.name,
            "id": self.id,
            "anonymous_id": anonymous_id,
            "at": self.at,
            "properties": self.properties,
        })
    }
}

/// Everything that will happen.
pub(super) fn plan(options: &Options, now: Timestamp, products: &[Product]) -> Vec<Shopper> {
    // Which products people like is the shop's, whoever comes; the rest is this run's alone.
    let mut popular = products.to_vec();
    Dice::new(options.seed, 0).shuffle(&mut popular);
    let run = u64::try_from(now.as_millisecond()).unwrap_or_default();
    let mut planner = Planner { dice: Dice::new(options.seed, run), now, days: options.days, popular };
    // Base 36 of the time: two runs have no user in common.
    let suffix = base36(run);
    let registered = (0..usize::from(options.users)).filter(|_| planner.dice.happens(REGISTERED));
    let mut registered = registered.take(MOST_REGISTERED).count();
    if registered == 0 {
        registered = 1;
    }
    (0..usize::from(options.users))
        .map(|number| planner.shopper(number < registered, &suffix, number))
        .collect()
}

struct Planner {
    dice: Dice,
    now: Timestamp,
    days: u8,
    /// The most popular first.
    popular: Vec<Product>,
}

impl Planner {
    fn shopper(&mut self, registered: bool, suffix: &str, number: usize) -> Shopper {
        let browser = self.dice.weighted(&BROWSERS.map(|(_, weight)| weight)).unwrap_or_default();
        let times = self.times();
        let visits = times.into_iter().map(|at| self.visit(at)).collect();
        let account = registered.then(|| {
            let name = self.dice.pick(&FIRST_NAMES).copied().unwrap_or("ada");
            let purchase = self.purchase();
            let visit = self.visit_now(purchase.as_ref());
            Account { username: format!("{name}-{suffix}-{number}"), visit, purchase }
        });
        let anonymous_id = self.dice.uuid().to_string();
        Shopper { anonymous_id, browser, visits, account }
    }

    /// When somebody visits: the shop grows, and who liked it returns, the sooner the likelier.
    fn times(&mut self) -> Vec<Timestamp> {
        let days = usize::from(self.days);
        let first: Vec<_> = (0..days).map(|day| self.weight(day) * growth(day, days)).collect();
        let first = self.dice.weighted(&first).unwrap_or_default();
        let loyalty = self.dice.fraction() * 0.6;
        let mut times: Vec<_> = self.time(first).into_iter().collect();
        for day in first + 1..days {
            let since = f64::from(u32::try_from(day - first).unwrap_or_default());
            let likely = loyalty * self.weight(day) * (-since / 12.0).exp();
            if times.len() < MOST_VISITS && self.dice.happens(likely) {
                times.extend(self.time(day));
            }
        }
        times.sort_unstable();
        times
    }

    /// How busy this of the days is, the last of which ends now.
    fn weight(&self, day: usize) -> f64 {
        match self.start(day).to_zoned(TimeZone::UTC).weekday() {
            Weekday::Saturday => 1.25,
            Weekday::Sunday => 1.35,
            Weekday::Friday => 1.05,
            _ => 0.9,
        }
    }

    fn start(&self, day: usize) -> Timestamp {
        let back = i64::from(self.days) - i64::try_from(day).unwrap_or_default();
        self.now - SignedDuration::from_hours(24 * back)
    }

    /// A time in this one of the days, by night less often than in the evening; `None` where it would be in the future.
    fn time(&mut self, day: usize) -> Option<Timestamp> {
        let start = self.start(day);
        let hour = usize::try_from(start.to_zoned(TimeZone::UTC).hour()).unwrap_or_default();
        let mut hours = HOURS;
        hours.rotate_left(hour);
        let hour = self.dice.weighted(&hours)?;
        let seconds = i64::try_from(hour).ok()? * 3600 + i64::from(self.dice.between(0, 3599));
        let at = start + SignedDuration::from_secs(seconds);
        (at <= self.now - PAUSE).then_some(at)
    }
}

/// Twice as many new shoppers at the end as at the beginning.
fn growth(day: usize, days: usize) -> f64 {
    let part = |n: usize| f64::from(u32::try_from(n).unwrap_or_default());
    1.0 + part(day) / part(days.max(1))
}

fn base36(mut number: u64) -> String {
    let mut digits = Vec::new();
    while number > 0 {
        digits.push(char::from_digit(u32::try_from(number % 36).unwrap_or_default(), 36).unwrap_or('0'));
        number /= 36;
    }
    digits.iter().rev().collect()
}
