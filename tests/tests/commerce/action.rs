//! What happens in a shop, done as clients do it.

use std::collections::BTreeMap;

use http::{Method, StatusCode};
use jiff::SignedDuration;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::request::{Request, Who};
use crate::shop::Shop;
use crate::story::{Action, CARDS, PRODUCTS};

/// What clients were told, and may rely on.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// The orders, in the order in which they were told of, and whose they are.
    pub(crate) orders: Vec<(u8, Uuid)>,
    /// A status that the history of an order must show.
    pub(crate) reached: Vec<(Uuid, &'static str)>,
    /// Payments that succeeded, and what they paid.
    pub(crate) paid: Vec<(Uuid, Uuid)>,
    /// Payments that were declined.
    pub(crate) declined: Vec<Uuid>,
    /// Refunds: of which payment, by which id.
    pub(crate) refunds: Vec<(Uuid, Uuid)>,
    /// What was answered under each key: status and id.
    pub(crate) by_key: Vec<(String, StatusCode, Value)>,
    /// How often it was not known what came of a request without a key, by its endpoint.
    pub(crate) unknown: BTreeMap<String, usize>,
}

impl Action {
    /// Does it, as a client that asks again while it is told to.
    pub(crate) async fn run(self, shop: &Shop) {
        match self {
            Self::Put { customer, product, quantity } => put(shop, customer, product, quantity).await,
            Self::Remove { customer, product } => {
                let path = format!("/cart/items/{}", PRODUCTS[product].0);
                let answer = Request::new(Who::Customer(customer), Method::DELETE, path).ask(shop).await;
                assert_eq!(answer.status, StatusCode::NO_CONTENT);
            }
            Self::Empty { customer } => {
                let answer = Request::new(Who::Customer(customer), Method::DELETE, "/cart").ask(shop).await;
                assert_eq!(answer.status, StatusCode::NO_CONTENT);
            }
            Self::Merge { customer, product, quantity } => merge(shop, customer, product, quantity).await,
            Self::Checkout { customer, key } => checkout(shop, customer, key).await,
            Self::Buy { customer, product, quantity, card } => {
                put(shop, customer, product, quantity).await;
                checkout(shop, customer, None).await;
                pay(shop, customer, None, card, None).await;
            }
            Self::Pay { customer, order, card, key } => match order {
                None => pay(shop, customer, None, card, key).await,
                Some(order) => {
                    let Some((customer, id)) = shop.order(order) else { return };
                    pay(shop, customer, Some(id), card, key).await;
                }
            },
            Self::Cancel { order, by_admin } => {
                let Some((customer, id)) = shop.order(order) else { return };
                let who = if by_admin { Who::Admin } else { Who::Customer(customer) };
                step(shop, who, id, "cancel", "CANCELLED").await;
            }
            Self::Fulfil { order, steps } => {
                let Some((customer, id)) = shop.order(order) else { return };
                for _ in 0..steps {
                    let (name, status) = match shop.read(customer, id).await["status"].as_str() {
                        Some("PACKED") => ("ship", "SHIPPED"),
                        Some("SHIPPED") => ("deliver", "DELIVERED"),
                        _ => ("pack", "PACKED"),
                    };
                    step(shop, Who::Admin, id, name, status).await;
                }
            }
            Self::Refund { order, percent, key } => refund(shop, order, percent, key).await,
            Self::Reprice { product, amount } => {
                let path = format!("/products/{}", PRODUCTS[product].0);
                let body = json!({"price": {"amount": amount}});
                let answer = Request::new(Who::Admin, Method::PATCH, path).json(body).ask(shop).await;
                assert!([200, 404].contains(&answer.status.as_u16()), "{answer:?}");
            }
            Self::Retire { product } => {
                let path = format!("/products/{}", PRODUCTS[product].0);
                let answer = Request::new(Who::Admin, Method::DELETE, path).ask(shop).await;
                assert!([204, 404].contains(&answer.status.as_u16()), "{answer:?}");
            }
            Self::Look { customer, order } => look(shop, customer, order).await,
            Self::Wait { seconds } => shop.clock.advance(SignedDuration::from_secs(seconds)),
            Self::Webhook { event } => {
                let Some(event) = shop.provider.event(event) else { return };
                let answer = Request::post(Who::Anybody, "/webhooks/stripe").event(event).ask(shop).await;
                assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
            }
            Self::Expire => {
                let _next_run_goes_on = shop.expire().await;
            }
            Self::Reconcile => {
                let _next_run_goes_on = shop.reconcile().await;
            }
        }
    }
}

async fn put(shop: &Shop, customer: u8, product: usize, quantity: u32) {
    let path = format!("/cart/items/{}", PRODUCTS[product].0);
    let put = Request::new(Who::Customer(customer), Method::PUT, path).json(json!({ "quantity": quantity }));
    let answer = put.ask(shop).await;
    // 404: it is retired.
    assert!([200, 404].contains(&answer.status.as_u16()), "{answer:?}");
}

async fn merge(shop: &Shop, customer: u8, product: usize, quantity: u32) {
    let made = Request::post(Who::Anybody, "/cart").ask(shop).await;
    let token = made.json["cart_token"].as_str().unwrap();
    let path = format!("/cart/items/{}", PRODUCTS[product].0);
    let put = Request::new(Who::Anybody, Method::PUT, path).cart_token(token);
    let answer = put.json(json!({ "quantity": quantity })).ask(shop).await;
    assert!([200, 404].contains(&answer.status.as_u16()), "{answer:?}");
    let answer = Request::post(Who::Customer(customer), "/cart/merge").cart_token(token).ask(shop).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
}

async fn checkout(shop: &Shop, customer: u8, key: Option<u8>) {
    let key = key.map(|key| format!("checkout-{key}"));
    let answer =
        Request::post(Who::Customer(customer), "/orders").key(key.clone()).ask_impatiently(shop).await;
    let mut told = shop.told.lock().unwrap();
    match answer.status {
        StatusCode::CREATED => {
            let id = id(&answer.json["id"]);
            if !told.orders.contains(&(customer, id)) {
                told.orders.push((customer, id));
            }
            if let Some(key) = key {
                told.by_key.push((format!("{customer} {key}"), answer.status, answer.json["id"].clone()));
            }
        }
        // The cart is empty, or holds what is not there.
        StatusCode::CONFLICT => {
            let kind = answer.json["type"].as_str().unwrap();
            assert!(kind.ends_with("empty-cart") || kind.ends_with("insufficient-stock"), "{answer:?}");
        }
        _ => panic!("{answer:?}"),
    }
}

async fn pay(shop: &Shop, customer: u8, order: Option<Uuid>, card: usize, key: Option<u8>) {
    // Another request has another key: the same key with another body is a client's mistake.
    let key = key.map(|key| format!("pay-{key}-{}-{order:?}", CARDS[card]));
    let body = match order {
        Some(order) => json!({"payment_method": CARDS[card], "order_id": order}),
        None => json!({"payment_method": CARDS[card]}),
    };
    let answer = Request::post(Who::Customer(customer), "/pay")
        .key(key.clone())
        .json(body)
        .ask_impatiently(shop)
        .await;
    let mut told = shop.told.lock().unwrap();
    match answer.status {
        StatusCode::CREATED => {
            told.paid.push((id(&answer.json["payment_id"]), id(&answer.json["order_id"])));
        }
        StatusCode::PAYMENT_REQUIRED => told.declined.push(id(&answer.json["payment_id"])),
        // Nothing is owed, or not any more.
        StatusCode::CONFLICT => return,
        _ => panic!("{answer:?}"),
    }
    if let Some(key) = key {
        let payment = answer.json["payment_id"].clone();
        told.by_key.push((format!("{customer} {key}"), answer.status, payment));
    }
}

async fn step(shop: &Shop, who: Who, order: Uuid, step: &str, status: &'static str) {
    let request = Request::post(who, format!("/orders/{order}/{step}"));
    let request = match step {
        "ship" => request.json(json!({"carrier": "DHL", "tracking_number": "1"})),
        _ => request,
    };
    let answer = request.ask(shop).await;
    match answer.status {
        StatusCode::OK => shop.told.lock().unwrap().reached.push((order, status)),
        StatusCode::CONFLICT => assert_eq!(answer.json["type"], "urn:problem-type:illegal-transition"),
        _ => panic!("{answer:?}"),
    }
}

async fn refund(shop: &Shop, order: usize, percent: u64, key: Option<u8>) {
    let Some((customer, order)) = shop.order(order) else { return };
    let order = shop.read(customer, order).await;
    let Some(payment) = order["payment_id"].as_str() else { return };
    let amount = (order["total"]["amount"].as_u64().unwrap() * percent / 100).max(1);
    let key = key.map(|key| format!("refund-{key}-{payment}-{amount}"));
    let body = json!({"amount": {"amount": amount, "currency": "EUR"}, "reason": "a story"});
    let refund = Request::post(Who::Admin, format!("/payments/{payment}/refund")).key(key.clone()).json(body);
    let answer = refund.ask_impatiently(shop).await;
    match answer.status {
        StatusCode::CREATED => {
            let refund = (id(&json!(payment)), id(&answer.json["refund_id"]));
            let mut told = shop.told.lock().unwrap();
            told.refunds.push(refund);
            if let Some(key) = key {
                told.by_key.push((key, answer.status, answer.json["refund_id"].clone()));
            }
        }
        // More than is left.
        StatusCode::CONFLICT => {}
        _ => panic!("{answer:?}"),
    }
}

/// Reads what there is to read.
async fn look(shop: &Shop, customer: u8, order: usize) {
    let mut paths = vec!["/cart".to_owned(), "/orders".into(), "/payments".into(), "/products".into()];
    let mut who = Who::Customer(customer);
    if let Some((customer, order)) = shop.order(order) {
        who = Who::Customer(customer);
        paths.extend([format!("/orders/{order}"), format!("/orders/{order}/tracking")]);
    }
    for path in paths {
        let answer = Request::new(who, Method::GET, path).ask(shop).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    }
}

fn id(value: &Value) -> Uuid {
    value.as_str().unwrap().parse().unwrap()
}

impl Shop {
    /// The order as its owner sees it.
    async fn read(&self, customer: u8, order: Uuid) -> Value {
        let get = Request::new(Who::Customer(customer), Method::GET, format!("/orders/{order}"));
        let answer = get.ask(self).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        answer.json
    }

    /// One of the orders that were placed so far, and whose it is.
    fn order(&self, number: usize) -> Option<(u8, Uuid)> {
        let told = self.told.lock().unwrap();
        let newest_first = number.checked_rem(told.orders.len())?;
        told.orders.iter().rev().nth(newest_first).copied()
    }
}
