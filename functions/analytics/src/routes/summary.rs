//! `GET /analytics/summary`.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use shared::http::Query;
use shared::money::{Currency, Money};
use shared::problem::Problem;

use crate::State as App;
use crate::figures::Totals;
use crate::format::Format;
use crate::period::{Asked, Period};
use crate::report::{Report, Shown};
use crate::table::Cell;

/// What happened, who came, and what was earned.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "Figures"))]
pub(crate) struct Sums {
    /// How many different people, about: see [`crate::sketch::Sketch`].
    #[cfg_attr(feature = "openapi", schemars(description = "How many different people, about."))]
    visitors: u64,
    /// How often each event of clients happened.
    events: BTreeMap<String, u64>,
    /// How often each thing happened to an order.
    orders: BTreeMap<String, u64>,
    /// What was earned, per currency; refunds are not taken off, for they may be of another time.
    revenue: Vec<Money>,
    /// What was paid back, per currency.
    refunds: Vec<Money>,
}

impl From<Totals> for Sums {
    fn from(totals: Totals) -> Self {
        let (mut events, mut orders) = (BTreeMap::new(), BTreeMap::new());
        for (name, count) in totals.events {
            match name.as_str().strip_prefix("order_") {
                Some(kind) => orders.insert(kind.to_owned(), count),
                None => events.insert(name.into(), count),
            };
        }
        let visitors = totals.visitors.estimate();
        Self { visitors, events, orders, revenue: money(&totals.revenue), refunds: money(&totals.refunds) }
    }
}

impl Shown for Sums {
    const HEADER: &'static [&'static str] = &["start", "metric", "key", "value", "currency"];

    fn rows(&self) -> Vec<Vec<Cell>> {
        let counts = |metric: &'static str, counts: &BTreeMap<String, u64>| {
            let row = |(key, count): (&String, &u64)| {
                vec![Cell::text(metric), Cell::text(key), Cell::Number(*count), Cell::Empty]
            };
            counts.iter().map(row).collect::<Vec<_>>()
        };
        let amounts = |metric: &'static str, amounts: &[Money]| {
            let row = |money: &Money| {
                let currency = Cell::text(money.currency);
                vec![Cell::text(metric), Cell::Empty, Cell::Number(money.amount), currency]
            };
            amounts.iter().map(row).collect::<Vec<_>>()
        };
        let visitors = vec![Cell::text("visitors"), Cell::Empty, Cell::Number(self.visitors), Cell::Empty];
        [
            vec![visitors],
            counts("event", &self.events),
            counts("order", &self.orders),
            amounts("revenue_minor", &self.revenue),
            amounts("refunds_minor", &self.refunds),
        ]
        .concat()
    }
}

/// Amounts, in the order of their currencies.
pub(crate) fn money(amounts: &BTreeMap<Currency, u64>) -> Vec<Money> {
    amounts.iter().map(|(currency, amount)| Money::new(*amount, *currency)).collect()
}

/// Sums up the period, and its points where a granularity is asked for. [`Report::read`] says what it costs.
pub(crate) async fn get(
    State(app): State<App>,
    Query(asked): Query<Asked>,
    format: Format,
) -> Result<Response, Problem> {
    let period = Period::new(asked, app.clock.now()).map_err(Problem::bad_request)?;
    let report = Report::read(&app.analytics, period, |totals: Totals| Sums::from(totals)).await?;
    format.answer("analytics-summary", report)
}
