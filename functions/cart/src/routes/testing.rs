//! The service over an embedded database, with one customer.

use axum::Router;
use http::Method;
use jiff::Timestamp;
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::db::Key;
use shared::money::Money;
use shared::routes::Service;
use shared::testing::{Answer, Database, call, issuer};
use uuid::Uuid;

use crate::State;
use crate::model::Product;
use crate::store::CartStore;

pub(crate) struct App {
    pub(crate) router: Router,
    /// The customer's token.
    pub(crate) token: String,
    carts: CartStore,
    now: Timestamp,
}

impl App {
    pub(crate) async fn new() -> Self {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let database = Database::new(&["CartTable"]).await;
        let carts = CartStore::new(database.table("CartTable"));
        let service =
            Service { verifier: issuer().verifier(&Clock::fixed(now)), tables: vec![carts.table()] };
        let state = State { carts: carts.clone() };
        Self {
            router: crate::router(state, service),
            token: issuer().token(Uuid::from_u128(1), now),
            carts,
            now,
        }
    }

    /// A token of someone else.
    pub(crate) fn stranger(&self) -> String {
        issuer().token(Uuid::from_u128(2), self.now)
    }

    /// A token of an admin.
    pub(crate) fn admin(&self) -> String {
        issuer().admin_token(Uuid::from_u128(3), self.now)
    }

    /// `GET path` as the customer.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        call(Method::GET, path).token(&self.token).send(&self.router).await
    }

    /// Puts `quantity` of a product into the customer's cart.
    pub(crate) async fn put_item(&self, id: &str, quantity: impl Into<Value>) -> Answer {
        call(Method::PUT, &format!("/cart/items/{id}"))
            .token(&self.token)
            .json(&json!({ "quantity": quantity.into() }))
            .send(&self.router)
            .await
    }

    /// Has the product in the catalogue.
    pub(crate) async fn sell(&self, product: Product) {
        self.carts.put_product(&product).await.unwrap();
    }

    /// Has the product in the catalogue no more.
    pub(crate) async fn remove_product(&self, id: &str) {
        let key = Key::new(format!("PRODUCT#{id}"), "PRODUCT");
        assert!(self.carts.table().delete(&key).await.unwrap());
    }
}

/// A product at `price` cents, of which there are `stock`.
pub(crate) fn product(id: &str, price: u64, stock: u32) -> Product {
    Product {
        id: id.to_owned().try_into().unwrap(),
        name: format!("Product {id}").try_into().unwrap(),
        description: None,
        price: Money::new(price, "EUR".parse().unwrap()),
        stock,
    }
}
