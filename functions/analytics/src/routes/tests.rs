//! What all questions have in common.

mod raw;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use shared::testing::{Answer, call};

use crate::testing::App;

/// Those about a period of days.
const PERIODS: [&str; 4] = ["summary", "timeseries", "funnel", "top-products"];

/// All of them.
const ALL: [&str; 5] = ["summary", "timeseries", "funnel", "top-products", "cohorts"];

async fn ask(app: &App, question: &str) -> Answer {
    call(Method::GET, &format!("/analytics/{question}")).token(&app.admin()).send(&app.router).await
}

#[tokio::test]
async fn only_an_admin_may_ask() {
    let app = App::new().await;
    for question in ALL {
        let path = format!("/analytics/{question}");
        let answer = call(Method::GET, &path).token(&app.token).send(&app.router).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        let answer = call(Method::GET, &path).header("accept", "text/csv").send(&app.router).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn what_the_gateway_has_no_route_for_is_a_wrong_method_or_an_unknown_path() {
    let app = App::new().await;
    for (path, allowed) in [("/cart/items/cup", "PUT, DELETE"), ("/login", "POST"), ("/events", "POST")] {
        let answer = call(Method::PATCH, path).send(&app.router).await;
        assert_eq!(
            (answer.status, &answer.headers["allow"]),
            (StatusCode::METHOD_NOT_ALLOWED, &allowed.parse().unwrap())
        );
        assert_eq!(answer.json["type"], "urn:problem-type:method-not-allowed", "{path}");
    }
    for path in ["/", "/cart/items", "/no/such/path"] {
        assert_eq!(call(Method::PATCH, path).send(&app.router).await.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn bad_questions_are_refused_with_the_reason() {
    let app = App::new().await;
    for (query, reason) in [
        ("from=2026-01-02&to=2026-01-01", "from must not be after to"),
        ("from=2026-01-02", "from must not be after to"),
        ("from=2024-12-01&to=2026-01-01", "at most"),
        ("from=2026-02-30&to=2026-03-01", "YYYY-MM-DD"),
        ("from=yesterday", "YYYY-MM-DD"),
        ("from=", "YYYY-MM-DD"),
        ("to=2026-1-1", "YYYY-MM-DD"),
        ("to=2026-01-01T00:00:00", "YYYY-MM-DD"),
        ("to=-009999-01-01", "YYYY-MM-DD"),
        ("days=3", "days"),
        ("granularity=minute", "minute"),
        ("from=2026-01-01&from=2026-01-02", "from"),
    ] {
        for question in ALL {
            let answer = ask(&app, &format!("{question}?{query}")).await.expect(StatusCode::BAD_REQUEST);
            let detail = answer.json["detail"].as_str().unwrap();
            assert!(detail.contains(reason), "{question}?{query}: {detail}");
        }
    }
    for (query, reason) in [
        ("granularity=hour&from=2025-12-01&to=2026-01-01", "at most 31 days"),
        ("time_zone=Mars/Olympus", "Mars/Olympus"),
        ("time_zone=Asia/Kolkata", "per UTC hour"),
        ("time_zone=", "not known"),
        ("to=9999-12-31", "a beginning and an end"),
    ] {
        for question in PERIODS {
            let answer = ask(&app, &format!("{question}?{query}")).await.expect(StatusCode::BAD_REQUEST);
            let detail = answer.json["detail"].as_str().unwrap();
            assert!(detail.contains(reason), "{question}?{query}: {detail}");
        }
    }
    for question in [
        "top-products?by=profit",
        "top-products?by=revenue",
        "top-products?by=revenue&currency=eur",
        "top-products?by=units&currency=EUR",
        "top-products?limit=0",
        "top-products?limit=101",
        "top-products?limit=x",
        "summary?limit=3",
        "cohorts?granularity=day",
        "cohorts?time_zone=Europe/Berlin",
    ] {
        let _problem = ask(&app, question).await.expect(StatusCode::BAD_REQUEST);
    }
}

#[tokio::test]
async fn of_a_time_in_which_nothing_happened_the_answer_is_zero() {
    let app = App::new().await;
    let nothing = json!({ "visitors": 0, "events": {}, "orders": {}, "revenue": [], "refunds": [] });
    let head = json!({ "from": "2025-12-26", "to": "2026-01-01", "time_zone": "UTC" });
    let with = |mut head: Value, name: &str, value: Value| {
        head[name] = value;
        head
    };
    let answer = ask(&app, "summary").await.expect(StatusCode::OK);
    assert_eq!(answer.json, with(head.clone(), "total", nothing.clone()));
    assert_eq!(answer.headers["vary"], "accept");

    let series = ask(&app, "timeseries").await.expect(StatusCode::OK).json;
    assert_eq!(
        (&series["granularity"], series["points"].as_array().unwrap().len()),
        (&json!("day"), 7),
        "{series}"
    );
    assert_eq!(series["points"][0], with(nothing, "start", json!("2025-12-26T00:00:00+00:00")));

    let stage = |stage: &str| json!({ "stage": stage, "people": 0, "of_previous": null });
    let stages = json!({ "stages": [stage("view"), stage("cart"), stage("order"), stage("paid")] });
    assert_eq!(ask(&app, "funnel").await.json, with(head.clone(), "total", stages));
    assert_eq!(ask(&app, "top-products").await.json, with(head, "total", json!({ "products": [] })));

    let cohorts = ask(&app, "cohorts?from=2026-01-01").await.expect(StatusCode::OK).json;
    let week = json!({ "week": "2025-12-29", "people": 0, "retained": [] });
    assert_eq!(cohorts, json!({ "from": "2025-12-29", "to": "2026-01-04", "cohorts": [week] }));
    assert_eq!(ask(&app, "cohorts").await.json["cohorts"].as_array().unwrap().len(), 8);
}

#[tokio::test]
async fn csv_is_given_to_those_who_ask_for_it() {
    let app = App::new().await;
    for (question, header) in [
        ("summary", "start,metric,key,value,currency"),
        ("timeseries", "start,metric,key,value,currency"),
        ("funnel", "start,metric,key,value,currency"),
        ("top-products", "start,rank,product_id,views,carts,units,amount_minor,currency"),
        ("cohorts", "week,people,weeks_later,retained,share"),
    ] {
        let call = call(Method::GET, &format!("/analytics/{question}")).token(&app.admin());
        let answer = call.header("accept", "text/csv, application/json;q=0.9").send(&app.router).await;
        let Answer { headers, json, .. } = answer.expect(StatusCode::OK);
        assert_eq!(headers["content-type"], "text/csv; charset=utf-8");
        let name = format!("attachment; filename=\"analytics-{question}.csv\"");
        assert_eq!(
            (headers["content-disposition"].to_str().unwrap(), &headers["vary"]),
            (&*name, &"accept".parse().unwrap())
        );
        assert_eq!(json.as_str().unwrap().lines().next(), Some(header));
    }
}
