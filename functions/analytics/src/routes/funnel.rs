//! `GET /analytics/funnel`.

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use shared::http::Query;
use shared::problem::Problem;

use crate::State as App;
use crate::figures::Funnel;
use crate::format::Format;
use crate::period::{Asked, Period};
use crate::report::{Report, Shown, share};
use crate::table::Cell;

/// What the stages are called, in the order of [`Funnel::stages`].
const NAMES: [&str; 4] = ["view", "cart", "order", "paid"];

/// How many people got how far.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "Funnel"))]
pub(crate) struct Stages {
    stages: [Step; 4],
}

#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "FunnelStage"))]
struct Step {
    #[cfg_attr(feature = "openapi", schemars(extend("enum" = NAMES)))]
    stage: &'static str,
    /// How many different people, about: see [`crate::sketch::Sketch`].
    #[cfg_attr(feature = "openapi", schemars(description = "How many different people, about."))]
    people: u64,
    /// How many that are for each of the stage before; above 1 where they came by another way, or looked before the period.
    of_previous: Option<f64>,
}

impl From<Funnel> for Stages {
    fn from(funnel: Funnel) -> Self {
        let mut previous = None;
        let mut names = NAMES.into_iter();
        let stages = funnel.stages.map(|sketch| {
            let people = sketch.estimate();
            let of_previous = previous.replace(people).and_then(|previous| share(people, previous));
            Step { stage: names.next().unwrap_or_default(), people, of_previous }
        });
        Self { stages }
    }
}

impl Shown for Stages {
    const HEADER: &'static [&'static str] = &["start", "metric", "key", "value", "currency"];

    fn rows(&self) -> Vec<Vec<Cell>> {
        let rows = self.stages.iter().flat_map(|Step { stage, people, of_previous }| {
            let people = ("people", Cell::Number(*people));
            let of_previous = ("of_previous", of_previous.map_or(Cell::Empty, Cell::Share));
            [people, of_previous]
                .map(|(metric, value)| vec![Cell::text(metric), Cell::text(*stage), value, Cell::Empty])
        });
        rows.collect()
    }
}

/// Counts who looked, who put something into a cart, who ordered and who paid. [`Report::read`] says what it costs.
pub(crate) async fn get(
    State(app): State<App>,
    Query(asked): Query<Asked>,
    format: Format,
) -> Result<Response, Problem> {
    let period = Period::new(asked, app.clock.now()).map_err(Problem::bad_request)?;
    let report = Report::read(&app.analytics, period, |funnel: Funnel| Stages::from(funnel)).await?;
    format.answer("analytics-funnel", report)
}
