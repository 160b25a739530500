//! A payment that begins in the very moment in which its order expires, or is cancelled, wins or is refused, never both.
//! On threads, which meet at any point of each other's work, as instances of functions do.

use std::sync::{Arc, Barrier};

use http::StatusCode;
use tokio::runtime::Handle;
use tokio::task::{JoinHandle, spawn_blocking};

use super::*;
use crate::model::{Order, Status};
use crate::routes::testing::App;

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

async fn overdue() -> (App, Order) {
    let app = App::new().await;
    app.sell("cup", 1299, 10).await;
    let order = app.order(&[("cup", 4)]).await;
    app.outlive_payment_windows();
    (app, order)
}

#[tokio::test]
async fn of_a_payment_and_the_expiry_exactly_one_wins() {
    for _ in 0..60 {
        let (app, order) = overdue().await;
        let barrier = Arc::new(Barrier::new(3));
        let (payer, theirs) = (app.clone(), order.clone());
        let begun = on_a_thread(&barrier, async move { payer.begin_payment(&theirs).await.is_ok() });
        let runs = [app.expiry(), app.expiry()]
            .map(|expiry| on_a_thread(&barrier, async move { run(&expiry).await }));
        let begun = begun.await.unwrap();
        let mut counts = Counts::default();
        for run in runs {
            let one = run.await.unwrap().unwrap();
            counts.expired += one.expired;
        }
        assert_outcome(&app, &order, begun, counts.expired).await;
    }
}

/// The payment begins after a different number of steps of the expiry each time.
#[tokio::test]
async fn both_come_to_win() {
    let mut winners = Vec::new();
    for delay in 0..8 {
        let (app, order) = overdue().await;
        let payment = async {
            for _ in 0..delay {
                tokio::task::yield_now().await;
            }
            app.begin_payment(&order).await.is_ok()
        };
        let (begun, counts) = tokio::join!(payment, app.expire());
        assert_outcome(&app, &order, begun, counts.expired).await;
        winners.push(begun);
        if !app.database.is_embedded() {
            return; // Elsewhere than in the embedded database a step takes any time.
        }
    }
    assert!(winners.contains(&true) && winners.contains(&false), "{winners:?}");
}

async fn assert_outcome(app: &App, order: &Order, begun: bool, expired: u32) {
    let after = app.read(order.id).await;
    if begun {
        assert_eq!((after.status, expired), (Status::PendingPayment, 0));
        assert_eq!(app.stock("cup").await, Some(6));
        app.mark_paid(order, crate::routes::testing::PAYMENT).await.unwrap();
    } else {
        assert_eq!((after.status, after.payment_id, expired), (Status::Expired, None, 1));
        assert_eq!(app.stock("cup").await, Some(10));
    }
    assert_eq!(app.read(order.id).await.history.len(), 2);
}

#[tokio::test]
async fn of_a_cancellation_and_the_expiry_one_returns_the_stock() {
    for _ in 0..20 {
        let (app, order) = overdue().await;
        let barrier = Arc::new(Barrier::new(2));
        let customer = app.clone();
        let cancelled =
            on_a_thread(
                &barrier,
                async move { customer.post(1, &format!("/orders/{}/cancel", order.id)).await },
            );
        let expiry = app.expiry();
        let counts = on_a_thread(&barrier, async move { run(&expiry).await });
        let cancelled = cancelled.await.unwrap().status == StatusCode::OK;
        let counts = counts.await.unwrap().unwrap();
        assert_eq!(u32::from(cancelled) + counts.expired, 1, "{counts:?}");
        assert_eq!(app.stock("cup").await, Some(10));
        assert_eq!(app.read(order.id).await.history.len(), 2);
    }
}
