//! What each endpoint costs, that the READMEs say so, and that it does not grow with what was there before.

use http::Method;
use serde_json::{Value, json};
use shared::testing::Capacity;

use crate::history::REGULAR;
use crate::request::{Request, Who};
use crate::shop::Shop;

/// What requests cost, in the order in which they were made.
type Bill = Vec<(String, Capacity)>;

/// Makes a request that must succeed; what it cost, and what was answered.
async fn measure(shop: &Shop, bill: &mut Bill, request: Request) -> Value {
    shop.database.take_calls();
    shop.database.take_capacity();
    let answer = request.send(shop).await;
    let cost = shop.database.take_capacity();
    assert!(answer.status.is_success(), "{request:?}: {answer:?}");
    let calls = shop.database.take_calls();
    assert!(!calls.iter().any(|call| call.starts_with("Scan")), "{request:?} scans");
    bill.push((request.endpoint(), cost));
    answer.json
}

/// The bill of every endpoint.
async fn bill(shop: &Shop) -> Bill {
    let mut bill = Bill::new();
    products(shop, &mut bill).await;
    carts(shop, &mut bill).await;
    orders(shop, &mut bill).await;
    payments(shop, &mut bill).await;
    bill
}

fn get(path: impl Into<String>) -> Request {
    Request::new(REGULAR, Method::GET, path)
}

fn by_admin(method: Method, path: &str) -> Request {
    Request::new(Who::Admin, method, path)
}

async fn products(shop: &Shop, bill: &mut Bill) {
    let product = json!({"name": "Pot", "price": {"amount": 4950, "currency": "EUR"}, "stock": 10});
    measure(shop, bill, get("/products?limit=2")).await;
    measure(shop, bill, get("/products/cup")).await;
    shop.sell("pot", 4950, 7).await;
    measure(shop, bill, by_admin(Method::PUT, "/products/pot").json(product)).await;
    let price = json!({"price": {"amount": 4951}});
    measure(shop, bill, by_admin(Method::PATCH, "/products/pot").json(price)).await;
    measure(shop, bill, by_admin(Method::DELETE, "/products/pot")).await;
}

async fn carts(shop: &Shop, bill: &mut Bill) {
    let one = || json!({"quantity": 1});
    let put = || Request::new(REGULAR, Method::PUT, "/cart/items/cup").json(one());
    put().ask(shop).await;
    measure(shop, bill, put()).await;
    measure(shop, bill, get("/cart")).await;
    measure(shop, bill, Request::new(REGULAR, Method::DELETE, "/cart/items/cup")).await;
    put().ask(shop).await;
    measure(shop, bill, Request::new(REGULAR, Method::DELETE, "/cart")).await;
    let made = measure(shop, bill, Request::post(Who::Anybody, "/cart")).await;
    let token = made["cart_token"].as_str().unwrap();
    let put = Request::new(Who::Anybody, Method::PUT, "/cart/items/cup").json(one()).cart_token(token);
    put.ask(shop).await;
    measure(shop, bill, Request::post(REGULAR, "/cart/merge").cart_token(token)).await;
}

async fn orders(shop: &Shop, bill: &mut Bill) {
    // There is a cup in the cart.
    let placed = measure(shop, bill, Request::post(REGULAR, "/orders")).await;
    let order = format!("/orders/{}", placed["id"].as_str().unwrap());
    measure(shop, bill, get("/orders?limit=2")).await;
    measure(shop, bill, get(&order)).await;
    measure(shop, bill, get(format!("{order}/tracking"))).await;
    measure(shop, bill, Request::post(REGULAR, format!("{order}/cancel"))).await;
    let order = shop.place(REGULAR).await;
    let body = json!({"order_id": order, "payment_method": "pm_card_visa"});
    Request::post(REGULAR, "/pay").json(body).ask(shop).await;
    let order = format!("/orders/{order}");
    measure(shop, bill, by_admin(Method::POST, &format!("{order}/pack"))).await;
    let shipment = json!({"carrier": "DHL", "tracking_number": "1"});
    measure(shop, bill, by_admin(Method::POST, &format!("{order}/ship")).json(shipment)).await;
    measure(shop, bill, by_admin(Method::POST, &format!("{order}/deliver"))).await;
}

async fn payments(shop: &Shop, bill: &mut Bill) {
    let order = shop.place(REGULAR).await;
    let body = json!({"order_id": order, "payment_method": "pm_card_visa"});
    let paid = measure(shop, bill, Request::post(REGULAR, "/pay").json(body)).await;
    shop.place(REGULAR).await;
    let body = json!({"payment_method": "pm_card_visa"});
    measure(shop, bill, Request::post(REGULAR, "/pay").json(body)).await;
    measure(shop, bill, get("/payments?limit=2")).await;
    let payment = paid["payment_id"].as_str().unwrap();
    measure(shop, bill, get(format!("/payments/{payment}"))).await;
}

#[tokio::test]
async fn no_endpoint_costs_more_after_ten_thousand_orders_payments_and_edits_than_after_ten() {
    let few = bill(&Shop::with_history(10).await).await;
    let many = bill(&Shop::with_history(10_000).await).await;
    for (name, cost) in &few {
        println!("{name} {cost:?}");
    }
    assert_eq!(few, many);
}
