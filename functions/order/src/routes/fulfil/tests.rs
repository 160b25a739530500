//! The shop moves an order step by step, and no other way.

use http::StatusCode;
use jiff::SignedDuration;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::model::Order;
use crate::routes::testing::{App, user};

/// An order in the state that these steps lead to.
async fn order_after(steps: &[&str]) -> (App, Order) {
    let app = App::new().await;
    app.sell("cup", 1299, 10).await;
    let order = app.order(&[("cup", 1)]).await;
    for step in steps {
        app.state.clock.advance(SignedDuration::from_hours(1));
        match *step {
            "pay" => app.pay(&order).await.unwrap(),
            "expire" => assert_eq!(app.expire().await.expired, 1),
            "refund" => app.refund(&app.read(order.id).await, order.total.amount).await.unwrap(),
            "cancel" => {
                let path = format!("/orders/{}/cancel", order.id);
                let _cancelled = app.post(1, &path).await.expect(StatusCode::OK);
            }
            step => {
                let _moved = app.step(order.id, step).await.expect(StatusCode::OK);
            }
        }
    }
    let order = app.read(order.id).await;
    (app, order)
}

#[tokio::test]
async fn the_tracking_tells_the_whole_way() {
    let (app, order) = order_after(&["pay", "pack"]).await;
    let tracking = app.get(&format!("/orders/{}/tracking", order.id)).await;
    assert_eq!(tracking.expect(StatusCode::OK).json.get("carrier"), None);

    let (app, order) = order_after(&["pay", "pack", "ship", "deliver"]).await;
    let tracking = app.get(&format!("/orders/{}/tracking", order.id)).await;
    let history: Vec<Value> = [
        ("PENDING_PAYMENT", "2026-01-01T00:01:00Z", "customer"),
        ("PAID", "2026-01-01T01:01:00Z", "payment"),
        ("PACKED", "2026-01-01T02:01:00Z", "admin"),
        ("SHIPPED", "2026-01-01T03:01:00Z", "admin"),
        ("DELIVERED", "2026-01-01T04:01:00Z", "admin"),
    ]
    .iter()
    .map(|(status, at, by)| json!({"status": status, "at": at, "by": by}))
    .collect();
    let expected = json!({
        "order_id": order.id,
        "status": "DELIVERED",
        "carrier": "DHL",
        "tracking_number": "123",
        "estimated_delivery": "2026-01-05",
        "history": history,
    });
    assert_eq!(tracking.expect(StatusCode::OK).json, expected);
}

#[tokio::test]
async fn a_step_answers_the_order_as_it_is_then() {
    let (app, order) = order_after(&["pay", "pack"]).await;
    let answer = app.step(order.id, "ship").await.expect(StatusCode::OK);
    let mut shown = answer.json.clone();
    for entry in shown["history"].as_array_mut().unwrap() {
        entry.as_object_mut().unwrap().remove("by_id");
    }
    assert_eq!(shown, app.get(&format!("/orders/{}", order.id)).await.json);
    assert_eq!(answer.json["history"][3]["by_id"], user(999).to_string(), "the shop sees who it was");
    assert_eq!(answer.json["shipment"]["carrier"], "DHL");
}

#[tokio::test]
async fn every_illegal_step_is_refused_and_changes_nothing() {
    let states: [(&[&str], &str, &[&str]); 9] = [
        (&[], "PENDING_PAYMENT", &["cancel"]),
        (&["cancel"], "CANCELLED", &[]),
        (&["expire"], "EXPIRED", &[]),
        (&["pay"], "PAID", &["pack", "cancel"]),
        (&["pay", "cancel"], "CANCELLED", &[]),
        (&["pay", "pack"], "PACKED", &["ship"]),
        (&["pay", "pack", "ship"], "SHIPPED", &["deliver"]),
        (&["pay", "pack", "ship", "deliver"], "DELIVERED", &[]),
        (&["pay", "refund"], "REFUNDED", &[]),
    ];
    for (steps, status, legal) in states {
        let (app, order) = order_after(steps).await;
        let steps = ["pack", "ship", "deliver", "cancel"];
        for step in steps.into_iter().filter(|step| !legal.contains(step)) {
            let answer = app.step(order.id, step).await.expect(StatusCode::CONFLICT);
            assert_eq!(answer.json["type"], "urn:problem-type:illegal-transition");
            assert_eq!(answer.json["order_status"], status, "{step}");
        }
        if status != "PENDING_PAYMENT" {
            app.pay(&order).await.unwrap_err();
        }
        assert_eq!(app.read(order.id).await, order);
    }
}

#[tokio::test]
async fn of_two_admins_at_once_one_packs() {
    let (app, order) = order_after(&["pay"]).await;
    let mut steps = JoinSet::new();
    for _ in 0..4 {
        let (app, id) = (app.clone(), order.id);
        steps.spawn(async move { app.step(id, "pack").await.status });
    }
    let mut statuses = steps.join_all().await;
    statuses.sort();
    let conflict = StatusCode::CONFLICT;
    assert_eq!(statuses, [StatusCode::OK, conflict, conflict, conflict]);
    assert_eq!(app.read(order.id).await.history.len(), 3);
}

#[tokio::test]
async fn only_admins_fulfil_and_only_orders_that_exist() {
    let (app, order) = order_after(&["pay"]).await;
    for step in ["pack", "ship", "deliver"] {
        let answer = app.post(1, &format!("/orders/{}/{step}", order.id)).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        let _unknown = app.step(Uuid::nil(), step).await.expect(StatusCode::NOT_FOUND);
    }
    assert_eq!(app.read(order.id).await, order);
}

#[tokio::test]
async fn a_bad_shipment_is_refused() {
    let (app, order) = order_after(&["pay", "pack"]).await;
    let path = format!("/orders/{}/ship", order.id);
    for (field, value) in [
        ("carrier", json!("")),
        ("carrier", json!(null)),
        ("tracking_number", json!("a\nb")),
        ("tracking_number", json!(5)),
        ("estimated_delivery", json!("tomorrow")),
        ("estimated_delivery", json!("2026-02-30")),
        ("estimated_delivery", json!("2026-01-05T12:00:00")),
        ("status", json!("DELIVERED")),
    ] {
        let mut body = json!({"carrier": "DHL", "tracking_number": "123"});
        body[field] = value;
        let answer = app.admin(&path, Some(body)).await.expect(StatusCode::BAD_REQUEST);
        assert_eq!(answer.json["field"], field);
    }
    let _empty = app.admin(&path, None).await.expect(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(app.read(order.id).await, order);
    let body =
        json!({"carrier": "DHL", "tracking_number": "1", "estimated_delivery": "2026-01-05T12:00:00+02:00"});
    let shipped = app.admin(&path, Some(body)).await.expect(StatusCode::OK).json;
    assert_eq!(shipped["shipment"]["estimated_delivery"], "2026-01-05T10:00:00Z");
}
