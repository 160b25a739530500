//! A shop that has been there for long: what a few requests left, copied thousands of times.

use std::collections::BTreeSet;

use http::{Method, StatusCode};
use jiff::SignedDuration;
use serde_json::{Value, json};
use shared::db::{Item, Key, to_item};
use uuid::Uuid;

use crate::request::{Request, Who, customer};
use crate::shop::{Shop, TABLES};

/// The customer who buys and pays that often.
pub(crate) const REGULAR: Who = Who::Customer(0);

/// The bits of a UUIDv7 that are random: the time before them stays, so that a copy is as old as its original.
const RANDOM_BITS: u128 = (1 << 62) - 1;

impl Shop {
    /// A shop with so many products, in which a customer has edited the cart, paid an order and left one open so often.
    pub(crate) async fn with_history(count: usize) -> Self {
        let shop = Self::new().await;
        shop.sell("cup", 1299, 100_000).await;
        for pay in [false, true] {
            shop.clock.advance(SignedDuration::from_secs(1));
            let order = shop.place(REGULAR).await;
            if pay {
                let body = json!({"order_id": order, "payment_method": "pm_card_visa"});
                let _paid =
                    Request::post(REGULAR, "/pay").json(body).ask(&shop).await.expect(StatusCode::CREATED);
            }
        }
        for table in TABLES {
            let originals: Vec<Value> = shop.database.items(table).await;
            let copies = originals.iter().flat_map(|original| {
                let text = original.to_string();
                let ids: Vec<Uuid> = ids(original).into_iter().collect();
                let name = original["id"].as_str().unwrap_or_default().to_owned();
                (1..count).map(move |number| copy(&text, &ids, &name, number))
            });
            shop.database.put_all(table, copies.collect()).await;
        }
        for cart in shop.database.items::<Value>("CartTable").await {
            if cart["pk"] == format!("CART#{}", customer(0)) {
                let mut cart = cart;
                cart["version"] = count.into();
                shop.database.put_all("CartTable", vec![item(&cart)]).await;
            }
        }
        shop.clock.advance(SignedDuration::from_hours(24));
        shop
    }

    /// One cup in the cart.
    pub(crate) async fn fill_cart(&self, who: Who) {
        let put = Request::new(who, Method::PUT, "/cart/items/cup").json(json!({"quantity": 1}));
        let _cart = put.ask(self).await.expect(StatusCode::OK);
    }

    /// An order of one cup; its id.
    pub(crate) async fn place(&self, who: Who) -> String {
        self.fill_cart(who).await;
        let order = Request::post(who, "/orders").ask(self).await.expect(StatusCode::CREATED);
        order.json["id"].as_str().unwrap().to_owned()
    }
}

/// The ids of orders, payments and the like in an item; a customer's is none of them.
fn ids(item: &Value) -> BTreeSet<Uuid> {
    let text = item.to_string();
    let words = text.split(|letter: char| !letter.is_ascii_hexdigit() && letter != '-');
    words.filter_map(|word| word.parse().ok()).filter(|id: &Uuid| id.get_version_num() == 7).collect()
}

/// The same item of another order, product or customer.
fn copy(original: &str, ids: &[Uuid], name: &str, number: usize) -> Item {
    let mut text = original.to_owned();
    for id in ids {
        let other = (id.as_u128() & !RANDOM_BITS) | number as u128;
        text = text.replace(&id.to_string(), &Uuid::from_u128(other).to_string());
    }
    if name == "cup" {
        text = text.replace("cup", &format!("cup-{number:05}"));
    } else if ids.is_empty() {
        text = text.replace(&customer(0).to_string(), &Uuid::from_u128(0xffff + number as u128).to_string());
    }
    item(&serde_json::from_str(&text).unwrap())
}

fn item(value: &Value) -> Item {
    let key = Key::new(value["pk"].as_str().unwrap(), value["sk"].as_str().unwrap());
    to_item(&key, value).unwrap()
}
