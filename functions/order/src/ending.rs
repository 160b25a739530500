//! Ends an order that is not packed yet, by cancellation or expiry: the order and the stock of all its lines change in
//! one transaction, or nothing does.

use std::collections::HashSet;

use cart::model::ProductId;
use cart::store::CartStore;
use shared::db::{Cancelled, DbError, TransactionError};
use uuid::Uuid;

use crate::model::{Act, Illegal, Order, Transition};
use crate::store::OrderStore;

/// How often it is tried when what it builds on has changed since it was read.
const ATTEMPTS: u32 = 5;

/// Why an order was not ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EndError {
    /// The user has no such order.
    #[error("there is no such order")]
    NoOrder,
    /// It is not in a state to be ended.
    #[error(transparent)]
    Illegal(#[from] Illegal),
    /// It kept changing.
    #[error("the order, or its products, kept changing")]
    Contended,
    /// A table.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Moves the user's order by `transition`, [`Transition::Cancel`] or [`Transition::Expire`], and returns its stock; the
/// order as it is then.
pub(crate) async fn end(
    orders: &OrderStore,
    carts: &CartStore,
    (user_id, order_id): (Uuid, Uuid),
    transition: Transition,
    act: &Act,
) -> Result<Order, EndError> {
    // Products that were deleted since: there is nowhere to return their stock to.
    let mut gone: HashSet<ProductId> = HashSet::new();
    for _ in 0..ATTEMPTS {
        let order = orders.order(user_id, order_id).await?.ok_or(EndError::NoOrder)?;
        let ended = order.clone().moved(transition, act.clone())?;

        let mut transaction = orders.transaction();
        for write in orders.end_writes(&order, &ended)? {
            transaction.add(write);
        }
        let mut returns = Vec::with_capacity(order.lines.len());
        for line in order.lines.iter().filter(|line| !gone.contains(&line.product_id)) {
            let write = carts.return_stock_write(&line.product_id, line.quantity)?;
            returns.push((transaction.add(write), &line.product_id));
        }
        match transaction.run().await {
            Ok(()) => return Ok(ended),
            Err(TransactionError::Cancelled(reasons)) => gone.extend(failed(&reasons, &returns)),
            Err(TransactionError::Db(error)) => return Err(error.into()),
        }
    }
    Err(EndError::Contended)
}

fn failed(reasons: &Cancelled, returns: &[(usize, &ProductId)]) -> Vec<ProductId> {
    let failed = returns.iter().filter(|(index, _)| reasons.failed(*index));
    failed.map(|(_, id)| (*id).clone()).collect()
}
