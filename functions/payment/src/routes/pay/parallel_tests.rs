//! However many ask at once, an order is charged once. Threads, since on one thread the embedded database answers
//! each call at once and nothing would interleave.

use std::sync::Barrier;
use std::thread;

use http::StatusCode;
use order::model::{Order, Status};
use shared::testing::Answer;

use crate::testing::{App, Fault};

/// Pays `order` on `count` threads at once, and does `other` on one more; the answers.
fn pay_in_parallel<T: Send>(
    app: &App,
    order: &Order,
    count: usize,
    other: impl AsyncFn() -> T + Send + Sync,
) -> (Vec<Answer>, T) {
    let barrier = Barrier::new(count + 1);
    thread::scope(|scope| {
        let payers: Vec<_> = (0..count)
            .map(|_| {
                scope.spawn(|| {
                    block_on(async {
                        barrier.wait();
                        app.pay_with(order, "pm_card_visa").await
                    })
                })
            })
            .collect();
        let other = block_on(async {
            barrier.wait();
            other().await
        });
        (payers.into_iter().map(|payer| payer.join().unwrap()).collect(), other)
    })
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn assert_one_receipt(answers: &[Answer]) {
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    let created = statuses.iter().filter(|status| **status == StatusCode::CREATED).count();
    let conflicts = statuses.iter().filter(|status| **status == StatusCode::CONFLICT).count();
    assert_eq!((created, conflicts), (1, answers.len() - 1), "{statuses:?}");
}

#[test]
fn sixteen_at_once_are_one_charge() {
    for _ in 0..10 {
        let app = block_on(App::new());
        let order = block_on(app.order());
        let (answers, ()) = pay_in_parallel(&app, &order, 16, async || ());
        assert_one_receipt(&answers);
        block_on(app.assert_paid_once(&order));
        assert_eq!(block_on(app.payments()).len(), 1, "the others left no trace");
    }
}

#[test]
fn sixteen_who_find_an_abandoned_payment_finish_it_once() {
    for fault in [Fault::HoldBefore, Fault::HoldAfter] {
        let app = block_on(App::new());
        let order = block_on(app.order());
        block_on(app.die(&order, "pm_card_visa", fault));
        app.outlive_leases();
        let (answers, ()) = pay_in_parallel(&app, &order, 16, async || ());
        assert_one_receipt(&answers);
        block_on(app.assert_paid_once(&order));
    }
}

#[test]
fn a_cancellation_at_the_same_moment_wins_or_loses() {
    for _ in 0..20 {
        let app = block_on(App::new());
        let order = block_on(app.order());
        let (answers, cancelled) = pay_in_parallel(&app, &order, 2, async || app.cancel(&order).await);
        if cancelled {
            assert!(answers.iter().all(|answer| answer.status == StatusCode::CONFLICT), "{answers:?}");
            let charges = block_on(app.charges());
            assert!(charges.is_empty(), "a cancelled order is not charged: {charges:?}");
            assert_eq!(block_on(app.read(&order)).status, Status::Cancelled);
        } else {
            assert_one_receipt(&answers);
            block_on(app.assert_paid_once(&order));
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
