//! Expires the orders that nobody paid in time, so that their stock can be sold again.
//!
//! An order that is being paid is left alone: its payment wins, or lets it go, and a later run sees to it.

use cart::store::CartStore;
use serde::Serialize;
use shared::aws::Aws;
use shared::clock::Clock;
use shared::config::{ConfigError, Env};
use shared::db::Table;
use shared::run::Failure;
use shared::trace;
use tokio::task::JoinSet;

use crate::ending::{EndError, end};
use crate::model::{Act, Actor, Illegal, Transition};
use crate::store::{OrderStore, UnpaidOrder};

/// How many orders are expired at once. Few, because they may return stock of the same product.
const BATCH: i32 = 10;

/// What the expiry works with.
#[derive(Debug, Clone)]
pub struct Expiry {
    /// What expires.
    pub orders: OrderStore,
    /// The stock.
    pub carts: CartStore,
    /// Time.
    pub clock: Clock,
}

/// What a run came to, in orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Counts {
    /// Not paid in time.
    pub expired: u32,
    /// Being paid right now; a later run looks again.
    pub being_paid: u32,
    /// Somebody else paid, cancelled or expired it first.
    pub taken: u32,
    /// Something is wrong; it was logged.
    pub failed: u32,
}

/// One order could not be expired.
#[derive(Debug, thiserror::Error)]
#[error("{failed} orders could not be expired, see the log: {counts:?}", failed = counts.failed)]
pub struct Incomplete {
    /// What the run came to.
    pub counts: Counts,
}

impl Expiry {
    /// What a running function works with: the tables that `ORDER_TABLE` and `CART_TABLE` name.
    pub fn new(env: &Env, aws: &Aws) -> Result<Self, ConfigError> {
        let client = aws.dynamodb();
        let table = |variable| Ok(Table::new(client.clone(), env.required(variable)?));
        Ok(Self {
            orders: OrderStore::new(table("ORDER_TABLE")?),
            carts: CartStore::new(table("CART_TABLE")?),
            clock: Clock::system(),
        })
    }
}

/// Expires every order whose time is over. One that fails, or panics, stops no other; the run then ends as
/// [`Incomplete`], so that the alarm on the function's errors sees it. A run that is killed, or meets another one, does
/// no harm: each order changes in one transaction, and only once.
pub async fn run(expiry: &Expiry) -> Result<Counts, Failure> {
    let now = expiry.clock.now();
    let mut counts = Counts::default();
    let mut start = None;
    loop {
        // All of the list, and not only its head: there may stand many that are being paid.
        let page = expiry.orders.unpaid(now, BATCH, start).await?;
        let mut tasks = JoinSet::new();
        for unpaid in page.items {
            let expiry = expiry.clone();
            tasks.spawn(trace::follow(None, async move { expire(&expiry, &unpaid).await }));
        }
        while let Some(outcome) = tasks.join_next().await {
            *count(&mut counts, outcome.ok()) += 1;
        }
        start = page.next;
        if start.is_none() {
            break;
        }
    }
    tracing::info!(?counts, "expired");
    if counts.failed == 0 { Ok(counts) } else { Err(Incomplete { counts }.into()) }
}

async fn expire(expiry: &Expiry, unpaid: &UnpaidOrder) -> Result<(), EndError> {
    let act = Act::of(Actor::System, expiry.clock.now());
    let order = (unpaid.user_id, unpaid.order_id);
    let order = end(&expiry.orders, &expiry.carts, order, Transition::Expire, &act).await?;
    tracing::info!(order_id = %order.id, "order expired");
    Ok(())
}

/// What the outcome counts as; none is a panic, of which the panic hook has logged the place.
fn count(counts: &mut Counts, outcome: Option<Result<(), EndError>>) -> &mut u32 {
    match outcome {
        Some(Ok(())) => &mut counts.expired,
        Some(Err(EndError::Illegal(Illegal::PaymentInProgress { .. }))) => &mut counts.being_paid,
        Some(Err(EndError::Illegal(_))) => &mut counts.taken,
        Some(Err(error)) => {
            tracing::error!(error = %shared::problem::Chain(&error), "an order cannot be expired");
            &mut counts.failed
        }
        None => &mut counts.failed,
    }
}

#[cfg(test)]
mod parallel_tests;
#[cfg(test)]
mod tests;
