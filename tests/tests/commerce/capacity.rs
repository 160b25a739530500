//! What each endpoint costs, that the READMEs say so, and that it does not grow with what was there before.

use http::Method;
use serde_json::{Value, json};
use shared::testing::Capacity;
use template::workspace_root;

use crate::history::REGULAR;
use crate::request::{Request, Who};
use crate::shop::Shop;

/// What requests cost, in the order in which they were made, each by the name that the README of its service has for it.
type Bill = Vec<(String, Capacity)>;

/// Makes a request that must succeed, and notes what it cost; its answer.
async fn measure(shop: &Shop, bill: &mut Bill, request: Request) -> Value {
    measure_as("", shop, bill, request).await
}

/// The same for a request whose row says more than the endpoint.
async fn measure_as(special: &str, shop: &Shop, bill: &mut Bill, request: Request) -> Value {
    shop.database.take_calls();
    shop.database.take_capacity();
    let answer = request.send(shop).await;
    let cost = shop.database.take_capacity();
    assert!(answer.status.is_success(), "{request:?}: {answer:?}");
    let calls = shop.database.take_calls();
    assert!(!calls.iter().any(|call| call.starts_with("Scan")), "{request:?} scans");
    bill.push((format!("{}{special}", request.endpoint()), cost));
    answer.json
}

/// The bill of every endpoint.
async fn bill(shop: &Shop) -> Bill {
    let mut bill = Bill::new();
    products(shop, &mut bill).await;
    carts(shop, &mut bill).await;
    orders(shop, &mut bill).await;
    payments(shop, &mut bill).await;
    profiles(shop, &mut bill).await;
    news(shop, &mut bill).await;
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
    shop.fill_cart(REGULAR).await;
    let with_key = Request::post(REGULAR, "/orders").key(Some("order".to_owned()));
    measure_as(" with Idempotency-Key", shop, bill, with_key).await;
    let address = shop.address(0).await;
    shop.fill_cart(REGULAR).await;
    let with_address = Request::post(REGULAR, "/orders").json(json!({"address_id": address}));
    measure_as(" with address_id", shop, bill, with_address).await;
    let order = format!("/orders/{}", placed["id"].as_str().unwrap());
    measure(shop, bill, get("/orders?limit=2")).await;
    measure(shop, bill, get(&order)).await;
    measure(shop, bill, get(format!("{order}/tracking"))).await;
    measure(shop, bill, Request::post(REGULAR, format!("{order}/cancel"))).await;
    let order = shop.place(REGULAR).await;
    measure_as(" by an admin", shop, bill, by_admin(Method::POST, &format!("/orders/{order}/cancel"))).await;
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
    let pay = |order: &str| {
        Request::post(REGULAR, "/pay").json(json!({"order_id": order, "payment_method": "pm_card_visa"}))
    };
    let paid = measure(shop, bill, pay(&shop.place(REGULAR).await)).await;
    let newest = json!({"payment_method": "pm_card_visa"});
    shop.place(REGULAR).await;
    measure_as(" without order_id", shop, bill, Request::post(REGULAR, "/pay").json(newest)).await;
    let order = shop.place(REGULAR).await;
    let with_key = pay(&order).key(Some("pay".to_owned()));
    measure_as(" with Idempotency-Key", shop, bill, with_key).await;
    measure(shop, bill, get("/payments?limit=2")).await;
    let payment = paid["payment_id"].as_str().unwrap();
    measure(shop, bill, get(format!("/payments/{payment}"))).await;

    let refund = |amount: u64| {
        let body = json!({"amount": {"amount": amount, "currency": "EUR"}, "reason": "broken"});
        by_admin(Method::POST, &format!("/payments/{payment}/refund")).json(body)
    };
    measure(shop, bill, refund(1)).await;
    measure_as(" with Idempotency-Key", shop, bill, refund(2).key(Some("refund".to_owned()))).await;
    // An event that comes after the direct answer; then once more.
    let event = shop.provider.event(0).unwrap();
    let webhook = || Request::post(Who::Anybody, "/webhooks/stripe").event(event.clone());
    measure(shop, bill, webhook()).await;
    measure_as(" sent again", shop, bill, webhook()).await;
}

async fn profiles(shop: &Shop, bill: &mut Bill) {
    shop.register(0).await;
    let label = || json!({"name": "M", "line1": "Main St 1", "city": "Berlin", "postal_code": "10115", "country": "DE"});
    let add = || Request::post(REGULAR, "/profile/addresses").json(label());
    measure(shop, bill, get("/profile")).await;
    let name = json!({"name": "Mahindra"});
    measure(shop, bill, Request::new(REGULAR, Method::PATCH, "/profile").json(name)).await;
    let email = json!({"email": "m@example.com"});
    measure_as(" with email", shop, bill, Request::new(REGULAR, Method::PATCH, "/profile").json(email)).await;
    let added = measure(shop, bill, add()).await;
    measure_as(" with Idempotency-Key", shop, bill, add().key(Some("address".to_owned()))).await;
    measure(shop, bill, get("/profile/addresses")).await;
    let address = format!("/profile/addresses/{}", added["id"].as_str().unwrap());
    measure(shop, bill, get(&address)).await;
    measure(shop, bill, Request::new(REGULAR, Method::PUT, &address).json(label())).await;
    measure(shop, bill, Request::new(REGULAR, Method::DELETE, &address)).await;
}

async fn news(shop: &Shop, bill: &mut Bill) {
    measure(shop, bill, get("/notifications")).await;
    let preferences = measure(shop, bill, get("/notifications/preferences")).await;
    let put = Request::new(REGULAR, Method::PUT, "/notifications/preferences").json(preferences);
    measure(shop, bill, put).await;
    measure(shop, bill, Request::post(REGULAR, "/events").json(json!({"name": "search"}))).await;
    for question in ["summary", "timeseries", "funnel", "top-products"] {
        // A week within one month.
        let path = format!("/analytics/{question}?to=2026-01-20");
        measure(shop, bill, by_admin(Method::GET, &path)).await;
    }
    measure(shop, bill, by_admin(Method::GET, "/analytics/cohorts")).await;
}

/// The rows under `| endpoint | round trips | read units | write units |` of the service's README. A cell begins with the
/// number; what follows it explains.
fn documented(service: &str) -> Bill {
    let path = workspace_root().join(format!("functions/{service}/README.md"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let table =
        text.lines().skip_while(|line| *line != "| endpoint | round trips | read units | write units |");
    let rows = table.skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let number = |cell: usize| -> f64 {
            let begin = cells[cell].split(|letter: char| !letter.is_ascii_digit() && letter != '.').next();
            begin.unwrap().parse().unwrap_or_else(|_| panic!("no number begins {row}"))
        };
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number")]
        let round_trips = number(1) as u32;
        let cost = Capacity { round_trips, read_units: number(2), write_units: number(3) };
        (cells[0].replace('`', ""), cost)
    })
    .collect()
}

#[tokio::test]
async fn no_endpoint_costs_more_after_ten_thousand_orders_payments_and_edits_than_after_ten() {
    let few = bill(&Shop::with_history(10).await).await;
    let many = bill(&Shop::with_history(10_000).await).await;
    for (few, many) in few.iter().zip(&many) {
        assert_eq!(few, many);
    }
    assert_eq!(few.len(), many.len());
}

#[tokio::test]
async fn endpoints_cost_what_the_readmes_say() {
    let shop = Shop::with_history(10).await;
    if !shop.database.is_embedded() {
        return; // DynamoDB Local counts the indexes of transactions otherwise than DynamoDB.
    }
    let measured = bill(&shop).await;
    let documented: Bill = ["cart", "order", "payment", "user", "notification", "analytics"]
        .into_iter()
        .flat_map(documented)
        .collect();
    for (name, cost) in &measured {
        let row = documented.iter().find(|(row, _)| row == name);
        let (_, said) = row.unwrap_or_else(|| panic!("no README says what {name} costs: {cost:?}"));
        assert_eq!(cost, said, "{name}");
    }
    for (row, _) in &documented {
        assert!(measured.iter().any(|(name, _)| name == row), "{row} is not measured");
    }
}
