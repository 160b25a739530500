//! `GET /analytics/summary`.

use axum::extract::State;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use shared::http::{Json, Query};
use shared::problem::Problem;

use crate::State as App;
use crate::model::{Days, Sums, day_of};

/// Which days: the last 7 unless said otherwise, at most 31, in UTC.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Range {
    from: Option<Day>,
    to: Option<Day>,
}

/// A day written as `YYYY-MM-DD`, and in no other of the ways that ISO 8601 knows.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
struct Day(Date);

impl TryFrom<String> for Day {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let day = text.parse::<Date>().ok().filter(|day| day.to_string() == text && text.len() == 10);
        day.map(Self).ok_or("from and to must be days written as YYYY-MM-DD")
    }
}

/// What happened, in all and per day.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    from: Date,
    to: Date,
    total: Sums,
    days: Vec<DaySums>,
}

#[derive(Debug, Serialize)]
struct DaySums {
    date: Date,
    #[serde(flatten)]
    sums: Sums,
}

/// Sums up from the daily counters, so that the cost does not grow with the number of events.
pub(crate) async fn get(
    State(app): State<App>,
    Query(range): Query<Range>,
) -> Result<Json<Summary>, Problem> {
    let (from, to) = (range.from.map(|day| day.0), range.to.map(|day| day.0));
    let days = Days::new(from, to, day_of(app.clock.now())).map_err(Problem::bad_request)?;
    let mut total = Sums::default();
    let mut list = Vec::new();
    for (date, sums) in app.analytics.sums(days).await? {
        total.add_all(&sums);
        list.push(DaySums { date, sums });
    }
    Ok(Json(Summary { from: days.first, to: days.last, total, days: list }))
}

#[cfg(test)]
mod tests {
    use http::{Method, StatusCode};
    use jiff::SignedDuration;
    use serde_json::{Value, json};
    use shared::testing::{Answer, call};

    use crate::testing::App;

    async fn summary(app: &App, token: &str, query: &str) -> Answer {
        call(Method::GET, &format!("/analytics/summary{query}")).token(token).send(&app.router).await
    }

    async fn report(app: &App, name: &str) {
        let event = json!({ "name": name });
        let _accepted =
            call(Method::POST, "/events").json(&event).send(&app.router).await.expect(StatusCode::ACCEPTED);
    }

    #[tokio::test]
    async fn sums_are_per_utc_day_and_in_all() {
        let app = App::new().await;
        report(&app, "search").await;
        // From midnight to the last second of the day, and over.
        app.clock.advance(SignedDuration::from_secs(86_399));
        report(&app, "search").await;
        app.clock.advance(SignedDuration::from_secs(1));
        report(&app, "search").await;
        report(&app, "page_view").await;

        app.settle().await;

        let nothing = json!({ "events": {}, "orders": {}, "revenue": [], "refunds": [] });
        let day = |date: &str, mut sums: Value, events: Value| {
            sums["date"] = date.into();
            sums["events"] = events;
            sums
        };
        let answer =
            summary(&app, &app.admin(), "?from=2025-12-31&to=2026-01-02").await.expect(StatusCode::OK);
        assert_eq!(
            answer.json,
            json!({
                "from": "2025-12-31",
                "to": "2026-01-02",
                "total": { "events": { "page_view": 1, "search": 3 }, "orders": {}, "revenue": [], "refunds": [] },
                "days": [
                    day("2025-12-31", nothing.clone(), json!({})),
                    day("2026-01-01", nothing.clone(), json!({ "search": 2 })),
                    day("2026-01-02", nothing.clone(), json!({ "page_view": 1, "search": 1 })),
                ],
            })
        );
        let answer = summary(&app, &app.admin(), "").await.expect(StatusCode::OK);
        assert_eq!((&answer.json["from"], &answer.json["to"]), (&json!("2025-12-27"), &json!("2026-01-02")));
        assert_eq!(answer.json["days"].as_array().unwrap().len(), 7);
        assert_eq!(answer.json["total"]["events"]["search"], 3);
    }

    #[tokio::test]
    async fn only_an_admin_may_ask() {
        let app = App::new().await;
        let answer = summary(&app, &app.token, "").await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        let answer = call(Method::GET, "/analytics/summary").send(&app.router).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    }

    #[tokio::test]
    async fn bad_ranges_are_refused() {
        let app = App::new().await;
        for query in [
            "?from=2026-01-02&to=2026-01-01",
            "?from=2025-12-01&to=2026-01-01",
            "?from=2026-01-02",
            "?from=2026-02-30&to=2026-03-01",
            "?from=yesterday",
            "?from=",
            "?to=2026-1-1",
            "?to=20260101",
            "?to=2026-01-01T00:00:00",
            "?to=-009999-01-01",
            "?days=3",
        ] {
            let answer = summary(&app, &app.admin(), query).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
        }
    }
}
