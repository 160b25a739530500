//! What nobody pays for goes back on sale, once, and nothing that is paid for.

use serde_json::json;
use shared::db::Key;
use tokio::task::JoinSet;

use super::*;
use crate::model::{Order, Status};
use crate::routes::testing::{App, PAYMENT, user};

/// Ten cups, of which an order takes four.
async fn four_of_ten() -> (App, Order) {
    let app = App::new().await;
    app.sell("cup", 1299, 10).await;
    let order = app.order(&[("cup", 4)]).await;
    (app, order)
}

fn expired(count: u32) -> Counts {
    Counts { expired: count, ..Counts::default() }
}

#[tokio::test]
async fn an_order_that_nobody_pays_in_time_returns_its_stock_once() {
    let (app, order) = four_of_ten().await;
    app.state.clock.advance(app.state.payment_window - jiff::SignedDuration::from_mins(2));
    let younger = app.order(&[("cup", 1)]).await;
    assert_eq!(app.expire().await, Counts::default(), "its time is not over yet");
    app.state.clock.advance(jiff::SignedDuration::from_mins(1));
    assert_eq!(app.expire().await, expired(1));
    assert_eq!(app.stock("cup").await, Some(9));
    let read = app.get(&format!("/orders/{}", order.id)).await.json;
    assert_eq!(read["status"], "EXPIRED");
    assert_eq!(read["history"][1], json!({"status": "EXPIRED", "at": order.pay_until, "by": "system"}));

    assert_eq!(app.expire().await, Counts::default(), "nothing is left to do");
    assert_eq!(app.stock("cup").await, Some(9));
    assert_eq!(app.state.orders.newest_open(user(1)).await.unwrap().map(|open| open.id), Some(younger.id));
    app.begin_payment(&order).await.unwrap_err();
}

#[tokio::test]
async fn what_is_paid_or_cancelled_is_not_expired() {
    let app = App::new().await;
    app.sell("cup", 1299, 10).await;
    let (paid, cancelled) = (app.order(&[("cup", 1)]).await, app.order(&[("cup", 1)]).await);
    app.pay(&paid).await.unwrap();
    let _cancelled = app.post(1, &format!("/orders/{}/cancel", cancelled.id)).await;
    app.outlive_payment_windows();
    assert_eq!(app.expire().await, Counts::default());
    assert_eq!(app.read(paid.id).await.status, Status::Paid);
    assert_eq!(app.stock("cup").await, Some(9));
}

#[tokio::test]
async fn those_that_are_being_paid_are_left_alone_and_stand_in_nobodys_way() {
    let app = App::new().await;
    app.sell("cup", 1299, 100).await;
    let mut being_paid = Vec::new();
    // More than are looked at at once.
    for _ in 0..2 * BATCH + 3 {
        let order = app.order(&[("cup", 1)]).await;
        app.begin_payment(&order).await.unwrap();
        being_paid.push(order);
    }
    let unpaid = app.order(&[("cup", 1)]).await;
    app.outlive_payment_windows();
    assert_eq!(app.expire().await, Counts { expired: 1, being_paid: 23, ..Counts::default() });
    assert_eq!(app.read(unpaid.id).await.status, Status::Expired);

    app.release_payment(&being_paid[0], PAYMENT).await.unwrap();
    app.mark_paid(&being_paid[1], PAYMENT).await.unwrap();
    assert_eq!(app.expire().await, Counts { expired: 1, being_paid: 21, ..Counts::default() });
    assert_eq!(app.read(being_paid[0].id).await.status, Status::Expired);
    assert_eq!(app.read(being_paid[1].id).await.status, Status::Paid);
    assert_eq!(app.stock("cup").await, Some(100 - 22));
}

#[tokio::test]
async fn one_that_fails_stops_no_other_and_sets_off_the_alarm() {
    let app = App::new().await;
    app.sell("cup", 1299, 10).await;
    let mut orders = Vec::new();
    for _ in 0..3 {
        orders.push(app.order(&[("cup", 1)]).await);
    }
    let key = Key::new(format!("USER#{}", user(1)), format!("ORDER#{}", orders[0].id));
    app.state.orders.table().put(&key, &json!({"id": "damaged"})).await.unwrap();
    app.outlive_payment_windows();
    let error = run(&app.expiry()).await.unwrap_err();
    let incomplete: &Incomplete = error.downcast_ref().unwrap();
    assert_eq!(incomplete.counts, Counts { expired: 2, failed: 1, ..Counts::default() });
    assert_eq!(app.stock("cup").await, Some(9));

    app.state.orders.table().put(&key, &orders[0]).await.unwrap();
    assert_eq!(app.expire().await, expired(1), "and is tried again");
    assert_eq!(app.stock("cup").await, Some(10));
}

#[tokio::test]
async fn many_runs_at_once_and_lost_answers_return_the_stock_once() {
    let app = App::new().await;
    app.sell("cup", 1299, 100).await;
    for _ in 0..12 {
        app.order(&[("cup", 2)]).await;
    }
    app.outlive_payment_windows();
    app.database.lose_answers("TransactWriteItems", 0..3);
    let mut runs = JoinSet::new();
    for _ in 0..4 {
        let app = app.clone();
        runs.spawn(async move { app.expire().await });
    }
    let counts = runs.join_all().await;
    assert_eq!(counts.iter().map(|counts| counts.expired).sum::<u32>(), 12, "{counts:?}");
    assert_eq!(app.stock("cup").await, Some(100));
}

#[tokio::test]
async fn a_product_that_is_gone_does_not_stand_in_the_way() {
    let (app, order) = four_of_ten().await;
    app.remove_product("cup").await;
    app.outlive_payment_windows();
    assert_eq!(app.expire().await, expired(1));
    assert_eq!(app.read(order.id).await.status, Status::Expired);
    assert_eq!(app.stock("cup").await, None, "and does not come back half");
}
