//! `POST /orders/{id}/cancel`.

use std::collections::HashSet;

use axum::extract::State;
use cart::model::ProductId;
use shared::db::{Cancelled, TransactionError};
use shared::http::{Json, Path};
use shared::problem::Problem;
use shared::token::Caller;
use uuid::Uuid;

use super::view::OrderView;
use super::{ATTEMPTS, no_order};
use crate::State as App;
use crate::model::Transition;

/// Gives up one of the caller's orders that awaits payment, and returns its stock.
pub(crate) async fn post(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<Json<OrderView>, Problem> {
    // Products that were taken out of the catalogue since: there is nowhere to return their stock to.
    let mut gone: HashSet<ProductId> = HashSet::new();
    for _ in 0..ATTEMPTS {
        let order = app.orders.order(caller.user_id, id).await?.ok_or_else(no_order)?;
        let now = app.clock.now();
        let cancelled = order.clone().moved(Transition::Cancel, now)?;

        let mut transaction = app.orders.transaction();
        for write in app.orders.cancel_writes(&order, now)? {
            transaction.add(write);
        }
        let mut returns = Vec::with_capacity(order.lines.len());
        for line in order.lines.iter().filter(|line| !gone.contains(&line.product_id)) {
            let write = app.carts.return_stock_write(&line.product_id, line.quantity)?;
            returns.push((transaction.add(write), &line.product_id));
        }
        match transaction.run().await {
            Ok(()) => return Ok(Json(cancelled.into())),
            Err(TransactionError::Cancelled(reasons)) => gone.extend(failed(&reasons, &returns)),
            Err(TransactionError::Db(error)) => return Err(error.into()),
        }
    }
    Err(Problem::unavailable(1))
}

fn failed(reasons: &Cancelled, returns: &[(usize, &ProductId)]) -> Vec<ProductId> {
    let failed = returns.iter().filter(|(index, _)| reasons.failed(*index));
    failed.map(|(_, id)| (*id).clone()).collect()
}

#[cfg(test)]
mod tests {
    use http::{Method, StatusCode};
    use serde_json::{Value, json};
    use shared::db::TransactionError;
    use shared::testing::{Answer, call};
    use tokio::task::JoinSet;
    use uuid::Uuid;

    use crate::model::{Order, Status};
    use crate::routes::testing::{App, PAYMENT, user};

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
    async fn a_paid_order_cannot_be_cancelled() {
        let (app, order) = four_of_ten().await;
        app.pay(&order).await.unwrap();
        let answer = cancel(&app, order.id).await.expect(StatusCode::CONFLICT);
        assert_eq!(answer.json["order_status"], "PAID");
        assert_eq!(app.stock("cup").await, Some(6));
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
                app.pay(&order).await
            };
            let (paid, cancelled) = tokio::join!(payment, cancel(&app, order.id));
            let after = app.read(order.id).await;
            match after.status {
                Status::Paid => {
                    paid.unwrap();
                    let _refused = cancelled.expect(StatusCode::CONFLICT);
                    assert_eq!(app.stock("cup").await, Some(6));
                }
                Status::Cancelled => {
                    assert!(matches!(paid, Err(TransactionError::Cancelled(_))));
                    let _cancelled = cancelled.expect(StatusCode::OK);
                    assert_eq!(app.stock("cup").await, Some(10));
                    assert_eq!(after.payment_id, None);
                }
                other => panic!("neither won: {other}"),
            }
            assert_eq!(after.history.len(), 2);
            winners.push(after.status);
        }
        assert!(winners.contains(&Status::Paid) && winners.contains(&Status::Cancelled), "{winners:?}");
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
}
