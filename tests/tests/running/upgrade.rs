//! What an older version of the system wrote, this one reads: accounts, sessions, carts, orders, payments, what users were told
//! and what was counted. `cargo local deploy --from` has [`write`] run against the older version, and [`verify`] after the
//! update; against one and the same version both run here.

use std::path::PathBuf;

use http::Method;
use serde_json::{Value, json};
use shared::clock::Clock;
use totp_rs::Totp;

use crate::client::{Client, User};
use crate::sessions::refresh;

/// Names the file between the two.
const FILE: &str = "UPGRADE_FILE";

#[tokio::test]
async fn what_was_written_is_there() {
    let client = Client::new();
    let written = write(&client).await;
    verify(&client, &written).await;
}

#[tokio::test]
#[ignore = "the first half of an upgrade, for `cargo local deploy`"]
async fn writes() {
    let written = write(&Client::new()).await;
    std::fs::write(file(), format!("{written:#}\n")).unwrap();
}

#[tokio::test]
#[ignore = "the second half of an upgrade, for `cargo local deploy`"]
async fn verifies() {
    let written = std::fs::read_to_string(file()).unwrap();
    verify(&Client::new(), &serde_json::from_str(&written).unwrap()).await;
}

fn file() -> PathBuf {
    std::env::var_os(FILE).unwrap_or_else(|| panic!("{FILE} is not set")).into()
}

/// Leaves something of every kind, and tells what: the answers to [`reads`], and what is needed to go on.
async fn write(client: &Client) -> Value {
    let user = client.new_user().await;
    let token = user.token.as_str();
    client.call(Method::PATCH, "user", "/profile", token, Some(json!({"locale": "de"}))).await.expect(200);
    let address = json!({"name": "A", "line1": "Hauptstr. 1", "city": "Berlin", "postal_code": "10115", "country": "DE"});
    client.post("user", "/profile/addresses", token, Some(address)).await.expect(201);
    let wish = json!({"order_placed": {"email": true, "sms": true}});
    let preferences = "/notifications/preferences";
    let mut preferred = client.get("notification", preferences, token).await.expect(200);
    preferred["order_placed"] = wish["order_placed"].clone();
    client.put("notification", preferences, token, preferred).await.expect(200);

    let product = client.new_product(50).await;
    let paid = order(client, &user, &product).await;
    pay(client, token, &paid).await.expect(201);
    let cancelled = order(client, &user, &product).await;
    client.post("order", &format!("/orders/{cancelled}/cancel"), token, None).await.expect(200);
    let key = format!("upgrade-{}", user.id);
    put_into_cart(client, token, &product).await;
    let pending = place(client, token, &key).await.expect(201);
    put_into_cart(client, token, &product).await;
    let cart_token =
        client.send(client.request(Method::POST, "cart", "/cart")).await.expect(201)["cart_token"].clone();
    let line = client.request(Method::PUT, "cart", &format!("/cart/items/{product}"));
    let line = line.header("cart-token", cart_token.as_str().unwrap()).json(&json!({"quantity": 3}));
    client.send(line).await.expect(200);

    let kept = client.start_session(&user.username, &user.password).await.expect(200);
    let ended = client.start_session(&user.username, &user.password).await.expect(200);
    let logout = client.post("auth", "/logout", ended["access_token"].as_str().unwrap(), None).await;
    assert_eq!(logout.status, 204, "{}", logout.json);
    let member = enrol(client).await;

    // The workers are done when all that happened is told of.
    let told = client.eventually("every event is told of", || async {
        let list = client.get("notification", "/notifications?limit=100", token).await.expect(200);
        let items = list["items"].as_array().unwrap();
        let settled =
            |item: &Value| item["channels"].as_object().unwrap().values().all(|status| status != "SENDING");
        (items.len() >= 4 && items.iter().all(settled)).then_some(())
    });
    told.await;
    json!({
        "username": user.username,
        "password": user.password,
        "product": product,
        "kept": kept,
        "ended": ended,
        "pending": {"key": key, "order": pending},
        "cart_token": cart_token,
        "member": member,
        "reads": reads(client, &product, token).await,
    })
}

/// Everything is as it was, and goes on.
async fn verify(client: &Client, written: &Value) {
    let text = |member: &str| written[member].as_str().unwrap();
    let refreshed = refresh(client, &written["kept"]).await.expect(200);
    let ended = refresh(client, &written["ended"]).await;
    assert_eq!(ended.status, 401, "a session that had ended lives again: {}", ended.json);
    let token = refreshed["access_token"].as_str().unwrap();
    let now = reads(client, text("product"), token).await;
    for (path, before) in written["reads"].as_object().unwrap() {
        assert_holds(before, &now[path], path);
    }

    client.login(text("username"), text("password")).await;
    let again = place(client, token, written["pending"]["key"].as_str().unwrap()).await;
    assert_eq!(again.headers["idempotency-replayed"], "true", "the key had been used");
    let order = again.expect(201);
    assert_holds(&written["pending"]["order"], &order, "the order of an idempotency key");
    pay(client, token, order["id"].as_str().unwrap()).await.expect(201);

    let merged = client.request(Method::POST, "cart", "/cart/merge").bearer_auth(token);
    let merged = client.send(merged.header("cart-token", text("cart_token"))).await.expect(200);
    assert_eq!(
        merged["lines"][0]["quantity"], 4,
        "one in the user's cart and three in the anonymous one: {merged}"
    );

    let member = &written["member"];
    let login = |proof: Value| {
        let mut body = json!({"username": member["username"], "password": member["password"]});
        body.as_object_mut().unwrap().extend(proof.as_object().unwrap().clone());
        async move { client.send(client.request(Method::POST, "auth", "/login").json(&body)).await.status }
    };
    assert_eq!(login(json!({})).await, 401, "the second factor is gone");
    assert_eq!(login(json!({"recovery_code": member["recovery_codes"][0]})).await, 200);
    // The code of this half minute may be the one that has been used.
    let code = Totp::from_url(member["otpauth_uri"].as_str().unwrap()).unwrap();
    let next = u64::try_from(Clock::system().now().as_second()).unwrap() + 30;
    assert_eq!(login(json!({"otp": code.generate(next).to_string()})).await, 200);
}

/// What the user, and a visitor, reads.
async fn reads(client: &Client, product: &str, token: &str) -> Value {
    let mut reads = json!({});
    for (service, path) in [
        ("user", "/profile"),
        ("user", "/profile/addresses"),
        ("cart", "/cart"),
        ("cart", &format!("/products/{product}")),
        ("order", "/orders?limit=100"),
        ("payment", "/payments?limit=100"),
        ("notification", "/notifications?limit=100"),
        ("notification", "/notifications/preferences"),
    ] {
        reads[path] = client.get(service, path, token).await.expect(200);
    }
    reads
}

/// All that was there is there; more may be.
#[track_caller]
fn assert_holds(before: &Value, now: &Value, at: &str) {
    match (before, now) {
        (Value::Object(before), Value::Object(_)) => {
            for (name, value) in before {
                assert_holds(value, &now[name], &format!("{at}.{name}"));
            }
        }
        (Value::Array(before), Value::Array(now)) => {
            assert_eq!(before.len(), now.len(), "{at}: {before:?} became {now:?}");
            for (index, (before, now)) in before.iter().zip(now).enumerate() {
                assert_holds(before, now, &format!("{at}[{index}]"));
            }
        }
        // What became of a mail may be known later.
        _ if before == "SENT" && now == "DELIVERED" => {}
        _ => assert_eq!(before, now, "{at}"),
    }
}

async fn put_into_cart(client: &Client, token: &str, product: &str) {
    client.put("cart", &format!("/cart/items/{product}"), token, json!({"quantity": 1})).await.expect(200);
}

async fn order(client: &Client, user: &User, product: &str) -> String {
    client.order(user, product, 1).await.expect(201)["id"].as_str().unwrap().to_owned()
}

async fn place(client: &Client, token: &str, key: &str) -> crate::client::Answer {
    let request = client.request(Method::POST, "order", "/orders").bearer_auth(token);
    client.send(request.header("idempotency-key", key)).await
}

async fn pay(client: &Client, token: &str, order: &str) -> crate::client::Answer {
    let body = json!({"order_id": order, "payment_method": "pm_card_visa"});
    client.post("payment", "/pay", token, Some(body)).await
}

/// A user with a second factor: name, password, the secret's URI and the recovery codes.
pub(crate) async fn enrol(client: &Client) -> Value {
    let user = client.new_user().await;
    let password = json!({"password": user.password});
    let enrolment = client.post("auth", "/totp", &user.token, Some(password)).await.expect(200);
    let code = Totp::from_url(enrolment["otpauth_uri"].as_str().unwrap()).unwrap();
    let code = code.generate(u64::try_from(Clock::system().now().as_second()).unwrap()).to_string();
    let confirmed =
        client.post("auth", "/totp/confirm", &user.token, Some(json!({ "code": code }))).await.expect(200);
    json!({
        "username": user.username,
        "password": user.password,
        "otpauth_uri": enrolment["otpauth_uri"],
        "recovery_codes": confirmed["recovery_codes"],
    })
}
