//! `POST /events`.

pub(crate) mod reported;
#[cfg(test)]
mod tests;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::header::USER_AGENT;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::http::{Json, read_part};
use shared::problem::Problem;
use shared::token::Caller;

use reported::{Circumstances, Reported};

use crate::State as App;
use crate::model::{Device, Event};

/// How many events one request may bring.
const MAX_EVENTS: usize = 500;

/// The event is stored; the same answer whether it is new or was sent before.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "AcceptedEvent"))]
pub(crate) struct Accepted {
    id: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "EventBatch"))]
pub(crate) struct Batch {
    /// Each an event as one that is sent alone; one that is not is rejected, and the others are not.
    #[cfg_attr(feature = "openapi", schemars(length(min = 1, max = 500)))]
    events: Vec<Value>,
}

/// What became of each event of a batch, and how often.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(rename = "BatchReport"))]
pub(crate) struct Report {
    accepted: usize,
    duplicates: usize,
    rejected: usize,
    results: Vec<Outcome>,
}

#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
struct Outcome {
    index: usize,
    /// None where the event is rejected without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    status: Status,
    /// Why it is rejected.
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    /// The field that is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schemars(with = "String"))]
    field: Option<Value>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(inline, rename = "EventStatus"))]
enum Status {
    Accepted,
    Duplicate,
    Rejected,
}

/// Records an event, or those of a batch.
pub(crate) async fn post(
    State(app): State<App>,
    caller: Option<Caller>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Result<Response, Problem> {
    let agent = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let circumstances = Circumstances {
        now: app.clock.now(),
        user_id: caller.map(|caller| caller.user_id),
        device: Device::of(agent),
    };
    if body.get("events").is_some() {
        let report = batch(&app, &circumstances, read_part(body)?).await?;
        return Ok((StatusCode::ACCEPTED, Json(report)).into_response());
    }
    let event = read_part::<Reported>(body)?.event(&circumstances, &app.ids)?;
    let id = event.id.clone();
    app.analytics.add(&[event]).await?;
    Ok((StatusCode::ACCEPTED, Json(Accepted { id })).into_response())
}

/// Stores the good events of a batch, and says of each what became of it. A batch that is sent again after an error changes
/// nothing twice, provided that its events have ids.
async fn batch(app: &App, circumstances: &Circumstances, batch: Batch) -> Result<Report, Problem> {
    if !(1..=MAX_EVENTS).contains(&batch.events.len()) {
        let problem = Problem::bad_request(format!("expected 1 to {MAX_EVENTS} events"));
        return Err(problem.with("field", "events"));
    }
    let read = |part: Value| read_part::<Reported>(part)?.event(circumstances, &app.ids);
    let ids: Vec<Option<String>> =
        batch.events.iter().map(|part| part.get("id")?.as_str().map(str::to_owned)).collect();
    let read: Vec<Result<Event, Problem>> = batch.events.into_iter().map(read).collect();
    let good: Vec<Event> = read.iter().flatten().cloned().collect();
    let mut new = app.analytics.add(&good).await?.into_iter();

    let mut report = Report::default();
    for (index, (read, id)) in read.into_iter().zip(ids).enumerate() {
        let outcome = match read {
            Err(problem) => {
                report.rejected += 1;
                let detail = problem.what().map(str::to_owned);
                let field = problem.member("field").cloned();
                Outcome { index, id, status: Status::Rejected, detail, field }
            }
            Ok(event) => {
                let status = if new.next() == Some(true) { Status::Accepted } else { Status::Duplicate };
                match status {
                    Status::Accepted => report.accepted += 1,
                    _ => report.duplicates += 1,
                }
                Outcome { index, id: Some(event.id), status, detail: None, field: None }
            }
        };
        report.results.push(outcome);
    }
    Ok(report)
}
