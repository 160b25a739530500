//! The service over an embedded database, with a provider that can be made to die at any step.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use cart::store::CartStore;
use http::{Method, StatusCode};
use jiff::{SignedDuration, Timestamp};
use order::model::{Order, Status};
use order::store::OrderStore;
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::id::Generator;
use shared::idempotency::Idempotency;
use shared::page::PageQuery;
use shared::routes::Service;
use shared::testing::{Answer, Call, Database, call, issuer};
use tokio::sync::Notify;
use user::store::UserStore;
use uuid::Uuid;

use crate::State;
use crate::model::{MethodToken, Payment, PaymentMethod, Progress, RefundOutcome};
use crate::provider::{self, Charge, ChargeRequest, PaymentProvider, RefundRequest, Stripe, TestProvider};
use crate::store::PaymentStore;

pub(crate) const USER: Uuid = Uuid::from_u128(1);
pub(crate) const STRANGER: Uuid = Uuid::from_u128(2);
pub(crate) const ADMIN: Uuid = Uuid::from_u128(3);

pub(crate) struct App {
    pub(crate) router: Router,
    service: Service,
    /// The neighbour that cancels orders.
    orders: Router,
    pub(crate) state: State,
    pub(crate) provider: Arc<Faulty>,
    pub(crate) database: Database,
}

/// What goes wrong with one charge, or one refund.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Stands still before the provider books it, until [`Faulty::go_on`].
    HoldBefore,
    /// Stands still after it booked it.
    HoldAfter,
    PanicBefore,
    PanicAfter,
}

/// The test provider, with one fault for the next charge or refund.
#[derive(Debug)]
pub(crate) struct Faulty {
    inner: TestProvider,
    fault: Mutex<Option<Fault>>,
    /// Tells that the fault has struck.
    pub(crate) struck: Notify,
    /// Ends a hold.
    pub(crate) go_on: Notify,
}

impl Faulty {
    pub(crate) fn next(&self, fault: Fault) {
        *self.fault.lock().unwrap() = Some(fault);
    }

    async fn faulty<T>(&self, call: impl Future<Output = T>) -> T {
        let fault = self.fault.lock().unwrap().take();
        self.strike(fault, Fault::HoldBefore, Fault::PanicBefore).await;
        let answer = call.await;
        self.strike(fault, Fault::HoldAfter, Fault::PanicAfter).await;
        answer
    }

    async fn strike(&self, fault: Option<Fault>, hold: Fault, panic: Fault) {
        if fault == Some(hold) {
            self.struck.notify_one();
            self.go_on.notified().await;
        }
        assert_ne!(fault, Some(panic), "as the test asked for");
    }
}

impl PaymentProvider for Faulty {
    fn method<'a>(&'a self, token: &'a MethodToken) -> provider::Answer<'a, Option<PaymentMethod>> {
        self.inner.method(token)
    }

    fn charge<'a>(&'a self, request: &'a ChargeRequest) -> provider::Answer<'a, Charge> {
        Box::pin(self.faulty(self.inner.charge(request)))
    }

    fn refund<'a>(&'a self, request: &'a RefundRequest) -> provider::Answer<'a, RefundOutcome> {
        Box::pin(self.faulty(self.inner.refund(request)))
    }
}

impl App {
    pub(crate) async fn new() -> Self {
        let clock = Clock::fixed("2026-01-01T00:00:00Z".parse().unwrap());
        let database = Database::new(&["PaymentTable", "OrderTable", "CartTable", "UserTable"]).await;
        let payments = PaymentStore::new(database.table("PaymentTable"));
        let orders = OrderStore::new(database.table("OrderTable"));
        let provider = Arc::new(Faulty {
            inner: TestProvider::new(payments.table()),
            fault: Mutex::new(None),
            struck: Notify::new(),
            go_on: Notify::new(),
        });
        let service = Service::new(issuer().verifier(&clock), vec![payments.table(), orders.table()]);
        let order_state = order::State {
            idempotency: Idempotency::new(orders.table(), clock.clone(), Generator::system()),
            payment_window: SignedDuration::from_mins(30),
            orders: orders.clone(),
            carts: CartStore::new(database.table("CartTable")),
            users: UserStore::new(database.table("UserTable")),
            clock: clock.clone(),
            ids: Generator::system(),
        };
        let mug =
            json!({"id": "mug", "name": "Mug", "price": {"amount": 1699, "currency": "EUR"}, "stock": 7});
        order_state.carts.put_product(&serde_json::from_value(mug).unwrap()).await.unwrap();
        let state = State {
            idempotency: Idempotency::new(payments.table(), clock.clone(), Generator::system()),
            payments,
            orders,
            provider: Arc::clone(&provider) as Arc<dyn PaymentProvider>,
            stripe: None,
            provider_deadline: Duration::from_mins(1),
            clock,
            ids: Generator::system(),
        };
        Self {
            router: crate::router(state.clone(), service.clone()),
            orders: order::router(order_state, service.clone()),
            service,
            state,
            provider,
            database,
        }
    }

    pub(crate) fn set_provider_deadline(&mut self, deadline: Duration) {
        self.state.provider_deadline = deadline;
        self.router = crate::router(self.state.clone(), self.service.clone());
    }

    /// Hears the webhooks of `stripe`; who moves the money stays the built-in provider.
    pub(crate) fn hear(&mut self, stripe: Stripe) {
        self.state.stripe = Some(stripe);
        self.router = crate::router(self.state.clone(), self.service.clone());
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.state.clock.now()
    }

    /// Lets every lease run out.
    pub(crate) fn outlive_leases(&self) {
        self.state.clock.advance(SignedDuration::from_secs(16));
    }

    pub(crate) fn token(&self) -> String {
        issuer().token(USER, self.now())
    }

    /// An order of `USER` that awaits payment of 50.97 EUR.
    pub(crate) async fn order(&self) -> Order {
        self.order_of(USER).await
    }

    pub(crate) async fn order_of(&self, user_id: Uuid) -> Order {
        let price = |amount| json!({"amount": amount, "currency": "EUR"});
        let order: Order = serde_json::from_value(json!({
            "id": self.state.ids.uuid(self.now()), "user_id": user_id, "status": "PENDING_PAYMENT",
            "lines": [{"product_id": "mug", "name": "Mug", "quantity": 3, "price": price(1699), "total": price(5097)}],
            "total": price(5097), "created_at": self.now(), "pay_until": self.now(),
            "history": [{"status": "PENDING_PAYMENT", "at": self.now(), "by": "customer"}],
        }))
        .unwrap();
        self.place(&order).await;
        order
    }

    /// Writes an order.
    pub(crate) async fn place(&self, order: &Order) {
        let mut transaction = self.state.payments.transaction();
        for write in self.state.orders.place_writes(order).unwrap() {
            transaction.add(write);
        }
        transaction.run().await.unwrap();
    }

    /// Cancels the order as its owner would; whether that was possible.
    pub(crate) async fn cancel(&self, order: &Order) -> bool {
        let path = format!("/orders/{}/cancel", order.id);
        let answer = call(Method::POST, &path).token(&self.token()).send(&self.orders).await;
        assert!([StatusCode::OK, StatusCode::CONFLICT].contains(&answer.status), "{answer:?}");
        answer.status == StatusCode::OK
    }

    pub(crate) async fn pay(&self, body: &Value) -> Answer {
        self.pay_under(None, body).await
    }

    /// Pays under an `Idempotency-Key`, or without one.
    pub(crate) async fn pay_under(&self, key: Option<&str>, body: &Value) -> Answer {
        under(key, call(Method::POST, "/pay")).token(&self.token()).json(body).send(&self.router).await
    }

    /// Pays `order` with a card.
    pub(crate) async fn pay_with(&self, order: &Order, card: &str) -> Answer {
        self.pay(&json!({"order_id": order.id, "payment_method": card})).await
    }

    /// A paid order, and its payment.
    pub(crate) async fn paid(&self, card: &str) -> (Order, Uuid) {
        let order = self.order().await;
        let receipt = self.pay_with(&order, card).await.expect(StatusCode::CREATED);
        (order, receipt.json["payment_id"].as_str().unwrap().parse().unwrap())
    }

    /// Asks for a refund as an admin.
    pub(crate) async fn refund(&self, payment_id: Uuid, key: Option<&str>, body: &Value) -> Answer {
        let token = issuer().admin_token(ADMIN, self.now());
        let post = under(key, call(Method::POST, &format!("/payments/{payment_id}/refund")));
        post.token(&token).json(body).send(&self.router).await
    }

    /// Pays `order` in a function that is killed when `fault` strikes.
    pub(crate) async fn die(&self, order: &Order, card: &str, fault: Fault) {
        self.provider.next(fault);
        tokio::select! {
            answer = self.pay_with(order, card) => panic!("the fault did not strike: {answer:?}"),
            () = self.provider.struck.notified() => {}
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        call(Method::GET, path).token(&self.token()).send(&self.router).await
    }

    pub(crate) async fn read(&self, order: &Order) -> Order {
        self.state.orders.order(order.user_id, order.id).await.unwrap().unwrap()
    }

    /// The amounts that the provider charged.
    pub(crate) async fn charges(&self) -> Vec<u64> {
        let items: Vec<Value> = self.database.items("PaymentTable").await;
        items
            .iter()
            .filter(|item| item["sk"] == "CHARGE" && item["declined"].is_null())
            .map(|item| item["amount"]["amount"].as_u64().unwrap())
            .collect()
    }

    /// The amounts that the provider paid back.
    pub(crate) async fn refunds(&self) -> Vec<u64> {
        let items: Vec<Value> = self.database.items("PaymentTable").await;
        items
            .iter()
            .filter(|item| item["sk"] == "REFUND" && item["failed"].is_null())
            .map(|item| item["amount"]["amount"].as_u64().unwrap())
            .collect()
    }

    pub(crate) async fn payments(&self) -> Vec<Payment> {
        self.state.payments.payments(USER, &PageQuery::default()).await.unwrap().items
    }

    /// However it came about: one charge of the order's total, one payment that succeeded and is named by the order,
    /// the order paid once and no longer open, nothing left in flight.
    pub(crate) async fn assert_paid_once(&self, order: &Order) {
        assert_eq!(self.charges().await, [order.total.amount]);
        let order = self.read(order).await;
        assert_eq!(order.status, Status::Paid);
        let states: Vec<Status> = order.history.iter().map(|entry| entry.status).collect();
        assert_eq!(states, [Status::PendingPayment, Status::Paid]);
        let payments = self.payments().await;
        let succeeded: Vec<Uuid> = payments
            .iter()
            .filter(|payment| matches!(payment.progress, Progress::Succeeded { .. }))
            .map(|payment| payment.id)
            .collect();
        assert_eq!(Some(succeeded), order.payment_id.map(|id| vec![id]));
        assert_eq!(self.state.orders.newest_open(USER).await.unwrap(), None);
        self.outlive_leases();
        assert_eq!(self.state.payments.abandoned(self.now(), 100).await.unwrap(), []);
    }
    /// However it came about: `amounts` went back, at the provider, of the one payment and of the order, which was paid
    /// by it; nothing is left in flight, and nothing due where all went back.
    pub(crate) async fn assert_refunded(&self, order: &Order, amounts: &[u64]) {
        let mut booked = self.refunds().await;
        booked.sort_unstable();
        let mut expected = amounts.to_vec();
        expected.sort_unstable();
        assert_eq!(booked, expected, "what the provider paid back");
        let sum = amounts.iter().sum();
        assert_eq!(self.charges().await, [order.total.amount]);
        let after = self.read(order).await;
        let payment = self.state.payments.payment(USER, after.payment_id.unwrap()).await.unwrap().unwrap();
        assert_eq!((payment.refunded, payment.refund_reserved), (sum, sum), "of the payment");
        assert_eq!(after.refunded, sum, "of the order");
        let entries = after.history.iter().filter_map(|entry| entry.refund);
        let mut entries: Vec<u64> = entries.map(|refund| refund.amount).collect();
        entries.sort_unstable();
        assert_eq!(entries, expected, "in the order's history");
        assert_eq!(after.status == Status::Refunded, sum == order.total.amount, "{}", after.status);
        self.outlive_leases();
        assert_eq!(self.state.payments.abandoned(self.now(), 100).await.unwrap(), []);
        assert_eq!(self.state.payments.abandoned_refunds(self.now(), 100).await.unwrap(), []);
        if sum == order.total.amount {
            assert_eq!(self.state.orders.refunds_due(Timestamp::MAX, 100).await.unwrap(), []);
        }
    }
}

fn under(key: Option<&str>, call: Call) -> Call {
    match key {
        Some(key) => call.header("idempotency-key", key),
        None => call,
    }
}
