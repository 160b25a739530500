//! Whatever a function was about to do, or had just done, when it was killed: the job is finished by the next who comes,
//! and happens once.

use http::StatusCode;
use order::model::{Order, Status};
use serde_json::{Value, json};
use shared::page::PageQuery;
use shared::testing::{Answer, When};
use uuid::Uuid;

use crate::reconciler::run;
use crate::testing::{App, Fault, USER};

/// Where a function is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kill {
    /// At a call of the database.
    At(usize, When),
    /// At the provider.
    Provider(Fault),
}

/// Who comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// A request, under a key or without one.
    Request(Option<&'static str>),
    Reconciler,
}

const KEY: Option<&str> = Some("the-clients-own");

impl Kill {
    const PROVIDER: [Self; 2] = [Self::Provider(Fault::HoldBefore), Self::Provider(Fault::HoldAfter)];

    /// What the work came to, where it was done before it got there.
    async fn kill<T>(self, app: &App, work: impl Future<Output = T>) -> Option<T> {
        match self {
            Self::At(call, when) => app.database.kill_at(call, when, work).await,
            Self::Provider(fault) => {
                app.provider.next(fault);
                tokio::select! {
                    outcome = work => Some(outcome),
                    () = app.provider.struck.notified() => None,
                }
            }
        }
    }
}

/// Tries `scenario` with every kill there is; it tells whether its function was killed.
async fn everywhere(scenario: impl AsyncFn(Kill) -> bool) {
    for kill in Kill::PROVIDER {
        assert!(scenario(kill).await, "{kill:?} did not strike");
    }
    for when in [When::Before, When::After] {
        let mut call = 0;
        while scenario(Kill::At(call, when)).await {
            call += 1;
        }
        assert!(call >= 4, "{call} kills");
    }
}

async fn pay(app: &App, order: &Order, key: Option<&str>, card: &str) -> Answer {
    app.pay_under(key, &json!({"order_id": order.id, "payment_method": card})).await
}

async fn reconcile(app: &App, context: &dyn std::fmt::Debug) {
    if let Err(error) = run(&app.state).await {
        panic!("{context:?}: {error}");
    }
}

/// Whether it is the answer to a request that found the order paid by another one.
fn found_it_paid(answer: &Answer) -> bool {
    answer.json["type"] == "urn:problem-type:order-not-payable" && answer.json["order_status"] == "PAID"
}

async fn killed_payment(kill: Kill, key: Option<&str>, next: Next) -> bool {
    let context = (kill, key, next);
    let app = App::new().await;
    let order = app.order().await;
    let killed = kill.kill(&app, pay(&app, &order, key, "pm_card_visa")).await.is_none();
    let begun = app.read(&order).await.payment_id;
    app.outlive_leases();
    match next {
        Next::Request(next_key) => {
            let answer = pay(&app, &order, next_key, "pm_card_visa").await;
            if answer.status == StatusCode::CREATED {
                assert!(begun.is_none_or(|begun| answer.json["payment_id"] == json!(begun)), "{context:?}");
            } else {
                // Only the key tells a request from another one.
                assert!(
                    found_it_paid(&answer) && (key.is_none() || next_key != key),
                    "{context:?} {answer:?}"
                );
            }
        }
        Next::Reconciler => {
            reconcile(&app, &context).await;
            if begun.is_none() {
                assert_eq!(app.payments().await, [], "{context:?}");
                let _receipt = pay(&app, &order, None, "pm_card_visa").await.expect(StatusCode::CREATED);
            }
        }
    }
    app.assert_paid_once(&order).await;
    assert_eq!(app.payments().await.len(), 1, "{context:?}");
    if key.is_some() {
        again(&app, &order, key, begun, &context).await;
    }
    killed
}

/// The client that was never answered asks again.
async fn again(
    app: &App,
    order: &Order,
    key: Option<&str>,
    begun: Option<Uuid>,
    context: &dyn std::fmt::Debug,
) {
    let paid_by = json!(app.read(order).await.payment_id);
    let again = pay(app, order, key, "pm_card_visa").await;
    if again.status == StatusCode::CREATED {
        assert_eq!(again.json["payment_id"], paid_by, "{context:?}");
        let replayed = pay(app, order, key, "pm_card_visa").await.expect(StatusCode::CREATED);
        assert_eq!(
            (&replayed.json, &replayed.headers["idempotency-replayed"]),
            (&again.json, &"true".parse().unwrap())
        );
    } else {
        assert!(begun.is_none() && found_it_paid(&again), "{context:?} {again:?}");
    }
    app.assert_paid_once(order).await;
}

#[tokio::test]
async fn a_payment_killed_anywhere_is_finished_by_the_next_request_under_its_key() {
    everywhere(async |kill| killed_payment(kill, KEY, Next::Request(KEY)).await).await;
}

#[tokio::test]
async fn a_payment_killed_anywhere_is_finished_by_a_request_without_its_key() {
    everywhere(async |kill| killed_payment(kill, KEY, Next::Request(None)).await).await;
    everywhere(async |kill| killed_payment(kill, KEY, Next::Request(Some("another"))).await).await;
}

#[tokio::test]
async fn a_payment_killed_anywhere_is_finished_by_the_reconciler() {
    everywhere(async |kill| killed_payment(kill, KEY, Next::Reconciler).await).await;
    everywhere(async |kill| killed_payment(kill, None, Next::Reconciler).await).await;
}

#[tokio::test]
async fn a_payment_without_a_key_killed_anywhere_is_finished_by_the_next_request() {
    everywhere(async |kill| killed_payment(kill, None, Next::Request(None)).await).await;
    everywhere(async |kill| killed_payment(kill, None, Next::Request(KEY)).await).await;
}

#[tokio::test]
async fn a_decline_killed_anywhere_is_told_under_its_key_and_frees_the_order() {
    for next in [Next::Request(KEY), Next::Reconciler] {
        everywhere(async |kill| {
            let app = App::new().await;
            let order = app.order().await;
            let killed = kill.kill(&app, pay(&app, &order, KEY, "pm_card_declined")).await.is_none();
            app.outlive_leases();
            if next == Next::Reconciler {
                reconcile(&app, &kill).await;
            }
            let told = pay(&app, &order, KEY, "pm_card_declined").await.expect(StatusCode::PAYMENT_REQUIRED);
            let payments = app.payments().await;
            let [payment] = payments.as_slice() else { panic!("{kill:?}: {payments:?}") };
            assert_eq!(told.json["payment_id"], json!(payment.id), "{kill:?}");
            assert_eq!(app.read(&order).await.payment_id, None, "{kill:?}");
            let _receipt = app.pay_with(&order, "pm_card_visa").await.expect(StatusCode::CREATED);
            app.assert_paid_once(&order).await;
            killed
        })
        .await;
    }
}

fn part() -> Value {
    json!({"amount": {"amount": 2000, "currency": "EUR"}, "reason": "one mug was broken"})
}

async fn killed_refund(kill: Kill, key: Option<&str>, next: Next) -> bool {
    let context = (kill, key, next);
    let app = App::new().await;
    let (order, payment_id) = app.paid("pm_card_visa").await;
    let killed = kill.kill(&app, app.refund(payment_id, key, &part())).await.is_none();
    let reserved = app.payments().await[0].refund_reserved;
    app.outlive_leases();
    match next {
        Next::Request(key) => {
            let _done = app.refund(payment_id, key, &part()).await.expect(StatusCode::CREATED);
        }
        Next::Reconciler => {
            reconcile(&app, &context).await;
            // Where the intent was not recorded, there is nothing to go on with.
            if reserved == 0 {
                let _done = app.refund(payment_id, key, &part()).await.expect(StatusCode::CREATED);
            }
        }
    }
    app.assert_refunded(&order, &[2000]).await;
    assert_eq!(app.read(&order).await.status, Status::Paid);
    if key.is_some() {
        let again = app.refund(payment_id, key, &part()).await.expect(StatusCode::CREATED);
        let history = app.read(&order).await.history;
        assert_eq!(again.json["refund_id"], json!(history.last().unwrap().refund_id), "{context:?}");
        let replayed = app.refund(payment_id, key, &part()).await.expect(StatusCode::CREATED);
        assert_eq!(
            (&replayed.json, &replayed.headers["idempotency-replayed"]),
            (&again.json, &"true".parse().unwrap())
        );
        app.assert_refunded(&order, &[2000]).await;
    }
    killed
}

#[tokio::test]
async fn a_refund_killed_anywhere_is_finished_by_the_next_request_under_its_key() {
    everywhere(async |kill| killed_refund(kill, KEY, Next::Request(KEY)).await).await;
}

#[tokio::test]
async fn a_refund_killed_anywhere_is_finished_by_the_reconciler() {
    everywhere(async |kill| killed_refund(kill, KEY, Next::Reconciler).await).await;
    everywhere(async |kill| killed_refund(kill, None, Next::Reconciler).await).await;
}

#[tokio::test]
async fn a_refund_that_fails_killed_anywhere_reserves_nothing_afterwards() {
    everywhere(async |kill| {
        let app = App::new().await;
        let (order, payment_id) = app.paid("pm_card_refund_fail").await;
        let killed = kill.kill(&app, app.refund(payment_id, KEY, &part())).await.is_none();
        app.outlive_leases();
        let _failed = app.refund(payment_id, KEY, &part()).await.expect(StatusCode::CONFLICT);
        app.assert_refunded(&order, &[]).await;
        killed
    })
    .await;
}

/// Kills the reconciler where it works on what `abandon` left, and lets the next one do its work.
async fn killed_reconciler(kill: Kill, abandon: impl AsyncFn(&App) -> Order) -> (App, Order, bool) {
    let app = App::new().await;
    let order = abandon(&app).await;
    app.outlive_leases();
    let killed = kill.kill(&app, run(&app.state)).await.is_none();
    app.outlive_leases();
    reconcile(&app, &kill).await;
    (app, order, killed)
}

#[tokio::test]
async fn a_reconciler_killed_anywhere_leaves_a_payment_to_the_next_one() {
    for fault in [Fault::HoldBefore, Fault::HoldAfter] {
        everywhere(async |kill| {
            let (app, order, killed) = killed_reconciler(kill, async |app| {
                let order = app.order().await;
                app.die(&order, "pm_card_visa", fault).await;
                order
            })
            .await;
            app.assert_paid_once(&order).await;
            killed
        })
        .await;
    }
}

#[tokio::test]
async fn a_reconciler_killed_anywhere_leaves_a_refund_to_the_next_one() {
    for fault in Kill::PROVIDER {
        everywhere(async |kill| {
            let (app, order, killed) = killed_reconciler(kill, async |app| {
                let (order, payment_id) = app.paid("pm_card_visa").await;
                let answer = fault.kill(app, app.refund(payment_id, None, &part())).await;
                assert!(answer.is_none(), "{answer:?}");
                order
            })
            .await;
            app.assert_refunded(&order, &[2000]).await;
            killed
        })
        .await;
    }
}

#[tokio::test]
async fn a_reconciler_killed_anywhere_pays_a_cancelled_order_back_once() {
    everywhere(async |kill| {
        let (app, order, killed) = killed_reconciler(kill, async |app| {
            let (order, _) = app.paid("pm_card_visa").await;
            assert!(app.cancel(&order).await);
            order
        })
        .await;
        app.assert_refunded(&order, &[order.total.amount]).await;
        assert_eq!(app.state.payments.payments(USER, &PageQuery::default()).await.unwrap().items.len(), 1);
        killed
    })
    .await;
}

fn assert_told_at_once(again: &Answer, done: bool, kill: Kill) {
    if done {
        assert_eq!(again.status, StatusCode::CREATED, "{kill:?} {again:?}");
        assert_eq!(again.headers["idempotency-replayed"], "true", "{kill:?}");
    } else {
        assert_eq!(again.status, StatusCode::CONFLICT, "{kill:?} {again:?}");
        assert_eq!(again.json["type"], "urn:problem-type:request-in-progress", "{kill:?}");
    }
}

/// The answer is stored with what it tells, not after it.
#[tokio::test]
async fn once_the_outcome_is_there_the_key_tells_it_at_once() {
    everywhere(async |kill| {
        let app = App::new().await;
        let order = app.order().await;
        let killed = kill.kill(&app, pay(&app, &order, KEY, "pm_card_visa")).await.is_none();
        let claimed = !app.database.items::<Value>("PaymentTable").await.is_empty();
        if claimed {
            let again = pay(&app, &order, KEY, "pm_card_visa").await;
            assert_told_at_once(&again, app.read(&order).await.status == Status::Paid, kill);
        }
        killed
    })
    .await;
    everywhere(async |kill| {
        let app = App::new().await;
        let (order, payment_id) = app.paid("pm_card_visa").await;
        let before = app.database.items::<Value>("PaymentTable").await.len();
        let killed = kill.kill(&app, app.refund(payment_id, KEY, &part())).await.is_none();
        let claimed = app.database.items::<Value>("PaymentTable").await.len() > before;
        if claimed {
            let again = app.refund(payment_id, KEY, &part()).await;
            assert_told_at_once(&again, app.read(&order).await.refunded == 2000, kill);
        }
        killed
    })
    .await;
}
