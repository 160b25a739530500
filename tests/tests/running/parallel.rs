//! The invariants under parallel requests, over several instances of each function.

use std::time::Duration;

use http::Method;
use serde_json::json;
use shared::clock::Clock;
use shared::id::Generator;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::INSTANCES;
use crate::client::{Answer, Client, User, in_parallel};
#[cfg(target_os = "linux")]
use crate::{processes, system};

const PARALLEL: usize = 16;

async fn all_at_once<F: Future<Output = Answer> + Send + 'static>(
    calls: impl IntoIterator<Item = F>,
) -> Vec<Answer> {
    calls.into_iter().collect::<JoinSet<_>>().join_all().await
}

fn count(answers: &[Answer], status: u16) -> usize {
    answers.iter().filter(|answer| answer.status == status).count()
}

/// Makes requests until all instances of the function run: one alone would serialise a test and prove nothing.
async fn all_instances(client: &Client, function: &'static str, path: &'static str, token: &str) {
    if crate::is_left_out(&format!("that all instances of {function} run, before requests come at once")) {
        return;
    }
    #[cfg(target_os = "linux")]
    client
        .eventually("all instances run", || async {
            let ask = |client: Client, token: String| async move { client.get(function, path, &token).await };
            let _answers =
                all_at_once((0..4 * PARALLEL).map(|_| ask(client.clone(), token.to_owned()))).await;
            (processes::of(system(), function).len() >= usize::from(INSTANCES)).then_some(())
        })
        .await;
    #[cfg(not(target_os = "linux"))]
    let _no_process_table = (client, function, path, token);
}

#[tokio::test]
async fn simultaneous_payments_of_one_order_charge_once() {
    let client = Client::new();
    let user = client.new_user().await;
    let product = client.new_product(1).await;
    let order = client.order(&user, &product, 1).await.expect(201);
    all_instances(&client, "payment", "/payments", &user.token).await;

    let pay = |client: Client, user: User, order_id: String| async move {
        let body = json!({"order_id": order_id, "payment_method": "pm_card_visa"});
        client.post("payment", "/pay", &user.token, Some(body)).await
    };
    let order_id = order["id"].as_str().unwrap();
    let answers =
        all_at_once((0..PARALLEL).map(|_| pay(client.clone(), user.clone(), order_id.to_owned()))).await;
    assert_eq!(count(&answers, 201), 1, "{answers:?}");
    assert_eq!(count(&answers, 409), PARALLEL - 1, "{answers:?}");

    let payments = client.get("payment", "/payments", &user.token).await.expect(200);
    let payments = payments["items"].as_array().unwrap();
    assert_eq!(payments.len(), 1, "{payments:?}");
    assert_eq!(payments[0]["status"], "SUCCEEDED");
    let order = client.get("order", &format!("/orders/{order_id}"), &user.token).await.expect(200);
    assert_eq!(order["status"], "PAID");
}

#[tokio::test]
async fn the_last_units_are_sold_once() {
    const STOCK: usize = 5;
    let client = Client::new();
    let product = client.new_product(u32::try_from(STOCK).unwrap()).await;
    let mut users = Vec::new();
    for _ in 0..PARALLEL {
        let user = client.new_user().await;
        let item = format!("/cart/items/{product}");
        client.put("cart", &item, &user.token, json!({"quantity": 1})).await.expect(200);
        users.push(user);
    }
    all_instances(&client, "order", "/orders", &users[0].token).await;
    let checkout = |client: Client, user: User| async move {
        // A client retries what says that it can be retried, and gives up in the end.
        let mut answer = client.post("order", "/orders", &user.token, None).await;
        for _ in 0..20 {
            if answer.status == 503 {
                answer = client.post("order", "/orders", &user.token, None).await;
            }
        }
        answer
    };
    let answers = all_at_once(users.iter().map(|user| checkout(client.clone(), user.clone()))).await;
    assert_eq!(count(&answers, 201), STOCK, "{answers:?}");
    assert_eq!(count(&answers, 409), PARALLEL - STOCK, "{answers:?}");
    let path = format!("/products/{product}");
    let left = client.send(client.request(Method::GET, "cart", &path)).await.expect(200);
    assert_eq!(left["stock"], 0);
    // Who got nothing still has the cart.
    let mut carts = 0;
    for user in &users {
        let cart = client.get("cart", "/cart", &user.token).await.expect(200);
        carts += cart["lines"].as_array().unwrap().len();
    }
    assert_eq!(carts, PARALLEL - STOCK);
}

#[tokio::test]
async fn one_cart_becomes_one_order() {
    let client = Client::new();
    let user = client.new_user().await;
    let product = client.new_product(100).await;
    client
        .put("cart", &format!("/cart/items/{product}"), &user.token, json!({"quantity": 3}))
        .await
        .expect(200);
    all_instances(&client, "order", "/orders", &user.token).await;
    let checkout =
        |client: Client, user: User| async move { client.post("order", "/orders", &user.token, None).await };
    let answers = all_at_once((0..8).map(|_| checkout(client.clone(), user.clone()))).await;
    assert_eq!(count(&answers, 201), 1, "{answers:?}");
    let orders = client.get("order", "/orders", &user.token).await.expect(200);
    assert_eq!(orders["items"].as_array().unwrap().len(), 1);
    let path = format!("/products/{product}");
    let left = client.send(client.request(Method::GET, "cart", &path)).await.expect(200);
    assert_eq!(left["stock"], 97);
}

/// `cargo lambda watch` alone hangs for good when so many requests come for one function at once.
#[tokio::test]
async fn a_crowd_is_served() {
    let client = Client::new();
    let user = client.new_user().await;
    let ask = |client: Client, token: String| async move { client.get("payment", "/payments", &token).await };
    let answers = all_at_once((0..250).map(|_| ask(client.clone(), user.token.clone()))).await;
    assert_eq!(count(&answers, 200), 250);
}

/// The answer that is final: a client that is told when to try again does so then, or a random while later.
async fn patiently<F: Future<Output = Answer>>(ask: impl Fn() -> F) -> Answer {
    loop {
        let answer = ask().await;
        let Some(seconds) = answer.headers.get("retry-after") else { return answer };
        let seconds = Duration::from_secs(seconds.to_str().unwrap().parse().unwrap());
        let [random] = Generator::system().bytes();
        sleep(seconds + Duration::from_millis(4 * u64::from(random))).await;
    }
}

/// More customers than there are goods, all at once.
#[tokio::test]
async fn a_hundred_of_two_hundred_customers_get_the_hundred_pieces() {
    const CUSTOMERS: usize = 200;
    const STOCK: usize = 100;
    let client = Client::new();
    let product = client.new_product(u32::try_from(STOCK).unwrap()).await;
    let (issuer, now) = (client.issuer(), Clock::system().now());
    let tokens: Vec<String> =
        (0..CUSTOMERS).map(|_| issuer.token(Generator::system().uuid(now), now)).collect();
    let fill = |client: Client, token: String, item: String| async move {
        let put = || client.put("cart", &item, &token, json!({"quantity": 1}));
        patiently(put).await.expect(200);
    };
    let item = format!("/cart/items/{product}");
    in_parallel(tokens.iter().map(|token| fill(client.clone(), token.clone(), item.clone()))).await;
    all_instances(&client, "order", "/orders", &tokens[0]).await;

    let checkout = |client: Client, token: String| async move {
        // Under a key: where an answer gets lost, the next one tells of the order that was placed.
        let post = || client.request(Method::POST, "order", "/orders").bearer_auth(&token);
        patiently(|| client.send(post().header("idempotency-key", "checkout"))).await
    };
    let answers = all_at_once(tokens.iter().map(|token| checkout(client.clone(), token.clone()))).await;
    assert_eq!((count(&answers, 201), count(&answers, 409)), (STOCK, CUSTOMERS - STOCK), "{answers:?}");
    for refused in answers.iter().filter(|answer| answer.status == 409) {
        assert_eq!(refused.json["type"], "urn:problem-type:insufficient-stock");
    }
    let path = format!("/products/{product}");
    let left = client.send(client.request(Method::GET, "cart", &path)).await.expect(200);
    assert_eq!(left["stock"], 0);
}
