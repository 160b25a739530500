//! The words of this service's description; the rest of it follows from the types.

use http::StatusCode;
use serde_json::json;
use shared::openapi::{Document, Extracted, Operation, Schemas, ServiceDescription};

use crate::format::Format;
use crate::report::Report;
use crate::routes::cohorts::Retention;
use crate::routes::events::reported::Reported;
use crate::routes::events::{Accepted, Batch, Report as BatchReport};
use crate::routes::funnel::Stages;
use crate::routes::summary::Sums;
use crate::routes::top_products::Best;

impl Extracted for Format {
    fn describe(operation: &mut Operation, _: &mut Schemas) {
        operation.answers("text/csv; charset=utf-8", &json!({ "type": "string" }));
        let names = json!({ "type": "string", "enum": ["accept"] });
        operation.answers_header("Vary", "What the form of the answer depends on", &names);
    }
}

/// Adds this service to the description of the API.
pub fn describe(document: &mut Document) {
    let about = "What users and orders do, counted";
    document.service("analytics", about, &crate::routes(), |service| {
        events(service);
        let sums = service.schema::<Report<Sums>>();
        let period =
            "`from` and `to` are days of `time_zone`, both included, at most 366; without them, the last 7.";
        service
            .operation("GET /analytics/summary", "getSummary", "What happened, who came, and what was earned")
            .description(period)
            .answers("application/json", &sums);
        service
            .operation(
                "GET /analytics/timeseries",
                "getTimeseries",
                "The same point by point, days unless asked otherwise",
            )
            .description(period)
            .answers("application/json", &sums);
        let funnel = service.schema::<Report<Stages>>();
        service
            .operation(
                "GET /analytics/funnel",
                "getFunnel",
                "How many people looked, put into a cart, ordered and paid",
            )
            .description(period)
            .answers("application/json", &funnel);
        let best = service.schema::<Report<Best>>();
        service
            .operation(
                "GET /analytics/top-products",
                "getTopProducts",
                "The products by units, views, carts or revenue",
            )
            .description("by=revenue needs a currency, and nothing else takes one.")
            .answers("application/json", &best);
        let cohorts = service.schema::<Retention>();
        service
            .operation(
                "GET /analytics/cohorts",
                "getCohorts",
                "Who came back, by the week in which they first came",
            )
            .description("granularity can only be week here, and time_zone only UTC.")
            .answers("application/json", &cohorts);
        service
            .operation("DELETE /analytics/users/{id}", "forgetUser", "Removes what is known of a user")
            .description(
                "The figures stay: they are about nobody. To be sent again where it is not complete.",
            );
        dashboard(service);
    });
}

fn events(service: &mut ServiceDescription<'_>) {
    let one = service.input::<Reported>();
    let batch = service.input::<Batch>();
    let accepted = service.schema::<Accepted>();
    let report = service.schema::<BatchReport>();
    let operation =
        service.operation("POST /events", "reportEvents", "Records an event, or those of a batch");
    operation.body("application/json", true, json!({ "anyOf": [one, batch] }));
    operation
        .description("With a token, they are the caller's. An event with an id may be sent again.")
        .example(json!({ "name": "product_view", "properties": { "product_id": "moka-pot" } }))
        .status(StatusCode::ACCEPTED)
        .answers("application/json", &json!({ "anyOf": [accepted, report] }))
        .problem(
            StatusCode::UNPROCESSABLE_ENTITY,
            "It is too old or ahead of time, or only the server says so",
        );
}

fn dashboard(service: &mut ServiceDescription<'_>) {
    let text = json!({ "type": "string" });
    let tag = json!({ "type": "string", "pattern": "^\"[0-9]+\"$" });
    service
        .operation("GET /analytics/dashboard", "getDashboard", "A page that shows the figures")
        .description("Anyone may load it; it shows nothing without an admin's token.")
        .answers("text/html; charset=utf-8", &text)
        .answers_header("ETag", "The version", &tag)
        .status(StatusCode::OK)
        .status(StatusCode::NOT_MODIFIED);
    service
        .operation("GET /analytics/dashboard/{file}", "getDashboardFile", "What the page is made of")
        .example_parameter("file", "dashboard.css")
        .answers("text/css; charset=utf-8", &text)
        .answers("text/javascript; charset=utf-8", &text)
        .answers_header("ETag", "The version", &tag)
        .status(StatusCode::OK)
        .status(StatusCode::NOT_MODIFIED)
        .refuses(404);
}
