//! Payment: one charge per order, whatever clients, retries, parallel requests and crashes do.
//!
//! A payment takes three steps, each safe to repeat ([`settlement`]):
//!
//! 1. **intent**, one transaction: the payment is recorded as processing and the order marked with its id. While the
//!    mark stands, the order can be neither cancelled nor paid a second time.
//! 2. **charge**: the provider is asked, with the payment's id as idempotency key.
//! 3. **finish**, one transaction: the outcome is recorded and the order becomes paid, or its mark is taken off.
//!
//! Who dies in between leaves a mark and a lease that runs out. Then the next `POST /pay` for the order, or the
//! scheduled [`reconciler`], takes over and goes on with the same payment.

pub mod model;
pub mod provider;
pub mod reconciler;
pub mod refunds;
mod routes;
pub mod settlement;
pub mod store;

#[cfg(test)]
mod testing;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use order::store::OrderStore;
use shared::aws::Aws;
use shared::clock::Clock;
use shared::config::{ConfigError, Env};
use shared::db::Table;
use shared::id::Generator;
use shared::idempotency::Idempotency;
use shared::routes::{Access, Routes, Service};

use provider::{PaymentProvider, TestProvider};
use routes::{pay, payment, payments, refund};
use store::PaymentStore;

/// What the handlers and the reconciler work with.
#[derive(Debug, Clone)]
pub struct State {
    /// This service's table.
    pub payments: PaymentStore,
    /// What was asked for under a key.
    pub idempotency: Idempotency,
    /// What is to be paid.
    pub orders: OrderStore,
    /// Who moves the money.
    pub provider: Arc<dyn PaymentProvider>,
    /// How long a provider may take; then its answer counts as lost. Well below the function's own timeout, so that
    /// the client is told.
    pub provider_deadline: Duration,
    /// Time.
    pub clock: Clock,
    /// Ids.
    pub ids: Generator,
}

impl State {
    /// The state of a running function: the tables that `PAYMENT_TABLE` and `ORDER_TABLE` name, and the built-in
    /// provider.
    pub fn new(env: &Env, aws: &Aws) -> Result<Self, ConfigError> {
        let dynamodb = aws.dynamodb();
        let payments = Table::new(dynamodb.clone(), env.required("PAYMENT_TABLE")?);
        let orders = Table::new(dynamodb, env.required("ORDER_TABLE")?);
        Ok(Self {
            provider: Arc::new(TestProvider::new(payments.clone())),
            provider_deadline: Duration::from_secs(6),
            idempotency: Idempotency::new(payments.clone(), Clock::system(), Generator::system()),
            payments: PaymentStore::new(payments),
            orders: OrderStore::new(orders),
            clock: Clock::system(),
            ids: Generator::system(),
        })
    }
}

/// The front door.
pub fn routes() -> Routes<State> {
    Routes::new("payment")
        .post("/pay", Access::Caller, pay::post)
        .get("/payments", Access::Caller, payments::list)
        .get("/payments/{id}", Access::Caller, payment::get)
        .post("/payments/{id}/refund", Access::Admin, refund::post)
}

/// The function's router.
pub fn router(state: State, service: Service) -> Router {
    routes().into_router(state, service)
}
