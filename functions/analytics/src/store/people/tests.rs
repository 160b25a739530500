use serde_json::{Value, json};
use shared::testing::Faults;
use uuid::Uuid;

use crate::cohort::Cohort;
use crate::model::Event;
use crate::testing::{App, NOW};

fn event(n: u32, at: &str, user: Option<u128>, anonymous_id: Option<&str>) -> Event {
    let event = json!({
        "id": n.to_string(), "name": "search", "at": at, "received_at": NOW,
        "user_id": user.map(Uuid::from_u128), "anonymous_id": anonymous_id,
    });
    serde_json::from_value(event).unwrap()
}

/// The people, and the cohorts.
async fn people(app: &App) -> (Vec<Value>, Vec<Cohort>) {
    let mut items = app.items().await;
    items.retain(|item| item["sk"] == "PERSON" || item["sk"] == "ALIAS");
    let (first, last) = ("2025-12-01".parse().unwrap(), "2026-01-01".parse().unwrap());
    (items, app.analytics.cohorts(first, last).await.unwrap())
}

#[tokio::test]
async fn whoever_comes_first_and_however_many_at_once_a_person_has_all_weeks() {
    let events = [
        event(1, "2025-12-01T00:00:00Z", None, Some("phone")),
        event(2, "2025-12-08T00:00:00Z", None, Some("phone")),
        event(3, "2025-12-15T00:00:00Z", Some(1), Some("phone")),
        event(4, "2025-12-22T00:00:00Z", Some(1), None),
        event(5, "2025-12-29T00:00:00Z", Some(1), Some("laptop")),
        event(6, "2025-12-29T00:00:00Z", None, Some("laptop")),
        event(7, "2025-12-22T00:00:00Z", None, Some("phone")),
    ];
    let apart = App::new().await;
    apart.analytics.add(&events).await.unwrap();
    for event in &events {
        apart.analytics.attend(std::slice::from_ref(event)).await.unwrap();
    }
    let expected = people(&apart).await;
    let weeks = ["2025-12-01", "2025-12-08", "2025-12-15", "2025-12-22", "2025-12-29"];
    assert_eq!(expected.0.len(), 3, "two clients of one person");
    assert_eq!(expected.0[2]["weeks"], json!(weeks));
    assert_eq!(expected.1[0].active, (0..5).map(|later| (later, 1)).collect());
    assert!(expected.1[1..].iter().all(|cohort| cohort.active.is_empty()));

    for seed in 0..30 {
        let app = App::new().await;
        app.analytics.add(&events).await.unwrap();
        // Nothing fails, and the calls of all meet in another order each time.
        app.database.faults(Some(Faults { seed, per_mille: 0 }));
        let one = async |n: usize| {
            let n = (n + usize::try_from(seed).unwrap()) % events.len();
            app.analytics.attend(&events[n..=n]).await.unwrap();
        };
        tokio::join!(one(0), one(1), one(2), one(3), one(4), one(5), one(6));
        assert_eq!(people(&app).await, expected, "{seed}");
    }
}

#[tokio::test]
async fn a_client_is_the_first_users_for_good_and_another_users_events_are_still_theirs() {
    let app = App::new().await;
    let events = [
        event(1, "2025-12-01T00:00:00Z", Some(1), Some("phone")),
        event(2, "2025-12-08T00:00:00Z", Some(2), Some("phone")),
        event(3, "2025-12-15T00:00:00Z", None, Some("phone")),
    ];
    app.analytics.add(&events).await.unwrap();
    for event in &events {
        app.analytics.attend(std::slice::from_ref(event)).await.unwrap();
    }
    let items = app.items().await;
    let weeks = |user: u128| {
        let pk = format!("PERSON#USER#{}", Uuid::from_u128(user));
        items.iter().find(|item| item["pk"] == json!(pk)).unwrap()["weeks"].clone()
    };
    assert_eq!((weeks(1), weeks(2)), (json!(["2025-12-01", "2025-12-15"]), json!(["2025-12-08"])));
}

#[tokio::test]
async fn what_the_shop_does_to_an_order_is_no_visit_of_its_customer() {
    let app = App::new().await;
    let mut events = [event(1, "2025-12-01T00:00:00Z", Some(1), None), event(2, NOW, Some(1), None)];
    for (event, name) in events.iter_mut().zip(["order_placed", "order_shipped"]) {
        event.name = name.to_owned().try_into().unwrap();
    }
    app.analytics.add(&events).await.unwrap();
    app.analytics.attend(&events).await.unwrap();
    let person = app.items().await.into_iter().find(|item| item["sk"] == "PERSON").unwrap();
    assert_eq!(person["weeks"], json!(["2025-12-01"]));
}
