//! What can be given up gives its stock back, once.

use http::{Method, StatusCode};
use serde_json::{Value, json};
use shared::db::TransactionError;
use shared::testing::{Answer, call};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::model::{Order, Status};
use crate::routes::testing::{App, PAYMENT, user};
use crate::store::RefundDue;

/// Ten cups, of which an order of the user number 1 takes four.
async fn four_of_ten() -> (App, Order) {
    let app = App::new().await;
    app.sell("cup", 1299, 10).await;
    let order = app.order(&[("cup", 4)]).await;
    assert_eq!(app.stock("cup").await, Some(6));
    (app, order)
}

async fn cancel(app: &App, id: Uuid) -> Answer {
    app.post(1, &format!("/orders/{id}/cancel")).await
}

#[tokio::test]
async fn a_cancelled_order_returns_its_stock_once() {
    let (app, order) = four_of_ten().await;
    let mut cancellations = JoinSet::new();
    for _ in 0..5 {
        let (app, id) = (app.clone(), order.id);
        cancellations.spawn(async move { cancel(&app, id).await });
    }
    let (done, refused): (Vec<_>, Vec<_>) =
        cancellations.join_all().await.into_iter().partition(|answer| answer.status == StatusCode::OK);
    assert_eq!(done.len(), 1);
    assert_eq!(done[0].json["status"], "CANCELLED");
    assert_eq!(done[0].json["history"][1]["by"], "customer");
    for answer in refused {
        let answer = answer.expect(StatusCode::CONFLICT);
        assert_eq!(answer.json["type"], "urn:problem-type:illegal-transition");
        assert_eq!(answer.json["order_status"], "CANCELLED");
    }
    assert_eq!(app.stock("cup").await, Some(10));
    assert_eq!(app.state.orders.newest_open(user(1)).await.unwrap(), None);
    let read = app.get(&format!("/orders/{}", order.id)).await.json;
    assert_eq!(read, done[0].json);
}

#[tokio::test]
async fn a_paid_order_that_is_cancelled_returns_its_stock_and_leaves_a_refund_due() {
    let (app, order) = four_of_ten().await;
    app.pay(&order).await.unwrap();
    let mut cancellations = JoinSet::new();
    for _ in 0..4 {
        let (app, id) = (app.clone(), order.id);
        cancellations.spawn(async move { cancel(&app, id).await });
    }
    let answers = cancellations.join_all().await;
    let done: Vec<_> = answers.into_iter().filter(|answer| answer.status == StatusCode::OK).collect();
    assert_eq!(done.len(), 1);
    let cancelled = &done[0].json;
    assert_eq!((&cancelled["status"], &cancelled["refund_due"]), (&json!("CANCELLED"), &json!(true)));
    assert_eq!(cancelled["refunded"], json!({"amount": 0, "currency": "EUR"}));
    assert_eq!(app.stock("cup").await, Some(10));
    let now = app.state.clock.now();
    let due = RefundDue { user_id: user(1), order_id: order.id, payment_id: PAYMENT, due_at: now };
    assert_eq!(app.state.orders.refunds_due(now, 10).await.unwrap(), [due]);
}

#[tokio::test]
async fn an_order_that_was_never_paid_leaves_no_refund() {
    let (app, order) = four_of_ten().await;
    let cancelled = cancel(&app, order.id).await.expect(StatusCode::OK);
    assert_eq!(cancelled.json["refund_due"], false);
    assert_eq!(app.state.orders.refunds_due(app.state.clock.now(), 10).await.unwrap(), []);
    app.refund(&app.read(order.id).await, 1).await.unwrap_err();
}

#[tokio::test]
async fn what_is_packed_cannot_be_cancelled_by_anybody() {
    let (app, order) = four_of_ten().await;
    app.pay(&order).await.unwrap();
    for (step, status) in [("pack", "PACKED"), ("ship", "SHIPPED"), ("deliver", "DELIVERED")] {
        let _moved = app.step(order.id, step).await.expect(StatusCode::OK);
        let path = format!("/orders/{}/cancel", order.id);
        for answer in [cancel(&app, order.id).await, app.admin(&path, None).await] {
            assert_eq!(answer.expect(StatusCode::CONFLICT).json["order_status"], status);
        }
    }
    assert_eq!(app.stock("cup").await, Some(6));
}

#[tokio::test]
async fn an_admin_cancels_anybodys_order_and_customers_are_told_why_but_not_who() {
    let (app, order) = four_of_ten().await;
    let path = format!("/orders/{}/cancel", order.id);
    let answer = app.admin(&path, Some(json!({"reason": "The kiln broke"}))).await.expect(StatusCode::OK);
    let at = app.state.clock.now();
    let entry = json!({"status": "CANCELLED", "at": at, "by": "admin", "reason": "The kiln broke"});
    let mut for_the_shop = entry.clone();
    for_the_shop["by_id"] = json!(user(999));
    assert_eq!(answer.json["history"][1], for_the_shop);
    for path in ["", "/tracking"] {
        let read = app.get(&format!("/orders/{}{path}", order.id)).await.json;
        assert_eq!(read["history"][1], entry);
    }
    assert_eq!(app.stock("cup").await, Some(10));
    let unknown = format!("/orders/{}/cancel", Uuid::nil());
    let _unknown = app.admin(&unknown, None).await.expect(StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_bad_reason_is_refused() {
    let (app, order) = four_of_ten().await;
    for (field, body) in [
        ("reason", json!({"reason": ""})),
        ("reason", json!({"reason": "a\nb"})),
        ("reason", json!({"reason": "x".repeat(201)})),
        ("reason", json!({"reason": 5})),
        ("status", json!({"status": "PAID"})),
    ] {
        let post = call(Method::POST, &format!("/orders/{}/cancel", order.id)).token(&app.token(1));
        let answer = post.json(&body).send(&app.router).await.expect(StatusCode::BAD_REQUEST);
        assert_eq!(answer.json["field"], field);
    }
    assert_eq!(app.read(order.id).await, order);
}

#[tokio::test]
async fn an_order_that_is_being_paid_can_be_cancelled_only_after_the_payment_failed() {
    let (app, order) = four_of_ten().await;
    app.begin_payment(&order).await.unwrap();
    let answer = cancel(&app, order.id).await.expect(StatusCode::CONFLICT);
    assert_eq!(answer.json["type"], "urn:problem-type:illegal-transition");
    assert_eq!(answer.json["order_status"], "PENDING_PAYMENT");
    assert_eq!(answer.json["payment_in_progress"], true);
    assert_eq!(app.stock("cup").await, Some(6));

    app.release_payment(&order, PAYMENT).await.unwrap();
    let _cancelled = cancel(&app, order.id).await.expect(StatusCode::OK);
    assert_eq!(app.stock("cup").await, Some(10));
}

/// The payment starts after a different number of steps of the cancellation each time, so that every interleaving
/// of the two comes up.
#[tokio::test]
async fn of_a_payment_and_a_cancellation_exactly_one_wins() {
    let mut winners = Vec::new();
    for delay in 0..8 {
        let (app, order) = four_of_ten().await;
        let payment = async {
            for _ in 0..delay {
                tokio::task::yield_now().await;
            }
            app.begin_payment(&order).await
        };
        let (begun, cancelled) = tokio::join!(payment, cancel(&app, order.id));
        let after = app.read(order.id).await;
        match after.status {
            Status::PendingPayment => {
                begun.unwrap();
                let _refused = cancelled.expect(StatusCode::CONFLICT);
                assert_eq!(app.stock("cup").await, Some(6));
            }
            Status::Cancelled => {
                assert!(matches!(begun, Err(TransactionError::Cancelled(_))));
                let _cancelled = cancelled.expect(StatusCode::OK);
                assert_eq!(app.stock("cup").await, Some(10));
                assert_eq!(after.payment_id, None);
            }
            other => panic!("neither won: {other}"),
        }
        winners.push(after.status);
        if !app.database.is_embedded() {
            return; // Elsewhere than in the embedded database a step takes any time.
        }
    }
    assert!(winners.contains(&Status::PendingPayment) && winners.contains(&Status::Cancelled), "{winners:?}");
}

#[tokio::test]
async fn a_product_that_is_gone_does_not_stand_in_the_way() {
    let app = App::new().await;
    app.sell("cup", 1299, 10).await;
    app.sell("tea", 450, 10).await;
    let order = app.order(&[("cup", 4), ("tea", 1)]).await;
    app.remove_product("cup").await;
    let _cancelled = cancel(&app, order.id).await.expect(StatusCode::OK);
    assert_eq!(app.stock("tea").await, Some(10));
    assert_eq!(app.stock("cup").await, None, "and does not come back half");
}

#[tokio::test]
async fn another_users_order_is_as_unknown_as_none() {
    let (app, order) = four_of_ten().await;
    for (method, path) in [(Method::GET, ""), (Method::GET, "/tracking"), (Method::POST, "/cancel")] {
        let send = async |id: Uuid| {
            let call = call(method.clone(), &format!("/orders/{id}{path}"));
            call.token(&app.token(2)).send(&app.router).await
        };
        let foreign = send(order.id).await.expect(StatusCode::NOT_FOUND);
        let unknown = send(Uuid::from_u128(42)).await.expect(StatusCode::NOT_FOUND);
        assert_eq!(foreign.json, unknown.json, "{path}");
        let bad = call(method, &format!("/orders/42{path}")).token(&app.token(1));
        let _malformed = bad.send(&app.router).await.expect(StatusCode::BAD_REQUEST);
    }
    assert_eq!(app.read(order.id).await, order);
    let theirs = call(Method::GET, "/orders").token(&app.token(2));
    let list: Value = theirs.send(&app.router).await.json;
    assert_eq!(list["items"], json!([]));
}
