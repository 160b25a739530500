//! `POST /orders/{id}/cancel`.

use std::collections::HashSet;

use axum::extract::State;
use cart::model::ProductId;
use shared::db::{Cancelled, Transaction, TransactionError};
use shared::http::{Json, Path};
use shared::problem::Problem;
use shared::token::Caller;
use uuid::Uuid;

use super::view::OrderView;
use super::{ATTEMPTS, no_order};
use crate::State as App;
use crate::model::Transition;

/// Gives up one of the caller's orders that awaits payment, and returns its stock.
pub(crate) async fn cancel(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<Uuid>,
) -> Result<Json<OrderView>, Problem> {
    // Products that were taken out of the catalogue since: there is nowhere to return their stock to.
    let mut gone: HashSet<ProductId> = HashSet::new();
    for _ in 0..ATTEMPTS {
        let order = app.orders.get(caller.user_id, id).await?.ok_or_else(no_order)?;
        let now = app.clock.now();
        let cancelled = order.clone().moved(Transition::Cancel, now)?;

        let mut transaction = Transaction::new(app.orders.client());
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
