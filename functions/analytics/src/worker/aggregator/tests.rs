use std::collections::BTreeMap;

use aws_lambda_events::event::dynamodb::EventRecord;
use http::{Method, StatusCode};
use serde_json::{Value, json};
use shared::db::Key;
use shared::testing::{When, call, issuer, record};
use uuid::Uuid;

use super::*;
use crate::bucket::Bucket;
use crate::counting::{Cells, add_all};
use crate::sketch::Sketch;
use crate::testing::{App, NOW};

/// What 3 users and 4 clients do within two weeks: 60 events of all kinds, each user with a client of their own, which was a
/// stranger's before; and a paid order.
async fn fill(app: &App) {
    fill_with(app, 3, 15).await;
}

/// The same of fewer users, and fewer events of each.
async fn fill_with(app: &App, users: u128, events: u128) {
    let products = ["mug", "tea", "no-such-thing"];
    let names = ["page_view", "product_view", "add_to_cart", "search", "spin", "turn"];
    for user in 0..=users {
        let events: Vec<Value> = (0..events)
            .map(|n| {
                json!({
                    "name": names[usize::try_from((n + user) % 6).unwrap()],
                    "id": Uuid::from_u128(100 * user + n + 1),
                    "anonymous_id": format!("client-{user}"),
                    "at": format!("2025-12-{:02}T{n:02}:30:00Z", 18 + n % 14),
                    "properties": { "product_id": products[usize::try_from(n % 3).unwrap()] },
                })
            })
            .collect();
        // Those of client 0 stay a stranger's.
        let token = issuer().token(Uuid::from_u128(user), NOW.parse().unwrap());
        for (index, events) in events.chunks(events.len().div_ceil(3)).enumerate() {
            let call = call(Method::POST, "/events").json(&json!({ "events": events }));
            let call = if user > 0 && index == 1 { call.token(&token) } else { call };
            let answer = call.send(&app.router).await.expect(StatusCode::ACCEPTED);
            assert_eq!(answer.json["accepted"], events.len());
        }
    }
    let paid = json!({
        "id": "1:PAID", "name": "order_paid", "at": NOW, "received_at": NOW, "user_id": Uuid::from_u128(1),
        "revenue": { "amount": 300, "currency": "EUR" },
        "lines": [{ "product_id": "mug", "quantity": 3, "total": { "amount": 300, "currency": "EUR" } }],
    });
    app.analytics.add(&[serde_json::from_value(paid).unwrap()]).await.unwrap();
}

/// Another app with the same raw events, none of them counted.
async fn with_events_of(origin: &App) -> App {
    let app = App::new().await;
    app.database.copy_from(&origin.database, &["AnalyticsTable"]).await;
    app
}

/// All that is not a raw event, by key, shards together.
async fn figures(app: &App) -> BTreeMap<String, Value> {
    let mut figures = BTreeMap::new();
    for item in app.items().await {
        let text = |name: &str| item[name].as_str().unwrap().to_owned();
        if text("sk") != "EVENT" {
            figures.insert(format!("{} {}", text("pk"), text("sk")), item);
        }
    }
    figures
}

/// All that can be asked for: of each day, and of the hours of three.
async fn answers(app: &App) -> String {
    let mut all = BTreeSet::new();
    for day in (18..=31).map(|n| format!("2025-12-{n}")).chain(["2026-01-01".to_owned()]) {
        let hours = if day.ends_with('1') || day.ends_with("18") { 24 } else { 1 };
        for hour in 0..hours {
            all.extend(Bucket::of(format!("{day}T{hour:02}:30:00Z").parse().unwrap()));
        }
    }
    let store = &app.analytics;
    let people = people(app).await;
    format!(
        "{:#?}\n{:#?}\n{:#?}\n{:#?}\n{people:#?}",
        store.totals(&all).await.unwrap(),
        store.funnels(&all).await.unwrap(),
        store.products(&all).await.unwrap(),
        store.cohorts("2025-12-01".parse().unwrap(), "2026-01-31".parse().unwrap()).await.unwrap(),
    )
}

async fn people(app: &App) -> BTreeMap<String, Value> {
    let mut figures = figures(app).await;
    figures
        .retain(|key, _| key.starts_with("PERSON") || key.starts_with("ALIAS") || key.starts_with("NAMES"));
    figures
}

fn done() -> Value {
    json!({ "batchItemFailures": [] })
}

#[tokio::test]
async fn events_are_counted_by_the_hour_and_by_the_day() {
    let app = App::new().await;
    fill(&app).await;
    app.settle().await;
    let day = Bucket::Day("2026-01-01".parse().unwrap());
    let totals = app.analytics.totals(&[day].into()).await.unwrap().remove(&day).unwrap();
    let eur = "EUR".parse().unwrap();
    assert_eq!((totals.events.len(), totals.revenue[&eur], totals.visitors.is_empty()), (1, 300, true));
    let products = app.analytics.products(&[day].into()).await.unwrap().remove(&day).unwrap();
    let mug = &products.0[&"mug".to_owned().try_into().unwrap()];
    assert_eq!((mug.units, mug.revenue[&eur]), (3, 300));

    let [hour, day] = Bucket::of("2025-12-18T00:30:00Z".parse().unwrap());
    for (bucket, events) in [(hour, 4), (day, 8)] {
        let totals = app.analytics.totals(&[bucket].into()).await.unwrap().remove(&bucket).unwrap();
        assert_eq!((totals.events.values().sum::<u64>(), totals.visitors.estimate()), (events, 4));
    }
    let cohorts =
        app.analytics.cohorts("2025-12-14".parse().unwrap(), "2025-12-29".parse().unwrap()).await.unwrap();
    let active: Vec<_> = cohorts.into_iter().map(|cohort| (cohort.week.to_string(), cohort.active)).collect();
    // The three users and the stranger; what their clients did before they logged in is theirs.
    assert_eq!(
        active,
        [
            ("2025-12-08".to_owned(), BTreeMap::new()),
            ("2025-12-15".to_owned(), [(0, 4), (1, 4), (2, 4)].into()),
            ("2025-12-22".to_owned(), BTreeMap::new()),
            ("2025-12-29".to_owned(), BTreeMap::new()),
        ]
    );
}

#[tokio::test]
async fn figures_are_what_the_raw_events_add_up_to() {
    let app = App::new().await;
    fill(&app).await;
    app.settle().await;
    let known = app.aggregator.known().clone();
    let mut expected = Cells::new();
    for record in app.stream().await {
        for portion in portions(&event_of(&record).unwrap().unwrap(), &known) {
            add_all(&mut expected, &portion.cells);
        }
    }
    let mut stored: BTreeMap<(String, String, String), u64> = BTreeMap::new();
    let mut sketches: BTreeMap<(String, String, String), Sketch> = BTreeMap::new();
    let table = app.analytics.table();
    for item in table.client().scan().table_name(table.name()).send().await.unwrap().items.unwrap() {
        let text = |name: &str| item[name].as_s().unwrap().clone();
        let (pk, sk) = (text("pk"), text("sk"));
        let Some((cell, _)) = sk.rsplit_once('#').filter(|_| !pk.starts_with("COHORT")) else { continue };
        for (attribute, value) in &item {
            let key = (pk.clone(), cell.to_owned(), attribute.clone());
            if let Ok(number) = value.as_n() {
                *stored.entry(key).or_default() += number.parse::<u64>().unwrap();
            } else if let Ok(bytes) = value.as_b() {
                sketches.entry(key).or_default().merge(&Sketch::from_bytes(bytes.as_ref()).unwrap());
            }
        }
    }
    let mut numbers = BTreeMap::new();
    let mut people = BTreeMap::new();
    for (id, cell) in &expected {
        let key = id.key(0);
        let cell_name = key.sk.rsplit_once('#').unwrap().0.to_owned();
        for (measure, value) in &cell.numbers {
            numbers.insert((key.pk.clone(), cell_name.clone(), measure.attribute()), *value);
        }
        for (attribute, all) in &cell.people {
            people.insert((key.pk.clone(), cell_name.clone(), (*attribute).to_owned()), all.len() as u64);
        }
    }
    assert_eq!(stored, numbers);
    let sketches: BTreeMap<_, _> =
        sketches.into_iter().map(|(key, sketch)| (key, sketch.estimate())).collect();
    assert_eq!(sketches, people);
}

#[tokio::test]
async fn a_stream_that_comes_again_changes_nothing() {
    let app = App::new().await;
    fill(&app).await;
    let stream = app.stream().await;
    assert_eq!(app.aggregate(stream.clone()).await, done());
    let once = app.items().await;
    let _before = app.database.take_calls();
    assert_eq!(app.aggregate(stream.clone()).await, done());
    for record in stream.iter().rev() {
        assert_eq!(app.aggregate(vec![record.clone(), record.clone()]).await, done());
    }
    assert_eq!(app.items().await, once);
}

#[tokio::test]
async fn the_order_the_company_and_the_repetition_of_events_make_no_difference() {
    let origin = App::new().await;
    fill(&origin).await;
    let straight = with_events_of(&origin).await;
    let stream = straight.stream().await;
    assert_eq!(straight.aggregate(stream.clone()).await, done());
    let expected = answers(&straight).await;

    let stride = |by: usize| -> Vec<EventRecord> {
        // 61 is a prime: each record once.
        (0..stream.len()).map(|n| stream[n * by % stream.len()].clone()).collect()
    };
    assert_eq!(stream.len(), 61);
    for (by, size) in [(60, 61), (7, 10), (13, 1), (29, 25)] {
        let app = with_events_of(&origin).await;
        let shuffled = stride(by);
        for (index, batch) in shuffled.chunks(size).enumerate() {
            let mut batch = batch.to_vec();
            // Whatever came once comes again among others.
            batch.extend(shuffled.iter().take(index * 3 % 20).cloned());
            assert_eq!(app.aggregate(batch).await, done());
        }
        assert_eq!(answers(&app).await, expected, "every {by}th, {size} at a time");
    }
}

#[tokio::test]
async fn workers_at_the_same_time_count_each_event_once() {
    let origin = App::new().await;
    fill(&origin).await;
    let alone = with_events_of(&origin).await;
    alone.settle().await;
    let expected = answers(&alone).await;

    let app = with_events_of(&origin).await;
    let stream = app.stream().await;
    // All take all, from another place on, in batches of another size.
    let work = async |worker: usize| {
        let mut stream = stream.clone();
        stream.rotate_left(worker * 15);
        for batch in stream.chunks(10 + worker) {
            // As Lambda does: again until it is done.
            while app.aggregate(batch.to_vec()).await != done() {}
        }
    };
    tokio::join!(work(0), work(1), work(2), work(3));
    assert_eq!(answers(&app).await, expected);
}

#[tokio::test]
async fn a_worker_that_is_killed_between_any_two_calls_leaves_nothing_half_done() {
    let origin = App::new().await;
    fill_with(&origin, 1, 3).await;
    let alone = with_events_of(&origin).await;
    alone.settle().await;
    let expected = answers(&alone).await;
    let mut kills = 0;
    for when in [When::Before, When::After] {
        for call in 0.. {
            let app = with_events_of(&origin).await;
            let stream = app.stream().await;
            let work = Box::pin(app.aggregate(stream.clone()));
            if app.database.kill_at(call, when, work).await.is_some() {
                break;
            }
            kills += 1;
            // A new worker, which knows nothing of the killed one.
            let cart = CartStore::new(app.database.table("CartTable"));
            let next = App { aggregator: Aggregator::new(app.analytics.clone(), cart), ..app };
            assert_eq!(next.aggregate(stream).await, done());
            assert_eq!(answers(&next).await, expected, "killed {when:?} call {call}");
        }
    }
    assert!(kills > 30, "{kills}");
}

#[tokio::test]
async fn what_is_no_event_is_passed_over_and_what_cannot_be_read_is_reported() {
    let app = App::new().await;
    fill(&app).await;
    let mut stream = app.stream().await;
    let item = json!({ "id": "x" });
    stream.insert(1, record(&Key::new("HOURS#2026-01-01", "TOTALS#00#0"), None, Some(&item), 70));
    stream.insert(2, record(&Key::new("EVENT#x", "EVENT"), Some(&item), Some(&item), 71));
    stream.insert(5, record(&Key::new("EVENT#x", "EVENT"), None, Some(&item), 77));
    assert_eq!(app.aggregate(stream).await, json!({ "batchItemFailures": [{ "itemIdentifier": "77" }] }));
    let counted = app.events().await.iter().filter(|event| event["applied"] == true).count();
    assert_eq!(counted, 3);
}

#[tokio::test]
async fn an_order_of_the_most_products_is_counted_whole() {
    let app = App::new().await;
    let eur = |amount: u64| json!({ "amount": amount, "currency": "EUR" });
    let lines: Vec<Value> =
        (1..=50).map(|n| json!({ "product_id": format!("p{n}"), "quantity": n, "total": eur(n) })).collect();
    for n in 1..=3 {
        let paid = json!({
            "id": format!("{n}:PAID"), "name": "order_paid", "at": NOW, "received_at": NOW,
            "user_id": Uuid::from_u128(1), "revenue": eur(1275), "lines": lines,
        });
        app.analytics.add(&[serde_json::from_value(paid).unwrap()]).await.unwrap();
    }
    app.settle().await;
    app.settle().await;
    let day = Bucket::Day("2026-01-01".parse().unwrap());
    let products = app.analytics.products(&[day].into()).await.unwrap().remove(&day).unwrap();
    assert_eq!(products.0.len(), 50);
    for (id, figures) in products.0 {
        let n: u64 = id.as_str().trim_start_matches('p').parse().unwrap();
        assert_eq!((figures.units, figures.revenue), (3 * n, [("EUR".parse().unwrap(), 3 * n)].into()));
    }
}

#[tokio::test]
async fn names_beyond_the_first_hundred_are_counted_together() {
    let app = App::new().await;
    for batch in 0..3_u32 {
        let events: Vec<Value> =
            (0..50).map(|n| json!({ "name": format!("custom_{}", batch * 50 + n) })).collect();
        let call = call(Method::POST, "/events").json(&json!({ "events": events }));
        let _accepted = call.send(&app.router).await.expect(StatusCode::ACCEPTED);
        app.settle().await;
    }
    let day = Bucket::Day("2026-01-01".parse().unwrap());
    let totals = app.analytics.totals(&[day].into()).await.unwrap().remove(&day).unwrap();
    let other = &"other".to_owned().try_into().unwrap();
    assert_eq!((totals.events.len(), totals.events[other]), (101, 50));
}

#[tokio::test]
async fn an_event_that_expired_is_not_counted_by_a_late_delivery() {
    let app = App::new().await;
    fill(&app).await;
    let stream = app.stream().await;
    for event in app.events().await {
        let key = Key::new(event["pk"].as_str().unwrap(), "EVENT");
        app.analytics.table().delete(&key).await.unwrap();
    }
    assert_eq!(app.aggregate(stream).await, done());
    assert_eq!(figures(&app).await.into_keys().collect::<Vec<_>>(), ["NAMES NAMES"]);
}
