//! Every figure, made again from the raw events.

use std::collections::{BTreeMap, BTreeSet};

use http::{Method, StatusCode};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use serde_json::{Value, json};
use shared::testing::call;
use uuid::Uuid;

use super::ask;
use crate::model::Event;
use crate::testing::App;

/// Time zones, each with a day and the hours that it has there: some on which clocks change.
const DAYS: [(&str, &str, usize); 6] = [
    ("UTC", "2026-03-29", 24),
    ("Europe/Berlin", "2026-03-29", 23),
    ("Europe/Berlin", "2026-10-25", 25),
    ("America/New_York", "2026-03-08", 23),
    ("America/New_York", "2026-11-01", 25),
    ("Asia/Tokyo", "2026-03-29", 24),
];

/// Whatever happens in a shop, every 47 minutes of the five days around this one.
fn events(day: &str) -> Vec<Event> {
    let eur = |amount: u64| json!({ "amount": amount, "currency": "EUR" });
    let usd = |amount: u64| json!({ "amount": amount, "currency": "USD" });
    let line = |id: &str, total: Value| json!({ "product_id": id, "quantity": 2, "total": total });
    let noon: Timestamp = format!("{day}T12:00:00Z").parse().unwrap();
    let times = (noon - 60.hours()).series(47.minutes()).take_while(|at| *at < noon + 60.hours());
    let event = |(n, at): (u64, Timestamp)| {
        let (client, user) = (format!("client-{}", n % 7), Uuid::from_u128(u128::from(n % 5)));
        let mut event = match n % 9 {
            0 | 1 => json!({ "name": "page_view", "anonymous_id": client }),
            2 => json!({ "name": "product_view", "anonymous_id": client, "product_id": "mug" }),
            3 => json!({ "name": "product_view", "user_id": user, "product_id": "tea" }),
            4 => json!({ "name": "add_to_cart", "anonymous_id": client, "product_id": "tea" }),
            5 => json!({ "name": "search" }),
            6 => json!({ "name": "order_placed", "user_id": user }),
            7 => json!({
                "name": "order_paid",
                "user_id": user,
                "revenue": if n % 2 == 0 { eur(n) } else { usd(n) },
                "lines": [line("mug", eur(n)), line("tea", usd(n))],
            }),
            _ => json!({ "name": "order_partially_refunded", "user_id": user, "refund": eur(n) }),
        };
        let all = [("id", format!("event-{n}")), ("at", at.to_string()), ("received_at", at.to_string())];
        for (name, value) in all {
            event[name] = value.into();
        }
        serde_json::from_value(event).unwrap()
    };
    (0..).zip(times).map(event).collect()
}

async fn shop(events: &[Event]) -> App {
    let app = App::new().await;
    app.analytics.add(events).await.unwrap();
    app.settle().await;
    app
}

/// Amounts of the events, summed up per currency.
fn money<'a>(amounts: impl Iterator<Item = &'a shared::money::Money>) -> Value {
    let mut sums = BTreeMap::new();
    amounts.for_each(|money| *sums.entry(money.currency).or_default() += money.amount);
    sums.into_iter()
        .map(|(currency, amount): (_, u64)| json!({ "amount": amount, "currency": currency }))
        .collect()
}

fn people<'a>(events: impl Iterator<Item = &'a &'a Event>) -> usize {
    events.filter_map(|event| event.visitor()).map(|who| who.to_string()).collect::<BTreeSet<_>>().len()
}

fn sums(events: &[&Event]) -> Value {
    let (mut named, mut orders) = (BTreeMap::<_, u64>::new(), BTreeMap::<_, u64>::new());
    for event in events {
        let (counts, name) = match event.name.as_str().split_once("order_") {
            Some((_, kind)) => (&mut orders, kind),
            None => (&mut named, event.name.as_str()),
        };
        *counts.entry(name).or_default() += 1;
    }
    json!({
        "visitors": people(events.iter().filter(|event| !event.name.as_str().starts_with("order_"))),
        "events": named,
        "orders": orders,
        "revenue": money(events.iter().filter_map(|event| event.revenue.as_ref())),
        "refunds": money(events.iter().filter_map(|event| event.refund.as_ref())),
    })
}

fn funnel(events: &[&Event]) -> Value {
    let stages = [
        ("view", &["page_view", "product_view"][..]),
        ("cart", &["add_to_cart"]),
        ("order", &["order_placed"]),
        ("paid", &["order_paid"]),
    ];
    let mut previous = None;
    let stages = stages.map(|(stage, names)| {
        let people = people(events.iter().filter(|event| names.contains(&event.name.as_str())));
        let of_previous = previous.replace(people).filter(|before| *before > 0).map(|before| {
            format!(
                "{:.4}",
                f64::from(u32::try_from(people).unwrap()) / f64::from(u32::try_from(before).unwrap())
            )
        });
        let of_previous: Option<f64> = of_previous.map(|share| share.parse().unwrap());
        json!({ "stage": stage, "people": people, "of_previous": of_previous })
    });
    json!({ "stages": stages })
}

fn products(events: &[&Event]) -> Value {
    let count = |name: &str, id: &str| {
        let about = |event: &&&Event| event.product_id.as_ref().is_some_and(|of| of.as_str() == id);
        events.iter().filter(|event| event.name.as_str() == name).filter(about).count()
    };
    let mut products = Vec::new();
    for id in ["mug", "tea"] {
        let sold = events.iter().flat_map(|event| &event.lines).filter(|line| line.product_id.as_str() == id);
        let units: u32 = sold.clone().map(|line| line.quantity).sum();
        let (views, carts) = (count("product_view", id), count("add_to_cart", id));
        if views + carts > 0 || units > 0 {
            products.push(json!({ "product_id": id, "views": views, "carts": carts, "units": units, "revenue": money(sold.map(|line| &line.total)) }));
        }
    }
    json!({ "products": products })
}

/// Compares an answer with what the raw events say. What a point is about is found out by the calendar and the clock there.
fn compare(
    answer: &Value,
    events: &[Event],
    zone: &TimeZone,
    granularity: &str,
    figures: fn(&[&Event]) -> Value,
) {
    let there = |event: &Event| event.at.to_zoned(zone.clone());
    let point_of = |event: &Event| match granularity {
        "day" => there(event).strftime("%F").to_string(),
        _ => there(event).strftime("%FT%H:00:00%:z").to_string(),
    };
    let within = |event: &&Event| {
        let day = there(event).date().to_string();
        answer["from"].as_str().unwrap() <= day.as_str() && day.as_str() <= answer["to"].as_str().unwrap()
    };
    assert_eq!(answer["total"], figures(&events.iter().filter(within).collect::<Vec<_>>()));
    for point in answer["points"].as_array().unwrap() {
        let mut shown = point.clone();
        let start = shown.as_object_mut().unwrap().remove("start").unwrap();
        let start = start.as_str().unwrap();
        let start = if granularity == "day" { &start[..10] } else { start };
        let of_point = events.iter().filter(|event| point_of(event) == start);
        assert_eq!(shown, figures(&of_point.collect::<Vec<_>>()), "{start}");
    }
}

#[tokio::test]
async fn every_figure_of_every_hour_and_day_is_what_the_raw_events_say_wherever_one_asks() {
    for (name, day, hours) in DAYS {
        let events = events(day);
        let app = shop(&events).await;
        let zone = TimeZone::get(name).unwrap();
        let date: jiff::civil::Date = day.parse().unwrap();
        let (before, after) = (date.yesterday().unwrap(), date.tomorrow().unwrap());
        for (from, to, granularity, points) in [(before, after, "day", 3), (date, date, "hour", hours)] {
            for (question, figures) in [
                ("summary", sums as fn(&[&Event]) -> Value),
                ("timeseries", sums),
                ("funnel", funnel),
                ("top-products", products),
            ] {
                let query = format!("from={from}&to={to}&granularity={granularity}&time_zone={name}");
                let answer = ask(&app, &format!("{question}?{query}")).await.expect(StatusCode::OK).json;
                assert_eq!(answer["points"].as_array().unwrap().len(), points, "{name} {day}");
                compare(&answer, &events, &zone, granularity, figures);
            }
        }
    }
}

#[tokio::test]
async fn a_product_that_earned_the_most_comes_first() {
    let events = events("2026-03-29");
    let app = shop(&events).await;
    let first = async |query: &str| {
        let path = format!("top-products?from=2026-03-26&to=2026-03-31&limit=1&{query}");
        let answer = ask(&app, &path).await.expect(StatusCode::OK).json;
        assert_eq!(answer["total"]["products"].as_array().unwrap().len(), 1);
        answer["total"]["products"][0]["product_id"].clone()
    };
    assert_eq!(first("by=revenue&currency=EUR").await, "mug");
    assert_eq!(first("by=revenue&currency=USD").await, "tea");
    assert_eq!(first("by=carts").await, "tea");
    assert_eq!(first("by=units").await, "mug", "as many as of tea");
}

/// What a CSV says, in the terms of the JSON: per start, the text of every number under its name.
fn long(answer: &Value) -> BTreeSet<Vec<String>> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let mut rows = BTreeSet::new();
    for point in answer["points"].as_array().unwrap() {
        let mut row = |metric: &str, key: &str, value: &Value, currency: &str| {
            let value = if value.is_null() { String::new() } else { text(value) };
            rows.insert(vec![text(&point["start"]), metric.into(), key.into(), value, currency.into()]);
        };
        for (metric, name) in [("event", "events"), ("order", "orders")] {
            point[name]
                .as_object()
                .into_iter()
                .flatten()
                .for_each(|(key, count)| row(metric, key, count, ""));
        }
        for (metric, name) in [("revenue_minor", "revenue"), ("refunds_minor", "refunds")] {
            for money in point[name].as_array().into_iter().flatten() {
                row(metric, "", &money["amount"], &text(&money["currency"]));
            }
        }
        for stage in point["stages"].as_array().into_iter().flatten() {
            row("people", &text(&stage["stage"]), &stage["people"], "");
            row("of_previous", &text(&stage["stage"]), &stage["of_previous"], "");
        }
        if let Some(visitors) = point.get("visitors") {
            row("visitors", "", visitors, "");
        }
    }
    rows
}

async fn csv(app: &App, question: &str) -> Vec<Vec<String>> {
    let call = call(Method::GET, &format!("/analytics/{question}")).token(&app.admin());
    let answer = call.header("accept", "text/csv").send(&app.router).await.expect(StatusCode::OK);
    let mut reader = csv::Reader::from_reader(answer.json.as_str().unwrap().as_bytes());
    reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect()
}

#[tokio::test]
async fn the_csv_has_the_numbers_of_the_json() {
    let app = shop(&events("2026-03-29")).await;
    let period = "from=2026-03-28&to=2026-03-30&time_zone=Europe/Berlin&granularity=day";
    for question in ["summary", "timeseries", "funnel"] {
        let question = format!("{question}?{period}");
        let rows = csv(&app, &question).await;
        assert_eq!(rows.len(), rows.iter().collect::<BTreeSet<_>>().len());
        assert_eq!(rows.into_iter().collect::<BTreeSet<_>>(), long(&ask(&app, &question).await.json));
    }
    let total = csv(&app, "summary?from=2026-03-28&to=2026-03-30").await;
    let json = ask(&app, "summary?from=2026-03-28&to=2026-03-30").await.json;
    let visitors = json["total"]["visitors"].to_string();
    assert_eq!(total[0], ["2026-03-28T00:00:00+00:00", "visitors", "", &visitors, ""]);

    let question = format!("top-products?{period}");
    let json = ask(&app, &question).await.json;
    let mut expected = Vec::new();
    for point in json["points"].as_array().unwrap() {
        for (rank, product) in (1..).zip(point["products"].as_array().unwrap()) {
            let (start, id) = (point["start"].as_str().unwrap(), product["product_id"].as_str().unwrap());
            // Each of the two products is sold in one currency.
            let money = &product["revenue"][0];
            let (amount, currency) = (&money["amount"], money["currency"].as_str().unwrap());
            let (views, carts, units) = (&product["views"], &product["carts"], &product["units"]);
            expected.push(format!("{start},{rank},{id},{views},{carts},{units},{amount},{currency}"));
        }
    }
    let rows: Vec<_> = csv(&app, &question).await.iter().map(|row| row.join(",")).collect();
    assert_eq!((rows.len(), rows), (6, expected));
}

#[tokio::test]
async fn who_came_back_is_answered_in_both_forms() {
    let app = App::new().await;
    let visit = |n: u32, at: &str, client: &str| -> Event {
        let event = json!({ "id": n.to_string(), "name": "page_view", "at": at, "received_at": at, "anonymous_id": client });
        serde_json::from_value(event).unwrap()
    };
    let events = [
        visit(1, "2025-12-15T10:00:00Z", "a"),
        visit(2, "2025-12-21T23:59:59Z", "b"),
        visit(3, "2025-12-17T10:00:00Z", "c"),
        visit(4, "2025-12-22T00:00:00Z", "d"),
        visit(5, "2025-12-29T10:00:00Z", "a"),
        visit(6, "2025-12-29T11:00:00Z", "a"),
    ];
    app.analytics.add(&events).await.unwrap();
    app.settle().await;
    let question = "cohorts?from=2025-12-16&to=2025-12-25&time_zone=UTC&granularity=week";
    let retained = |later: u32, people: u32, share: f64| json!({ "weeks_later": later, "people": people, "share": share });
    assert_eq!(
        ask(&app, question).await.expect(StatusCode::OK).json,
        json!({
            "from": "2025-12-15",
            "to": "2025-12-28",
            "cohorts": [
                {
                    "week": "2025-12-15",
                    "people": 3,
                    "retained": [retained(0, 3, 1.0), retained(1, 0, 0.0), retained(2, 1, 0.3333)],
                },
                { "week": "2025-12-22", "people": 1, "retained": [retained(0, 1, 1.0), retained(1, 0, 0.0)] },
            ],
        })
    );
    let rows: Vec<_> = csv(&app, question).await.iter().map(|row| row.join(",")).collect();
    assert_eq!(
        rows,
        [
            "2025-12-15,3,0,3,1.0",
            "2025-12-15,3,1,0,0.0",
            "2025-12-15,3,2,1,0.3333",
            "2025-12-22,1,0,1,1.0",
            "2025-12-22,1,1,0,0.0",
        ]
    );
}
