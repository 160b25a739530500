//! All services but Auth over one database, with the jobs that a schedule starts.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use analytics::store::AnalyticsStore;
use axum::Router;
use cart::store::CartStore;
use http::{Method, StatusCode};
use jiff::{SignedDuration, Timestamp};
use notification::store::NotificationStore;
use order::expiry::Expiry;
use order::store::OrderStore;
use payment::provider::stripe::StripeSecret;
use payment::provider::{Stripe, TestProvider};
use payment::store::PaymentStore;
use serde_json::json;
use shared::clock::Clock;
use shared::id::Generator;
use shared::idempotency::Idempotency;
use shared::routes::Service;
use shared::secret::{ReplaceableSecret, Values};
use shared::testing::{Database, issuer};
use user::model::Address;
use user::store::UserStore;
use uuid::Uuid;

use crate::action::Told;
use crate::provider::{self, Provider};
use crate::request::{Request, Who, customer};

/// The tables of the shop.
pub(crate) const TABLES: [&str; 6] =
    ["CartTable", "OrderTable", "PaymentTable", "UserTable", "NotificationTable", "AnalyticsTable"];

/// How long a customer may take to pay.
pub(crate) const PAYMENT_WINDOW: SignedDuration = SignedDuration::from_mins(30);

/// The services under test, and what they told their clients.
pub(crate) struct Shop {
    pub(crate) database: Database,
    pub(crate) clock: Clock,
    cart: Router,
    order: Router,
    payment: Router,
    user: Router,
    notification: Router,
    analytics: Router,
    expiry: Expiry,
    payments: payment::State,
    users: UserStore,
    pub(crate) provider: Arc<Provider>,
    pub(crate) told: Mutex<Told>,
}

impl Shop {
    /// A shop without products.
    pub(crate) async fn new() -> Self {
        let start: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let (clock, ids) = (Clock::fixed(start), Generator::system());
        let database = Database::new(&TABLES).await;
        let table = |name: &str| database.table(name);
        let (carts, orders) = (CartStore::new(table("CartTable")), OrderStore::new(table("OrderTable")));
        let payments = PaymentStore::new(table("PaymentTable"));
        let users = UserStore::new(table("UserTable"));
        let idempotency = |name: &str| Idempotency::new(table(name), clock.clone(), ids.clone());
        let service = |name: &str| Service::new(issuer().verifier(&clock), vec![table(name)]);
        let cart = cart::State { carts: carts.clone(), clock: clock.clone(), ids: ids.clone() };
        let order = order::State {
            orders: orders.clone(),
            carts: carts.clone(),
            users: users.clone(),
            idempotency: idempotency("OrderTable"),
            payment_window: PAYMENT_WINDOW,
            clock: clock.clone(),
            ids: ids.clone(),
        };
        let provider = Arc::new(Provider::new(TestProvider::new(payments.table())));
        let keys = StripeSecret::parse(&provider::keys().to_string()).unwrap();
        let payment = payment::State {
            idempotency: idempotency("PaymentTable"),
            provider: Arc::clone(&provider) as _,
            // Only its webhooks are heard; nobody listens at that address.
            stripe: Some(Stripe::fixed("http://127.0.0.1:9", keys, &clock).unwrap()),
            provider_deadline: Duration::from_mins(1),
            payments,
            orders: orders.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
        };
        Self {
            cart: cart::router(cart, service("CartTable")),
            order: order::router(order, service("OrderTable")),
            payment: payment::router(payment.clone(), service("PaymentTable")),
            user: user::router(
                user::State::over(users.clone(), clock.clone(), ids.clone()),
                service("UserTable"),
            ),
            notification: notification::router(
                notification::State {
                    notifications: NotificationStore::new(table("NotificationTable")),
                    link_keys: ReplaceableSecret::fixed(
                        Values { current: "k".repeat(32), previous: None },
                        &clock,
                    ),
                    clock: clock.clone(),
                },
                service("NotificationTable"),
            ),
            analytics: analytics::router(
                analytics::State {
                    analytics: AnalyticsStore::new(table("AnalyticsTable")),
                    clock: clock.clone(),
                    ids,
                },
                service("AnalyticsTable"),
            ),
            expiry: Expiry { orders, carts, clock: clock.clone() },
            payments: payment,
            users,
            database,
            clock,
            provider,
            told: Mutex::default(),
        }
    }

    /// The service that has this path.
    pub(crate) fn router(&self, path: &str) -> &Router {
        match path.split(['/', '?']).nth(1) {
            Some("cart" | "products") => &self.cart,
            Some("orders") => &self.order,
            Some("pay" | "payments" | "webhooks") => &self.payment,
            Some("profile") => &self.user,
            Some("notifications") => &self.notification,
            Some("events" | "analytics") => &self.analytics,
            _ => panic!("{path} is not of this shop"),
        }
    }

    /// Has the product in the catalogue, at `amount` cents.
    pub(crate) async fn sell(&self, id: &str, amount: u64, stock: u32) {
        let body = json!({
            "name": format!("Product {id}"), "price": {"amount": amount, "currency": "EUR"}, "stock": stock,
        });
        let put = Request::new(Who::Admin, Method::PUT, format!("/products/{id}")).json(body);
        let answer = put.ask(self).await;
        assert!([StatusCode::OK, StatusCode::CREATED].contains(&answer.status), "{answer:?}");
    }

    /// An address of the customer's; its id.
    pub(crate) async fn address(&self, number: u8) -> Uuid {
        let label = json!({
            "name": "M", "line1": "Main St 1", "city": "Berlin", "postal_code": "10115", "country": "DE",
        });
        let id = Generator::system().uuid(self.clock.now());
        let address = Address { id, label: serde_json::from_value(label).unwrap() };
        let mut transaction = self.users.transaction();
        transaction.add(self.users.add_address_write(customer(number), &address).unwrap());
        transaction.run().await.unwrap();
        id
    }

    /// Has the customer registered.
    pub(crate) async fn register(&self, number: u8) {
        let now = self.clock.now();
        let profile = json!({
            "user_id": customer(number), "username": format!("customer-{number}"), "email": format!("c{number}@example.com"),
            "email_verified": false, "created_at": now, "updated_at": now,
        });
        self.users.put_profile(&serde_json::from_value(profile).unwrap()).await.unwrap();
    }

    /// One run of the scheduled expiry. Where the database fails it, the next run goes on.
    pub(crate) async fn expire(&self) -> bool {
        order::expiry::run(&self.expiry).await.is_ok()
    }

    /// One run of the scheduled reconciler.
    pub(crate) async fn reconcile(&self) -> bool {
        payment::reconciler::run(&self.payments).await.is_ok()
    }

    /// Ends all trouble, and lets time pass until the scheduled jobs have nothing left to do.
    pub(crate) async fn settle(&self) {
        self.database.faults(None);
        for _ in 0..5 {
            self.clock.advance(SignedDuration::from_hours(1));
            assert!(self.reconcile().await && self.expire().await, "without faults no job fails");
        }
    }
}
