//! However many ask at once, an order is charged once. On threads, which meet at any point of each other's work, as
//! instances of a function do.

use std::sync::{Arc, Barrier};

use http::StatusCode;
use order::model::{Order, Status};
use shared::testing::Answer;
use tokio::runtime::Handle;
use tokio::task::{JoinHandle, spawn_blocking};

use crate::testing::{App, Fault};

/// Runs `action` on a thread of its own, as soon as everybody is at the barrier.
fn on_a_thread<T: Send + 'static>(
    barrier: &Arc<Barrier>,
    action: impl Future<Output = T> + Send + 'static,
) -> JoinHandle<T> {
    let (barrier, runtime) = (Arc::clone(barrier), Handle::current());
    spawn_blocking(move || {
        barrier.wait();
        runtime.block_on(action)
    })
}

fn pay(app: &Arc<App>, order: &Order, barrier: &Arc<Barrier>) -> JoinHandle<Answer> {
    let (app, order) = (Arc::clone(app), order.clone());
    on_a_thread(barrier, async move { app.pay_with(&order, "pm_card_visa").await })
}

async fn pay_on_threads(app: &Arc<App>, order: &Order, count: usize) -> Vec<Answer> {
    let barrier = Arc::new(Barrier::new(count));
    let payers: Vec<_> = (0..count).map(|_| pay(app, order, &barrier)).collect();
    let mut answers = Vec::new();
    for payer in payers {
        answers.push(payer.await.unwrap());
    }
    answers
}

fn assert_one_receipt(answers: &[Answer]) {
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    let created = statuses.iter().filter(|status| **status == StatusCode::CREATED).count();
    let conflicts = statuses.iter().filter(|status| **status == StatusCode::CONFLICT).count();
    assert_eq!((created, conflicts), (1, answers.len() - 1), "{statuses:?}");
}

#[tokio::test]
async fn sixteen_at_once_are_one_charge() {
    for _ in 0..10 {
        let app = Arc::new(App::new().await);
        let order = app.order().await;
        assert_one_receipt(&pay_on_threads(&app, &order, 16).await);
        app.assert_paid_once(&order).await;
        assert_eq!(app.payments().await.len(), 1, "the others left no trace");
    }
}

#[tokio::test]
async fn sixteen_who_find_an_abandoned_payment_finish_it_once() {
    for fault in [Fault::HoldBefore, Fault::HoldAfter] {
        let app = Arc::new(App::new().await);
        let order = app.order().await;
        app.die(&order, "pm_card_visa", fault).await;
        app.outlive_leases();
        assert_one_receipt(&pay_on_threads(&app, &order, 16).await);
        app.assert_paid_once(&order).await;
    }
}

#[tokio::test]
async fn a_cancellation_at_the_same_moment_wins_or_loses() {
    for _ in 0..20 {
        let app = Arc::new(App::new().await);
        let order = app.order().await;
        let barrier = Arc::new(Barrier::new(3));
        let payers = [pay(&app, &order, &barrier), pay(&app, &order, &barrier)];
        let (neighbour, theirs) = (Arc::clone(&app), order.clone());
        let cancelled = on_a_thread(&barrier, async move { neighbour.cancel(&theirs).await });
        let [one, two] = payers;
        let answers = [one.await.unwrap(), two.await.unwrap()];
        let cancelled = cancelled.await.unwrap();
        let after = app.read(&order).await;
        if cancelled && after.was_paid() {
            assert_one_receipt(&answers);
            assert_eq!(app.charges().await, [order.total.amount]);
            assert!(after.refund_due(), "paid first, cancelled then");
        } else if cancelled {
            assert!(answers.iter().all(|answer| answer.status == StatusCode::CONFLICT), "{answers:?}");
            assert_eq!(app.charges().await, [0; 0], "a cancelled order is not charged");
            assert_eq!(after.status, Status::Cancelled);
        } else {
            assert_one_receipt(&answers);
            app.assert_paid_once(&order).await;
        }
    }
}

#[tokio::test]
async fn while_one_pays_the_others_are_told_to_wait() {
    let app = App::new().await;
    let order = app.order().await;
    app.provider.next(Fault::HoldBefore);
    let (first, ()) = tokio::join!(app.pay_with(&order, "pm_card_visa"), async {
        app.provider.struck.notified().await;
        for _ in 0..3 {
            let answer = app.pay_with(&order, "pm_card_visa").await.expect(StatusCode::CONFLICT);
            assert_eq!(answer.json["type"], "urn:problem-type:payment-in-progress");
        }
        assert!(!app.cancel(&order).await);
        app.provider.go_on.notify_one();
    });
    let _receipt = first.expect(StatusCode::CREATED);
    app.assert_paid_once(&order).await;
}
