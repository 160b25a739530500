//! What a shop relies on, through every service: carts without a login, requests sent again, stock that comes back, money that
//! goes back.

use http::Method;
use serde_json::{Value, json};
use shared::aws::Aws;
use shared::config::Env;

use crate::client::{Answer, Client, User, admin_token};
use crate::system;

async fn post_keyed(client: &Client, user: &User, service: &str, path: &str, body: &Value) -> Answer {
    let request = client.request(Method::POST, service, path).bearer_auth(&user.token);
    client.send(request.header("idempotency-key", format!("{path} {body}")).json(body)).await
}

async fn pay(client: &Client, user: &User, order: &Value) -> Value {
    let body = json!({"order_id": order["id"], "payment_method": "pm_card_visa"});
    client.post("payment", "/pay", &user.token, Some(body)).await.expect(201)
}

async fn stock(client: &Client, product: &str) -> Value {
    let path = format!("/products/{product}");
    client.send(client.request(Method::GET, "cart", &path)).await.expect(200)["stock"].clone()
}

async fn status(client: &Client, user: &User, order: &Value) -> Value {
    let path = format!("/orders/{}", order["id"].as_str().unwrap());
    client.get("order", &path, &user.token).await.expect(200)["status"].clone()
}

#[tokio::test]
async fn what_was_put_into_a_cart_before_the_login_is_there_after_it() {
    let client = Client::new();
    let (tea, cup) = (client.new_product(5).await, client.new_product(5).await);
    let made = client.send(client.request(Method::POST, "cart", "/cart")).await.expect(201);
    let token = made["cart_token"].as_str().unwrap();
    let item = format!("/cart/items/{tea}");
    let put = client.request(Method::PUT, "cart", &item).header("cart-token", token);
    client.send(put.json(&json!({"quantity": 2}))).await.expect(200);

    let user = client.new_user().await;
    client.put("cart", &format!("/cart/items/{cup}"), &user.token, json!({"quantity": 1})).await.expect(200);
    // Twice: the answer to the first may have got lost.
    for _ in 0..2 {
        let merge = client.request(Method::POST, "cart", "/cart/merge").bearer_auth(&user.token);
        let cart = client.send(merge.header("cart-token", token)).await.expect(200);
        assert_eq!(cart["total"], json!({"amount": 3000, "currency": "EUR"}), "{cart}");
    }
    let spent = client.request(Method::GET, "cart", "/cart").header("cart-token", token);
    assert_eq!(client.send(spent).await.status, 401);
}

#[tokio::test]
async fn a_checkout_and_a_payment_that_are_sent_again_happen_once() {
    let client = Client::new();
    let (user, product) = (client.new_user().await, client.new_product(5).await);
    client
        .put("cart", &format!("/cart/items/{product}"), &user.token, json!({"quantity": 2}))
        .await
        .expect(200);
    let order = post_keyed(&client, &user, "order", "/orders", &json!({})).await.expect(201);
    let again = post_keyed(&client, &user, "order", "/orders", &json!({})).await;
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(again.expect(201)["id"], order["id"]);
    assert_eq!(stock(&client, &product).await, 3);

    let body = json!({"payment_method": "pm_card_visa"});
    let receipt = post_keyed(&client, &user, "payment", "/pay", &body).await.expect(201);
    let again = post_keyed(&client, &user, "payment", "/pay", &body).await;
    assert_eq!(again.headers["idempotency-replayed"], "true");
    assert_eq!(again.expect(201), receipt);
    let payments = client.get("payment", "/payments", &user.token).await.expect(200);
    assert_eq!(payments["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_idempotency_key_whose_request_was_refused_may_be_used_again() {
    let client = Client::new();
    let (user, product) = (client.new_user().await, client.new_product(5).await);
    let body = json!({"payment_method": "pm_card_visa"});
    assert_eq!(
        post_keyed(&client, &user, "payment", "/pay", &body).await.status,
        409,
        "there is nothing to pay"
    );
    client.order(&user, &product, 1).await.expect(201);
    post_keyed(&client, &user, "payment", "/pay", &body).await.expect(201);
}

#[tokio::test]
async fn the_stock_of_an_order_that_nobody_pays_comes_back_by_itself() {
    let client = Client::new();
    let (user, product) = (client.new_user().await, client.new_product(5).await);
    let order = client.order(&user, &product, 4).await.expect(201);
    assert_eq!(stock(&client, &product).await, 1);

    // Nobody waits half an hour: the time at which it is due is made to be over.
    let env = Env::of(system().addresses.environment.clone());
    let table = env.required("ORDER_TABLE").unwrap();
    let update = Aws::new(&env).unwrap().dynamodb().update_item().table_name(table);
    let text = |text: String| aws_sdk_dynamodb::types::AttributeValue::S(text);
    let update = update
        .key("pk", text(format!("USER#{}", user.id)))
        .key("sk", text(format!("OPEN#{}", order["id"].as_str().unwrap())))
        .update_expression("SET due_at = :past")
        .condition_expression("attribute_exists(pk)")
        .expression_attribute_values(":past", text("2026-01-01T00:00:00.000Z".to_owned()));
    update.send().await.unwrap();
    client
        .eventually("the schedule expires it", || async {
            (status(&client, &user, &order).await == "EXPIRED").then_some(())
        })
        .await;
    assert_eq!(stock(&client, &product).await, 5);
    let body = json!({"order_id": order["id"], "payment_method": "pm_card_visa"});
    let late = client.post("payment", "/pay", &user.token, Some(body)).await;
    assert_eq!((late.status, &late.json["order_status"]), (409, &json!("EXPIRED")));
}

#[tokio::test]
async fn the_money_of_a_cancelled_order_goes_back_by_itself() {
    let client = Client::new();
    let (user, product) = (client.new_user().await, client.new_product(5).await);
    let order = client.order(&user, &product, 4).await.expect(201);
    let receipt = pay(&client, &user, &order).await;
    let cancel = format!("/orders/{}/cancel", order["id"].as_str().unwrap());
    let cancelled = client.post("order", &cancel, &user.token, None).await.expect(200);
    assert_eq!((&cancelled["status"], &cancelled["refund_due"]), (&json!("CANCELLED"), &json!(true)));
    assert_eq!(stock(&client, &product).await, 5);
    client
        .eventually("the reconciler refunds it", || async {
            (status(&client, &user, &order).await == "REFUNDED").then_some(())
        })
        .await;
    let payment = format!("/payments/{}", receipt["payment_id"].as_str().unwrap());
    let payment = client.get("payment", &payment, &user.token).await.expect(200);
    assert_eq!(payment["refunded"], json!({"amount": 4000, "currency": "EUR"}));
}

#[tokio::test]
async fn refunds_never_exceed_the_charge() {
    let client = Client::new();
    let (user, product) = (client.new_user().await, client.new_product(5).await);
    let order = client.order(&user, &product, 3).await.expect(201);
    let receipt = pay(&client, &user, &order).await;
    let path = format!("/payments/{}/refund", receipt["payment_id"].as_str().unwrap());
    let refund = |amount: u64| {
        let body = json!({"amount": {"amount": amount, "currency": "EUR"}, "reason": "Damaged"});
        let (client, path) = (client.clone(), path.clone());
        async move { client.post("payment", &path, &admin_token(), Some(body)).await }
    };
    assert_eq!(client.post("payment", &path, &user.token, Some(json!({"reason": "mine"}))).await.status, 403);
    refund(1000).await.expect(201);
    assert_eq!(status(&client, &user, &order).await, "PAID");
    assert_eq!(refund(2001).await.status, 409);
    let (one, two) = tokio::join!(refund(2000), refund(2000));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409], "{one:?} {two:?}");
    assert_eq!(status(&client, &user, &order).await, "REFUNDED");
}
