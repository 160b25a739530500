//! From registration to delivery, through every service.

use http::Method;
use serde_json::json;

use crate::client::{Client, admin_token};

#[tokio::test]
async fn a_new_customer_shops_pays_and_receives() {
    let client = Client::new();
    let user = client.new_user().await;
    let (token, admin) = (user.token.as_str(), admin_token());
    let product = client.new_product(5).await;

    let profile = client.get("user", "/profile", token).await.expect(200);
    assert_eq!((&profile["user_id"], &profile["email"]), (&json!(user.id), &json!(user.email)));
    let label =
        json!({"name": "A", "line1": "Main St 1", "city": "Berlin", "postal_code": "10115", "country": "DE"});
    let address = client.post("user", "/profile/addresses", token, Some(label)).await.expect(201);

    let item = format!("/cart/items/{product}");
    client.put("cart", &item, token, json!({"quantity": 2})).await.expect(200);
    let cart = client.get("cart", "/cart", token).await.expect(200);
    assert_eq!(cart["total"], json!({"amount": 2000, "currency": "EUR"}));

    let body = json!({"address_id": address["id"]});
    let placed = client.post("order", "/orders", token, Some(body)).await;
    let location = placed.headers["location"].to_str().unwrap().to_owned();
    let order = placed.expect(201);
    assert_eq!(order["status"], "PENDING_PAYMENT");
    assert_eq!(client.get("cart", "/cart", token).await.expect(200)["lines"], json!([]));
    let left =
        client.send(client.request(Method::GET, "cart", &format!("/products/{product}"))).await.expect(200);
    assert_eq!(left["stock"], 3);

    let pay = json!({"order_id": order["id"], "payment_method": "pm_card_visa"});
    let receipt = client.post("payment", "/pay", token, Some(pay)).await.expect(201);
    assert_eq!(receipt["amount"], json!({"amount": 2000, "currency": "EUR"}));
    let payment = format!("/payments/{}", receipt["payment_id"].as_str().unwrap());
    assert_eq!(client.get("payment", &payment, token).await.expect(200)["status"], "SUCCEEDED");

    let shipping = json!({"carrier": "DHL", "tracking_number": "JJD0001"});
    client.post("order", &format!("{location}/pack"), &admin, None).await.expect(200);
    client.post("order", &format!("{location}/ship"), &admin, Some(shipping)).await.expect(200);
    client.post("order", &format!("{location}/deliver"), &admin, None).await.expect(200);
    let tracking = client.get("order", &format!("{location}/tracking"), token).await.expect(200);
    let history: Vec<_> =
        tracking["history"].as_array().unwrap().iter().map(|entry| &entry["status"]).collect();
    assert_eq!(history, ["PENDING_PAYMENT", "PAID", "PACKED", "SHIPPED", "DELIVERED"]);
    assert_eq!(tracking["tracking_number"], "JJD0001", "{tracking}");
}

#[tokio::test]
async fn an_address_that_is_deleted_is_gone() {
    let client = Client::new();
    let user = client.new_user().await;
    let address =
        json!({"name": "A", "line1": "1 Main St", "city": "Berlin", "postal_code": "10115", "country": "DE"});
    let stored = client.post("user", "/profile/addresses", &user.token, Some(address)).await.expect(201);
    let path = format!("/profile/addresses/{}", stored["id"].as_str().unwrap());
    let delete = || client.call(Method::DELETE, "user", &path, &user.token, None);
    assert_eq!(delete().await.status, 204);
    assert_eq!(client.get("user", &path, &user.token).await.status, 404);
    assert_eq!(delete().await.status, 404);
}

#[tokio::test]
async fn what_is_anothers_does_not_exist() {
    let client = Client::new();
    let (owner, other) = (client.new_user().await, client.new_user().await);
    let product = client.new_product(5).await;
    let order = client.order(&owner, &product, 1).await.expect(201);
    let id = order["id"].as_str().unwrap();
    let pay = json!({"order_id": id, "payment_method": "pm_card_visa"});
    let stolen = client.post("payment", "/pay", &other.token, Some(pay.clone())).await;
    assert_eq!(stolen.status, 404, "{}", stolen.json);
    let receipt = client.post("payment", "/pay", &owner.token, Some(pay)).await.expect(201);
    let payment = receipt["payment_id"].as_str().unwrap();
    for (method, service, path) in [
        (Method::GET, "order", format!("/orders/{id}")),
        (Method::GET, "order", format!("/orders/{id}/tracking")),
        (Method::POST, "order", format!("/orders/{id}/cancel")),
        (Method::GET, "payment", format!("/payments/{payment}")),
    ] {
        let answer = client.call(method, service, &path, &other.token, None).await;
        assert_eq!(answer.status, 404, "{path}: {}", answer.json);
        answer.assert_problem(&path);
    }
    for (service, path) in
        [("order", "/orders"), ("payment", "/payments"), ("notification", "/notifications")]
    {
        let list = client.get(service, path, &other.token).await.expect(200);
        assert_eq!(list["items"], json!([]), "{path}");
    }
}

#[tokio::test]
async fn a_granted_admin_is_one_from_the_next_login_on() {
    let client = Client::new();
    let user = client.new_user().await;
    let summary = "/analytics/summary";
    assert_eq!(client.get("analytics", summary, &user.token).await.status, 403);
    local::operator::grant_admin(&crate::system().addresses.environment, &user.username).await.unwrap();
    let token = client.login(&user.username, &user.password).await;
    client.get("analytics", summary, &token).await.expect(200);
    local::operator::grant_admin(&crate::system().addresses.environment, "mahindra")
        .await
        .expect_err("a user who logs in without a password must not become an admin");
}
