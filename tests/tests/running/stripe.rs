//! Payment against a peer of Stripe's protocol that others wrote: localstripe, which keeps its books, signs its webhooks, and
//! knows no idempotency keys.

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use jiff::SignedDuration;
use local::process::{Child, Guard};
use order::model::{Order, Status};
use order::store::OrderStore;
use payment::State;
use payment::model::{MethodToken, Payment, PaymentMethod};
use payment::provider::stripe::StripeSecret;
use payment::provider::{ChargeRequest, Stripe};
use payment::settlement::{begin, nothing};
use payment::store::PaymentStore;
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::id::Generator;
use shared::idempotency::Idempotency;
use shared::page::PageQuery;
use shared::routes::Service;
use shared::testing::{Answer, Database, call, issuer};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::interoperability::libraries::installed_python;

const USER: Uuid = Uuid::from_u128(1);
const WEBHOOK_SECRET: &str = "whsec_test";

/// localstripe, and the service that pays there.
struct Shop {
    router: Router,
    state: State,
    http: reqwest::Client,
    peer: String,
    _process: Child,
}

impl Shop {
    async fn open() -> Self {
        let python = tokio::task::spawn_blocking(|| installed_python(&["localstripe==1.15.10"], "stripe"));
        let python = python.await.unwrap().join("bin/python");
        let port = free_port().await;
        let guard = Guard::at(local_binary());
        let mut command = guard.command(python);
        command.args(["-c", include_str!("stripe/serve.py"), &port.to_string()]);
        let process = Child::spawn("localstripe", command).unwrap();
        let peer = format!("http://127.0.0.1:{port}");
        let http = reqwest::Client::builder().no_proxy().build().unwrap();

        let database = Database::new(&["PaymentTable", "OrderTable"]).await;
        let clock = Clock::fixed(Clock::system().now());
        let payments = PaymentStore::new(database.table("PaymentTable"));
        let keys = json!({"secret_key": "sk_test_12345", "webhook_secrets": [WEBHOOK_SECRET]}).to_string();
        let stripe = Stripe::fixed(&peer, StripeSecret::parse(&keys).unwrap(), &clock).unwrap();
        let state = State {
            idempotency: Idempotency::new(payments.table(), clock.clone(), Generator::system()),
            orders: OrderStore::new(database.table("OrderTable")),
            provider: Arc::new(stripe.clone()),
            stripe: Some(stripe),
            provider_deadline: Duration::from_mins(1),
            ids: Generator::system(),
            clock: clock.clone(),
            payments,
        };
        let service = Service::new(issuer().verifier(&clock), Vec::new());
        let router = payment::router(state.clone(), service);
        let shop = Self { router, state, http, peer, _process: process };
        shop.until("localstripe answers", || async { shop.http.get(&shop.peer).send().await.is_ok() }).await;
        shop
    }

    /// Has localstripe tell the service what happens.
    async fn listen(&self) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let url = format!("http://{}/webhooks/stripe", listener.local_addr().unwrap());
        tokio::spawn(axum::serve(listener, self.router.clone()).into_future());
        let form = format!("url={url}&secret={WEBHOOK_SECRET}");
        let post = self.http.post(format!("{}/_config/webhooks/shop", self.peer));
        let post = post.header("content-type", "application/x-www-form-urlencoded").body(form);
        assert!(post.send().await.unwrap().status().is_success());
    }

    async fn until<F: Future<Output = bool>>(&self, what: &str, mut holds: impl FnMut() -> F) {
        let deadline = Instant::now() + Duration::from_mins(1);
        while !holds().await {
            assert!(Instant::now() < deadline, "{what} did not come true");
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// An order of 50.97 EUR that awaits payment.
    async fn order(&self) -> Order {
        let price = |amount| json!({"amount": amount, "currency": "EUR"});
        let now = self.state.clock.now();
        let order: Order = serde_json::from_value(json!({
            "id": self.state.ids.uuid(now), "user_id": USER, "status": "PENDING_PAYMENT",
            "lines": [{"product_id": "mug", "name": "Mug", "quantity": 3, "price": price(1699), "total": price(5097)}],
            "total": price(5097), "created_at": now, "pay_until": now,
            "history": [{"status": "PENDING_PAYMENT", "at": now, "by": "customer"}],
        }))
        .unwrap();
        let mut transaction = self.state.orders.transaction();
        for write in self.state.orders.place_writes(&order).unwrap() {
            transaction.add(write);
        }
        transaction.run().await.unwrap();
        order
    }

    async fn pay(&self, order: &Order, method: &str) -> Answer {
        let token = issuer().token(USER, self.state.clock.now());
        let body = json!({"order_id": order.id, "payment_method": method});
        call(http::Method::POST, "/pay").token(&token).json(&body).send(&self.router).await
    }

    async fn refund(&self, payment_id: &Value, amount: u64) -> Answer {
        let token = issuer().admin_token(Uuid::from_u128(9), self.state.clock.now());
        let path = format!("/payments/{}/refund", payment_id.as_str().unwrap());
        let body = json!({"amount": {"amount": amount, "currency": "EUR"}, "reason": "Broken"});
        call(http::Method::POST, &path).token(&token).json(&body).send(&self.router).await
    }

    /// A payment that was charged at localstripe, and whose function died before it was told.
    async fn die_after_the_charge(&self, order: &Order) -> Payment {
        let token: MethodToken = "pm_card_visa".to_owned().try_into().unwrap();
        let method: PaymentMethod = self.state.provider.method(&token).await.unwrap().unwrap();
        let payment = begin(&self.state, order, method, false, &nothing).await.unwrap().unwrap();
        let request = ChargeRequest {
            idempotency_key: payment.id,
            amount: payment.amount,
            method: payment.method.token.clone(),
            user_id: payment.user_id,
            order_id: payment.order_id,
            created_at: payment.created_at,
            is_repeated: false,
        };
        self.state.provider.charge(&request).await.unwrap();
        payment
    }

    async fn status(&self, order: &Order) -> Status {
        self.state.orders.order(USER, order.id).await.unwrap().unwrap().status
    }

    /// What localstripe has: its objects of one kind.
    async fn books(&self, what: &str) -> Vec<Value> {
        let get = self.http.get(format!("{}/v1/{what}?limit=100", self.peer)).bearer_auth("sk_test_12345");
        let list: Value = get.send().await.unwrap().json().await.unwrap();
        list["data"].as_array().unwrap().clone()
    }

    async fn charged(&self) -> Vec<u64> {
        let intents = self.books("payment_intents").await;
        let charged = intents.iter().filter(|intent| intent["status"] == "succeeded");
        charged.map(|intent| intent["amount"].as_u64().unwrap()).collect()
    }
}

async fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap().local_addr().unwrap().port()
}

/// The program that guards processes.
fn local_binary() -> std::path::PathBuf {
    crate::system();
    let workspace = local::workspace::Workspace::find().unwrap();
    assert!(Path::new(&workspace.binary("local")).exists());
    workspace.binary("local")
}

#[tokio::test]
async fn orders_are_paid_declined_and_refunded_at_stripe() {
    let shop = Shop::open().await;
    shop.listen().await;
    let order = shop.order().await;
    let declined = shop.pay(&order, "pm_card_chargeCustomerFail").await;
    assert_eq!((declined.status.as_u16(), &declined.json["decline_reason"]), (402, &json!("card_declined")));
    let unknown = shop.pay(&order, "pm_unknown").await;
    assert_eq!(unknown.status.as_u16(), 422, "{unknown:?}");
    assert!(shop.charged().await.is_empty());

    let receipt = shop.pay(&order, "pm_card_visa").await;
    assert_eq!(receipt.status.as_u16(), 201, "{receipt:?}");
    assert_eq!(receipt.json["payment_method"], json!({"brand": "visa", "last4": "4242"}));
    assert_eq!(shop.charged().await, [5097]);
    assert_eq!(shop.status(&order).await, Status::Paid);

    let payment_id = &receipt.json["payment_id"];
    assert_eq!(shop.refund(payment_id, 1000).await.status.as_u16(), 201);
    assert_eq!(shop.refund(payment_id, 4098).await.status.as_u16(), 409);
    assert_eq!(shop.refund(payment_id, 4097).await.status.as_u16(), 201);
    assert_eq!(shop.status(&order).await, Status::Refunded);
    let refunds: u64 =
        shop.books("refunds").await.iter().map(|refund| refund["amount"].as_u64().unwrap()).sum();
    assert_eq!(refunds, 5097);
}

#[tokio::test]
async fn a_payment_whose_function_died_is_charged_once_at_stripe_too() {
    let shop = Shop::open().await;
    let order = shop.order().await;
    shop.die_after_the_charge(&order).await;
    shop.state.clock.advance(SignedDuration::from_secs(16));
    let counts = payment::reconciler::run(&shop.state).await.unwrap();
    assert_eq!(counts.succeeded, 1);
    assert_eq!(shop.status(&order).await, Status::Paid);
    assert_eq!(shop.charged().await, [5097], "it was looked up, not charged again");

    // The next request finds it just as well.
    let order = shop.order().await;
    let payment = shop.die_after_the_charge(&order).await;
    shop.state.clock.advance(SignedDuration::from_secs(16));
    let receipt = shop.pay(&order, "pm_card_visa").await;
    assert_eq!(receipt.json["payment_id"], json!(payment.id));
    assert_eq!(shop.charged().await, [5097, 5097]);
}

#[tokio::test]
async fn stripes_own_webhook_finishes_a_payment_whose_function_died() {
    let shop = Shop::open().await;
    shop.listen().await;
    let order = shop.order().await;
    shop.die_after_the_charge(&order).await;
    shop.until("the webhook comes", || async { shop.status(&order).await == Status::Paid }).await;
    assert_eq!(shop.charged().await, [5097]);
    let payments = shop.state.payments.payments(USER, &PageQuery::default()).await.unwrap().items;
    assert_eq!(payments.len(), 1);
}
