//! The service over an embedded database, with one customer.

use axum::Router;
use http::{Method, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::db::{Key, Transaction, TransactionError};
use shared::id::Generator;
use shared::money::Money;
use shared::routes::Service;
use shared::testing::{Answer, Call, Database, call, issuer};
use uuid::Uuid;

use crate::State;
use crate::model::{Product, ProductId};
use crate::store::CartStore;

#[derive(Clone)]
pub(crate) struct App {
    pub(crate) router: Router,
    /// The customer's token.
    pub(crate) token: String,
    pub(crate) carts: CartStore,
    /// What the service takes for the time; tokens do not expire by it.
    pub(crate) clock: Clock,
    pub(crate) database: Database,
    now: Timestamp,
}

/// The customer.
pub(crate) const CUSTOMER: Uuid = Uuid::from_u128(1);

impl App {
    pub(crate) async fn new() -> Self {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let database = Database::new(&["CartTable"]).await;
        let carts = CartStore::new(database.table("CartTable"));
        let service = Service::new(issuer().verifier(&Clock::fixed(now)), vec![carts.table()]);
        let clock = Clock::fixed(now);
        let state = State { carts: carts.clone(), clock: clock.clone(), ids: Generator::system() };
        Self {
            router: crate::router(state, service),
            token: issuer().token(CUSTOMER, now),
            carts,
            clock,
            database,
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
        self.send(self.by_customer(Method::GET, path)).await
    }

    /// `method path` as the customer.
    pub(crate) fn by_customer(&self, method: Method, path: &str) -> Call {
        call(method, path).token(&self.token)
    }

    /// `method path` as an admin.
    pub(crate) fn by_admin(&self, method: Method, path: &str) -> Call {
        call(method, path).token(&self.admin())
    }

    pub(crate) async fn send(&self, call: Call) -> Answer {
        call.send(&self.router).await
    }

    /// Puts `quantity` of a product into the customer's cart.
    pub(crate) async fn put_item(&self, id: &str, quantity: impl Into<Value>) -> Answer {
        self.send(fill(self.by_customer(Method::PUT, &item(id)), quantity)).await
    }

    /// Makes an anonymous cart; its token.
    pub(crate) async fn open_cart(&self) -> String {
        let answer = self.send(call(Method::POST, "/cart")).await.expect(StatusCode::CREATED);
        answer.json["cart_token"].as_str().unwrap().to_owned()
    }

    /// Makes an anonymous cart with these products in it; its token.
    pub(crate) async fn filled_cart(&self, items: &[(&str, u32)]) -> String {
        let token = self.open_cart().await;
        for (id, quantity) in items {
            let put = fill(by_cart(&token, Method::PUT, &item(id)), *quantity);
            let _put = self.send(put).await.expect(StatusCode::OK);
        }
        token
    }

    /// Id and quantity of what is in the customer's cart.
    pub(crate) async fn lines(&self) -> Vec<(String, u64)> {
        lines(&self.get("/cart").await.expect(StatusCode::OK).json)
    }

    /// Has the product in the catalogue.
    pub(crate) async fn sell(&self, product: Product) {
        self.carts.put_product(&product).await.unwrap();
    }

    /// Has the product in the catalogue no more.
    pub(crate) async fn retire(&self, id: &str) {
        let retire = self.by_admin(Method::DELETE, &format!("/products/{id}"));
        let _retired = self.send(retire).await.expect(StatusCode::NO_CONTENT);
    }

    /// Has the product no more at all.
    pub(crate) async fn remove_product(&self, id: &str) {
        let key = Key::new(format!("PRODUCT#{id}"), "PRODUCT");
        assert!(self.carts.table().delete(&key).await.unwrap());
    }

    /// The product, retired ones included.
    pub(crate) async fn read(&self, id: &str) -> Product {
        self.carts.product(&product_id(id)).await.unwrap().unwrap()
    }

    /// Buys as a checkout does: reads the product again while its condition fails. Whether there was enough.
    pub(crate) async fn buy(&self, id: &str, quantity: u32) -> bool {
        loop {
            let product = self.read(id).await;
            if !product.can_sell(quantity) {
                return false;
            }
            match self.take(&product, quantity).await {
                Ok(()) => return true,
                Err(TransactionError::Cancelled(_)) => {}
                Err(TransactionError::Db(error)) => panic!("{error:?}"),
            }
        }
    }

    /// Takes pieces out of the stock of a product that was read before.
    pub(crate) async fn take(&self, product: &Product, quantity: u32) -> Result<(), TransactionError> {
        let mut transaction = Transaction::new(self.carts.table().client());
        transaction.add(self.carts.take_stock_write(product, quantity)?);
        transaction.run().await
    }

    /// Gives pieces back, as a cancelled order does.
    pub(crate) async fn give_back(&self, id: &str, quantity: u32) -> Result<(), TransactionError> {
        let mut transaction = Transaction::new(self.carts.table().client());
        transaction.add(self.carts.return_stock_write(&product_id(id), quantity)?);
        transaction.run().await
    }
}

/// `method path` for an anonymous cart.
pub(crate) fn by_cart(token: &str, method: Method, path: &str) -> Call {
    call(method, path).header("cart-token", token)
}

pub(crate) fn fill(put: Call, quantity: impl Into<Value>) -> Call {
    put.json(&json!({ "quantity": quantity.into() }))
}

pub(crate) fn item(id: &str) -> String {
    format!("/cart/items/{id}")
}

/// Id and quantity of each line of a cart.
pub(crate) fn lines(cart: &Value) -> Vec<(String, u64)> {
    let line =
        |line: &Value| (line["product_id"].as_str().unwrap().to_owned(), line["quantity"].as_u64().unwrap());
    cart["lines"].as_array().unwrap().iter().map(line).collect()
}

pub(crate) fn etag(answer: &Answer) -> &str {
    answer.headers["etag"].to_str().unwrap()
}

/// Gives every other task its turn so many times, to let a race happen at another step each time.
pub(crate) async fn turns(count: usize) {
    for _ in 0..count {
        tokio::task::yield_now().await;
    }
}

pub(crate) fn product_id(id: &str) -> ProductId {
    id.to_owned().try_into().unwrap()
}

/// A product at `price` cents, of which there are `stock`.
pub(crate) fn product(id: &str, price: u64, stock: u32) -> Product {
    Product {
        id: product_id(id),
        name: format!("Product {id}").try_into().unwrap(),
        description: None,
        price: Money::new(price, "EUR".parse().unwrap()),
        category: None,
        image_url: None,
        stock,
        version: 0,
        retired_at: None,
    }
}

/// The same in another currency.
pub(crate) fn in_dollars(mut product: Product) -> Product {
    product.price.currency = "USD".parse().unwrap();
    product
}
