//! The service over an embedded database, with customers, a stock and an admin.

use std::collections::BTreeMap;

use axum::Router;
use cart::model::{CartLine, Product, ProductId};
use cart::store::CartStore;
use http::{Method, StatusCode};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::db::{Key, TransactionError};
use shared::id::Generator;
use shared::idempotency::Idempotency;
use shared::money::Money;
use shared::routes::Service;
use shared::testing::{Answer, Database, call, issuer};
use user::model::{Address, Label};
use user::store::UserStore;
use uuid::Uuid;

use crate::State;
use crate::expiry::{self, Counts, Expiry};
use crate::model::{Actor, Order, Refunded};
use crate::store::OrderStore;

/// The payment that [`App::pay`] makes.
pub(crate) const PAYMENT: Uuid = Uuid::from_u128(0xfee);

#[derive(Clone)]
pub(crate) struct App {
    pub(crate) router: Router,
    pub(crate) state: State,
    pub(crate) database: Database,
}

/// The user number `number`.
pub(crate) fn user(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

pub(crate) fn product_id(id: &str) -> ProductId {
    id.to_owned().try_into().unwrap()
}

impl App {
    pub(crate) async fn new() -> Self {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let clock = Clock::fixed(now);
        let database = Database::new(&["OrderTable", "CartTable", "UserTable"]).await;
        let (orders, ids) = (database.table("OrderTable"), Generator::counting());
        let state = State {
            idempotency: Idempotency::new(orders.clone(), clock.clone(), ids.clone()),
            orders: OrderStore::new(orders),
            carts: CartStore::new(database.table("CartTable")),
            users: UserStore::new(database.table("UserTable")),
            payment_window: SignedDuration::from_mins(30),
            clock: clock.clone(),
            ids,
        };
        let service = Service::new(issuer().verifier(&clock), vec![state.orders.table()]);
        Self { router: crate::router(state.clone(), service), state, database }
    }

    /// A token of the user number `number`.
    pub(crate) fn token(&self, number: u128) -> String {
        issuer().token(user(number), self.state.clock.now())
    }

    /// `GET path` as the user number 1.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        call(Method::GET, path).token(&self.token(1)).send(&self.router).await
    }

    /// `POST path` without a body as the user number `number`.
    pub(crate) async fn post(&self, number: u128, path: &str) -> Answer {
        let post = call(Method::POST, path).token(&self.token(number));
        post.send(&self.router).await
    }

    /// `POST path` as an admin.
    pub(crate) async fn admin(&self, path: &str, body: Option<Value>) -> Answer {
        let token = issuer().admin_token(user(999), self.state.clock.now());
        let post = call(Method::POST, path).token(&token);
        let post = match body {
            Some(body) => post.json(&body),
            None => post,
        };
        post.send(&self.router).await
    }

    /// `POST` of one step of fulfilment, as an admin.
    pub(crate) async fn step(&self, order_id: Uuid, step: &str) -> Answer {
        let body = json!({"carrier": "DHL", "tracking_number": "123", "estimated_delivery": "2026-01-05"});
        let body = (step == "ship").then_some(body);
        self.admin(&format!("/orders/{order_id}/{step}"), body).await
    }

    /// Has the product in the catalogue, at `amount` cents, `stock` pieces of it.
    pub(crate) async fn sell(&self, id: &str, amount: u64, stock: u32) {
        let product = Product {
            id: product_id(id),
            name: format!("Product {id}").try_into().unwrap(),
            description: None,
            price: Money::new(amount, "EUR".parse().unwrap()),
            category: None,
            image_url: None,
            stock,
            version: 0,
            retired_at: None,
        };
        self.state.carts.put_product(&product).await.unwrap();
    }

    /// Has the product in the catalogue no more.
    pub(crate) async fn remove_product(&self, id: &str) {
        let key = Key::new(format!("PRODUCT#{id}"), "PRODUCT");
        assert!(self.state.carts.table().delete(&key).await.unwrap());
    }

    /// How many pieces can be sold; none where there is no such product.
    pub(crate) async fn stock(&self, id: &str) -> Option<u32> {
        let product = self.state.carts.product(&product_id(id)).await.unwrap();
        product.map(|product| product.stock)
    }

    /// Puts products into the cart of the user number `number`.
    pub(crate) async fn fill_cart(&self, number: u128, items: &[(&str, u32)]) {
        let price = Money::new(100, "EUR".parse().unwrap());
        let fill = |lines: &mut BTreeMap<_, _>| {
            let line = |quantity| CartLine { quantity, price, available: true };
            lines.extend(items.iter().map(|(id, quantity)| (product_id(id), line(*quantity))));
        };
        self.state.carts.edit_lines(user(number), fill).await.unwrap();
    }

    /// How many lines the cart of the user number `number` has.
    pub(crate) async fn cart_lines(&self, number: u128) -> usize {
        self.state.carts.cart(user(number)).await.unwrap().lines.len()
    }

    /// An order of the user number 1, a minute after the one before.
    pub(crate) async fn order(&self, items: &[(&str, u32)]) -> Order {
        self.state.clock.advance(SignedDuration::from_mins(1));
        self.fill_cart(1, items).await;
        let answer = self.post(1, "/orders").await.expect(StatusCode::CREATED);
        let id: Uuid = answer.json["id"].as_str().unwrap().parse().unwrap();
        self.read(id).await
    }

    /// The order of the user number 1, as it is in the table.
    pub(crate) async fn read(&self, order_id: Uuid) -> Order {
        self.state.orders.order(user(1), order_id).await.unwrap().unwrap()
    }

    /// An address of the user number `number`.
    pub(crate) async fn address(&self, number: u128) -> Address {
        let label: Label = serde_json::from_value(json!({
            "name": "M", "line1": "Main St 1", "city": "Berlin", "postal_code": "10115", "country": "DE",
        }))
        .unwrap();
        let id = self.state.ids.uuid(self.state.clock.now());
        let address = Address { id, label };
        let mut transaction = self.state.orders.transaction();
        transaction.add(self.state.users.add_address_write(user(number), &address).unwrap());
        transaction.run().await.unwrap();
        address
    }

    /// Marks the order as being paid by [`PAYMENT`].
    pub(crate) async fn begin_payment(&self, order: &Order) -> Result<(), TransactionError> {
        let mut transaction = self.state.orders.transaction();
        transaction.add(self.state.orders.begin_payment_write(order, PAYMENT)?);
        transaction.run().await
    }

    /// Takes the mark of `payment_id` off.
    pub(crate) async fn release_payment(
        &self,
        order: &Order,
        payment_id: Uuid,
    ) -> Result<(), TransactionError> {
        let mut transaction = self.state.orders.transaction();
        transaction.add(self.state.orders.release_payment_write(order, payment_id)?);
        transaction.run().await
    }

    /// Moves the order to paid by `payment_id`.
    pub(crate) async fn mark_paid(&self, order: &Order, payment_id: Uuid) -> Result<(), TransactionError> {
        let mut transaction = self.state.orders.transaction();
        let now = self.state.clock.now();
        for write in self.state.orders.mark_paid_writes(order, payment_id, now)? {
            transaction.add(write);
        }
        transaction.run().await
    }

    /// What the scheduled function works with.
    pub(crate) fn expiry(&self) -> Expiry {
        let State { orders, carts, clock, .. } = self.state.clone();
        Expiry { orders, carts, clock }
    }

    /// Lets the time of every order run out.
    pub(crate) fn outlive_payment_windows(&self) {
        self.state.clock.advance(self.state.payment_window);
    }

    /// A run of the scheduled function.
    pub(crate) async fn expire(&self) -> Counts {
        expiry::run(&self.expiry()).await.unwrap()
    }

    /// Pays back `amount` cents of the order, as it was read.
    pub(crate) async fn refund(&self, order: &Order, amount: u64) -> Result<(), TransactionError> {
        let refunded = Refunded {
            refund_id: self.state.ids.uuid(self.state.clock.now()),
            amount: Money::new(amount, "EUR".parse().unwrap()),
            by: Actor::Admin,
            by_id: Some(user(999)),
            reason: Some("broken".to_owned().try_into().unwrap()),
        };
        let mut transaction = self.state.orders.transaction();
        for write in self.state.orders.refund_writes(order, &refunded, self.state.clock.now())? {
            transaction.add(write);
        }
        transaction.run().await
    }

    /// Pays the order, from begin to end.
    pub(crate) async fn pay(&self, order: &Order) -> Result<(), TransactionError> {
        self.begin_payment(order).await?;
        self.mark_paid(order, PAYMENT).await
    }
}
