//! What happens in a shop.

use http::{Method, StatusCode};
use jiff::SignedDuration;
use proptest::prelude::*;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::request::{Request, Who};
use crate::shop::Shop;

/// How many customers there are.
pub(crate) const CUSTOMERS: u8 = 3;

/// The products: what they are called and cost, and how many there are. Few, so that customers are in each other's way.
pub(crate) const PRODUCTS: [(&str, u64, u32); 3] = [("cup", 1299, 4), ("pot", 4950, 7), ("tea", 450, 40)];

const CARDS: [&str; 4] =
    ["pm_card_visa", "pm_card_declined", "pm_card_insufficient_funds", "pm_card_timeout"];

/// One thing that somebody does. Where it is about an order, it is about one of those that were placed by then.
#[derive(Debug, Clone)]
pub(crate) enum Action {
    Put {
        customer: u8,
        product: usize,
        quantity: u32,
    },
    Remove {
        customer: u8,
        product: usize,
    },
    Empty {
        customer: u8,
    },
    Checkout {
        customer: u8,
        key: Option<u8>,
    },
    /// Puts something into the cart, checks out, pays.
    Buy {
        customer: u8,
        product: usize,
        quantity: u32,
        card: usize,
    },
    /// Without an order: the newest one.
    Pay {
        customer: u8,
        order: Option<usize>,
        card: usize,
        key: Option<u8>,
    },
    Cancel {
        order: usize,
        by_admin: bool,
    },
    Fulfil {
        order: usize,
        step: usize,
    },
    /// Of so many percent of the total.
    Refund {
        order: usize,
        percent: u64,
        key: Option<u8>,
    },
    Reprice {
        product: usize,
        amount: u64,
    },
    Retire {
        product: usize,
    },
    Look {
        customer: u8,
        order: usize,
    },
    Wait {
        seconds: i64,
    },
    Expire,
    Reconcile,
}

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
}

fn key() -> impl Strategy<Value = Option<u8>> {
    prop_oneof![2 => Just(None), 3 => (0..3_u8).prop_map(Some)]
}

fn card() -> impl Strategy<Value = usize> {
    prop_oneof![5 => Just(0_usize), 3 => 0..CARDS.len()]
}

fn quantity() -> impl Strategy<Value = u32> {
    prop_oneof![12 => 1..=4_u32, 1 => Just(99)]
}

pub(crate) fn action() -> impl Strategy<Value = Action> {
    let (customer, product, order) = (0..CUSTOMERS, 0..PRODUCTS.len(), 0..20_usize);
    prop_oneof![
        8 => (customer.clone(), product.clone(), quantity(), card())
            .prop_map(|(customer, product, quantity, card)| Action::Buy { customer, product, quantity, card }),
        4 => (customer.clone(), product.clone(), quantity())
            .prop_map(|(customer, product, quantity)| Action::Put { customer, product, quantity }),
        1 => (customer.clone(), product.clone())
            .prop_map(|(customer, product)| Action::Remove { customer, product }),
        1 => customer.clone().prop_map(|customer| Action::Empty { customer }),
        5 => (customer.clone(), key()).prop_map(|(customer, key)| Action::Checkout { customer, key }),
        6 => (customer.clone(), prop::option::of(order.clone()), card(), key())
            .prop_map(|(customer, order, card, key)| Action::Pay { customer, order, card, key }),
        5 => (order.clone(), any::<bool>()).prop_map(|(order, by_admin)| Action::Cancel { order, by_admin }),
        5 => (order.clone(), 0..3_usize).prop_map(|(order, step)| Action::Fulfil { order, step }),
        5 => (order.clone(), prop_oneof![2 => Just(100_u64), 3 => 1..=110_u64], key())
            .prop_map(|(order, percent, key)| Action::Refund { order, percent, key }),
        2 => (product.clone(), 1..10_000_u64).prop_map(|(product, amount)| Action::Reprice { product, amount }),
        1 => product.prop_map(|product| Action::Retire { product }),
        1 => (customer, order).prop_map(|(customer, order)| Action::Look { customer, order }),
        3 => prop_oneof![2 => 1..20_i64, 1 => 1000..2400_i64].prop_map(|seconds| Action::Wait { seconds }),
        3 => Just(Action::Expire),
        3 => Just(Action::Reconcile),
    ]
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
            Self::Fulfil { order, step: number } => {
                let Some((_, id)) = shop.order(order) else { return };
                let (name, status) =
                    [("pack", "PACKED"), ("ship", "SHIPPED"), ("deliver", "DELIVERED")][number];
                step(shop, Who::Admin, id, name, status).await;
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

async fn checkout(shop: &Shop, customer: u8, key: Option<u8>) {
    let key = key.map(|key| format!("checkout-{key}"));
    let answer = Request::post(Who::Customer(customer), "/orders").key(key.clone()).ask(shop).await;
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
    let answer = Request::post(Who::Customer(customer), "/pay").key(key.clone()).json(body).ask(shop).await;
    let mut told = shop.told.lock().unwrap();
    match answer.status {
        StatusCode::CREATED => {
            told.paid.push((id(&answer.json["id"]), id(&answer.json["order_id"])));
        }
        StatusCode::PAYMENT_REQUIRED => told.declined.push(id(&answer.json["payment_id"])),
        // Nothing is owed, or not any more.
        StatusCode::CONFLICT => return,
        _ => panic!("{answer:?}"),
    }
    if let Some(key) = key {
        let payment = if answer.status == StatusCode::CREATED { "id" } else { "payment_id" };
        told.by_key.push((format!("{customer} {key}"), answer.status, answer.json[payment].clone()));
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
    let Some((_, order)) = shop.order(order) else { return };
    let order = Request::new(Who::Admin, Method::GET, format!("/orders/{order}")).send(shop).await.json;
    let Some(payment) = order["payment_id"].as_str() else { return };
    let amount = (order["total"]["amount"].as_u64().unwrap() * percent / 100).max(1);
    let key = key.map(|key| format!("refund-{key}-{payment}-{amount}"));
    let body = json!({"amount": {"amount": amount, "currency": "EUR"}});
    let refund = Request::post(Who::Admin, format!("/payments/{payment}/refund")).key(key).json(body);
    let answer = refund.ask(shop).await;
    match answer.status {
        StatusCode::CREATED => {
            let refund = (id(&json!(payment)), id(&answer.json["id"]));
            shop.told.lock().unwrap().refunds.push(refund);
        }
        // More than is left.
        StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY => {}
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
    /// One of the orders that were placed so far, and whose it is.
    fn order(&self, number: usize) -> Option<(u8, Uuid)> {
        let told = self.told.lock().unwrap();
        let newest_first = number.checked_rem(told.orders.len())?;
        told.orders.iter().rev().nth(newest_first).copied()
    }
}
