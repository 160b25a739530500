//! What is paid back, and which refunds are due.

use http::StatusCode;
use jiff::SignedDuration;
use shared::db::TransactionError;

use super::*;
use crate::routes::testing::{App, PAYMENT};

/// An order of 40 EUR that was paid, and then these steps were taken.
async fn paid_and(steps: &[&str]) -> (App, Order) {
    let app = App::new().await;
    app.sell("cup", 1000, 10).await;
    let order = app.order(&[("cup", 4)]).await;
    app.pay(&order).await.unwrap();
    for step in steps {
        let answer = match *step {
            "cancel" => app.post(1, &format!("/orders/{}/cancel", order.id)).await,
            step => app.step(order.id, step).await,
        };
        let _moved = answer.expect(StatusCode::OK);
    }
    let order = app.read(order.id).await;
    (app, order)
}

async fn due(app: &App) -> Vec<RefundDue> {
    app.state.orders.refunds_due(app.state.clock.now(), 10).await.unwrap()
}

#[tokio::test]
async fn a_part_is_refunded_and_then_the_rest() {
    for steps in [&[][..], &["pack"], &["pack", "ship"], &["pack", "ship", "deliver"], &["cancel"]] {
        let (app, order) = paid_and(steps).await;
        app.refund(&order, 1500).await.unwrap();
        let partly = app.read(order.id).await;
        assert_eq!((partly.status, partly.refunded), (order.status, 1500), "{steps:?}");
        assert_eq!(due(&app).await.len(), usize::from(steps == ["cancel"]), "what is left is still due");
        let read = app.get(&format!("/orders/{}", order.id)).await.json;
        assert_eq!(read["refunded"]["amount"], 1500);
        let entry = read["history"].as_array().unwrap().last().unwrap();
        assert_eq!((&entry["refund"]["amount"], &entry["by"]), (&1500.into(), &"admin".into()));
        assert_eq!((&entry["reason"], entry.get("by_id")), (&"broken".into(), None));

        app.refund(&partly, 2500).await.unwrap();
        let whole = app.read(order.id).await;
        assert_eq!((whole.status, whole.refunded), (Status::Refunded, 4000));
        assert_eq!(due(&app).await, []);
        assert_eq!(whole.history.len(), order.history.len() + 2);
        app.refund(&whole, 1).await.unwrap_err();
    }
}

#[tokio::test]
async fn no_more_is_refunded_than_was_paid() {
    let (app, order) = paid_and(&[]).await;
    for amount in [0, 4001, u64::MAX] {
        let refused = app.refund(&order, amount).await.unwrap_err();
        assert!(matches!(refused, TransactionError::Db(DbError::Refused(_))), "{refused:?}");
    }
    assert_eq!(app.read(order.id).await, order);
}

#[tokio::test]
async fn of_two_refunds_at_once_from_the_same_read_one_wins() {
    let (app, order) = paid_and(&[]).await;
    for left in [4000, 3000] {
        let read = app.read(order.id).await;
        assert_eq!(read.left().amount, left);
        let (one, two) = tokio::join!(app.refund(&read, 1000), app.refund(&read, 1000));
        assert_eq!([&one, &two].iter().filter(|outcome| outcome.is_ok()).count(), 1, "{one:?} {two:?}");
        let lost = one.and(two).unwrap_err();
        assert!(matches!(lost, TransactionError::Cancelled(_)), "who lost reads it again: {lost:?}");
    }
    let read = app.read(order.id).await;
    assert_eq!((read.refunded, read.history.len()), (2000, order.history.len() + 2));
}

#[tokio::test]
async fn a_refund_and_a_move_at_once_are_both_in_the_history() {
    let (app, order) = paid_and(&[]).await;
    let (refunded, packed) = tokio::join!(app.refund(&order, 1000), app.step(order.id, "pack"));
    let _packed = packed.expect(StatusCode::OK);
    if refunded.is_err() {
        app.refund(&app.read(order.id).await, 1000).await.unwrap();
    }
    let after = app.read(order.id).await;
    assert_eq!((after.status, after.refunded, after.history.len()), (Status::Packed, 1000, 4));
}

#[tokio::test]
async fn what_was_not_paid_is_not_refunded() {
    let app = App::new().await;
    app.sell("cup", 1000, 10).await;
    let (waiting, cancelled) = (app.order(&[("cup", 1)]).await, app.order(&[("cup", 1)]).await);
    let _cancelled = app.post(1, &format!("/orders/{}/cancel", cancelled.id)).await.expect(StatusCode::OK);
    app.refund(&waiting, 1000).await.unwrap_err();
    app.begin_payment(&waiting).await.unwrap();
    app.refund(&app.read(waiting.id).await, 1000).await.unwrap_err();
    app.release_payment(&waiting, PAYMENT).await.unwrap();
    app.outlive_payment_windows();
    assert_eq!(app.expire().await.expired, 1);
    for id in [waiting.id, cancelled.id] {
        let order = app.read(id).await;
        app.refund(&order, 1000).await.unwrap_err();
        assert_eq!(app.read(id).await, order);
    }
}

#[tokio::test]
async fn a_lost_answer_does_not_refund_twice() {
    let (app, order) = paid_and(&["cancel"]).await;
    app.database.lose_answers("TransactWriteItems", 0..1);
    app.refund(&order, 4000).await.unwrap();
    let refunded = app.read(order.id).await;
    assert_eq!((refunded.refunded, refunded.history.len()), (4000, order.history.len() + 1));
}

#[tokio::test]
async fn refunds_are_due_the_longest_first_until_they_are_postponed() {
    let app = App::new().await;
    app.sell("cup", 1000, 10).await;
    let mut cancelled = Vec::new();
    for _ in 0..3 {
        let order = app.order(&[("cup", 1)]).await;
        app.pay(&order).await.unwrap();
        let _cancelled = app.post(1, &format!("/orders/{}/cancel", order.id)).await.expect(StatusCode::OK);
        cancelled.push(order);
    }
    let ids = |due: &[RefundDue]| due.iter().map(|due| due.order_id).collect::<Vec<_>>();
    let all = due(&app).await;
    assert_eq!(ids(&all), [cancelled[0].id, cancelled[1].id, cancelled[2].id]);
    assert_eq!(app.state.orders.refunds_due(app.state.clock.now(), 2).await.unwrap(), all[..2]);

    let later = app.state.clock.now() + SignedDuration::from_hours(1);
    app.state.orders.postpone_refund(&all[0], later).await.unwrap();
    assert_eq!(due(&app).await, all[1..]);
    // Someone who has seen it before does not have it back sooner.
    app.state.orders.postpone_refund(&all[0], app.state.clock.now()).await.unwrap();
    assert_eq!(due(&app).await, all[1..]);
    app.state.clock.advance(SignedDuration::from_hours(1));
    assert_eq!(ids(&due(&app).await), [cancelled[1].id, cancelled[2].id, cancelled[0].id]);

    // Nor does a refund that was made come back.
    app.refund(&app.read(cancelled[1].id).await, 1000).await.unwrap();
    app.state.orders.postpone_refund(&all[1], later).await.unwrap();
    assert_eq!(ids(&due(&app).await), [cancelled[2].id, cancelled[0].id]);
}
