//! `GET /analytics/timeseries`.

use axum::extract::State;
use axum::response::Response;
use shared::http::Query;
use shared::problem::Problem;

use crate::State as App;
use crate::figures::Totals;
use crate::format::Format;
use crate::period::{Asked, Granularity, Period};
use crate::report::Report;
use crate::routes::summary::Sums;

/// The figures of the summary, point by point: days unless asked otherwise. [`Report::read`] says what it costs.
pub(crate) async fn get(
    State(app): State<App>,
    Query(asked): Query<Asked>,
    format: Format,
) -> Result<Response, Problem> {
    let asked = Asked { granularity: asked.granularity.or(Some(Granularity::Day)), ..asked };
    let period = Period::new(asked, app.clock.now()).map_err(Problem::bad_request)?;
    let report = Report::read(&app.analytics, period, |totals: Totals| Sums::from(totals)).await?;
    format.answer("analytics-timeseries", report)
}
