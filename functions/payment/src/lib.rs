//! Payment: one charge per order, whatever clients, retries, parallel requests and crashes do.
//!
//! A payment takes three steps, each safe to repeat ([`settlement`]):
//!
//! 1. **intent**, one transaction: the payment is recorded as processing and the order marked with its id. While the
//!    mark stands, the order can be neither cancelled nor paid a second time.
//! 2. **charge**: the provider is asked, with the payment's id as idempotency key.
//! 3. **finish**, one transaction: the outcome is recorded and the order becomes paid, or its mark is taken off.
//!
//! Who dies in between leaves a mark and a lease that runs out. Then the next `POST /pay` for the order, the provider's
//! webhook, or the scheduled [`reconciler`], goes on with the same payment. Refunds ([`refunds`]) take the same steps.

pub mod events;
pub mod model;
#[cfg(feature = "openapi")]
pub mod openapi;
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
use shared::run::Failure;

use provider::{PaymentProvider, Stripe, TestProvider};
use routes::{pay, payment, payments, refund, stripe_webhook};
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
    /// The same, where it is Stripe: its webhooks are heard.
    pub stripe: Option<Stripe>,
    /// How long a provider may take to move money; then its answer counts as lost. With what else a request does, it is
    /// below the function's own timeout, so that the client is told.
    pub provider_deadline: Duration,
    /// Time.
    pub clock: Clock,
    /// Ids.
    pub ids: Generator,
}

impl State {
    /// The state of a running function: the tables that `PAYMENT_TABLE` and `ORDER_TABLE` name, and the provider that
    /// `PAYMENT_PROVIDER` names: `test`, or `stripe` at `STRIPE_API_URL` with the keys in the secret `STRIPE_SECRET`.
    pub async fn new(env: &Env, aws: &Aws) -> Result<Self, Failure> {
        let dynamodb = aws.dynamodb();
        let payments = Table::new(dynamodb.clone(), env.required("PAYMENT_TABLE")?);
        let orders = Table::new(dynamodb, env.required("ORDER_TABLE")?);
        let (clock, ids) = (Clock::system(), Generator::system());
        let stripe = match env.required("PAYMENT_PROVIDER")? {
            "test" => None,
            "stripe" => Some(Stripe::load(env, aws, &clock).await?),
            _ => {
                let reason = "expected test or stripe".to_owned();
                return Err(ConfigError::Invalid { name: "PAYMENT_PROVIDER".to_owned(), reason }.into());
            }
        };
        let provider: Arc<dyn PaymentProvider> = match &stripe {
            Some(stripe) => Arc::new(stripe.clone()),
            None => Arc::new(TestProvider::new(payments.clone())),
        };
        Ok(Self {
            provider,
            stripe,
            provider_deadline: Duration::from_secs(5),
            idempotency: Idempotency::new(payments.clone(), clock.clone(), ids.clone()),
            payments: PaymentStore::new(payments),
            orders: OrderStore::new(orders),
            clock,
            ids,
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
        .post("/webhooks/stripe", Access::Public, stripe_webhook::post)
}

/// The function's router.
pub fn router(state: State, service: Service) -> Router {
    routes().into_router(state, service)
}
