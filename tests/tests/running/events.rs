//! What an order sets off: mail, SMS and figures, through the streams.

use http::Method;
use serde_json::{Value, json};

use crate::client::{Client, User, admin_token};
use crate::mail::{VERIFY, mails};
use crate::system;

/// How many SMS the emulator's SNS took for this number.
async fn messages(client: &Client, number: &str) -> usize {
    let url = format!("{}/_ministack/sns/sms-messages", system().addresses.emulator);
    let answer = client.send(client.to(Method::GET, &url)).await.expect(200);
    let numbers = answer["sms_messages"].as_object().unwrap_or_else(|| panic!("{answer}"));
    numbers.get(number).map_or(0, |list| list.as_array().unwrap().len())
}

/// What was told by which channel, and is known to have been sent.
async fn kinds(client: &Client, user: &User) -> Vec<(String, String)> {
    let list = client.get("notification", "/notifications?limit=100", &user.token).await.expect(200);
    let mut kinds = Vec::new();
    for item in list["items"].as_array().unwrap() {
        for (channel, status) in item["channels"].as_object().unwrap() {
            if status == "SENT" || status == "DELIVERED" {
                kinds.push((item["event"].as_str().unwrap().to_owned(), channel.clone()));
            }
        }
    }
    kinds.sort();
    kinds
}

/// What became of each notification's mail, of the newest event first.
async fn mail_statuses(client: &Client, user: &User) -> Vec<Value> {
    let list = client.get("notification", "/notifications", &user.token).await.expect(200);
    list["items"].as_array().unwrap().iter().map(|item| item["channels"]["email"].clone()).collect()
}

#[tokio::test]
async fn each_event_of_an_order_reaches_its_customer_once() {
    let client = Client::new();
    let user = client.new_user().await;
    let preferences = "/notifications/preferences";
    let mut wanted = client.get("notification", preferences, &user.token).await.expect(200);
    for event in ["order_placed", "order_paid", "order_shipped", "order_delivered", "order_cancelled"] {
        wanted[event] = json!({"email": true, "sms": event == "order_shipped"});
    }
    client.put("notification", preferences, &user.token, wanted).await.expect(200);

    let product = client.new_product(9).await;
    let order = client.order(&user, &product, 1).await.expect(201);
    let path = format!("/orders/{}", order["id"].as_str().unwrap());
    let pay = json!({"payment_method": "pm_card_visa"});
    client.post("payment", "/pay", &user.token, Some(pay)).await.expect(201);
    let admin = admin_token();
    let shipping = json!({"carrier": "DHL", "tracking_number": "JJD0002"});
    client.post("order", &format!("{path}/pack"), &admin, None).await.expect(200);
    client.post("order", &format!("{path}/ship"), &admin, Some(shipping)).await.expect(200);
    client.post("order", &format!("{path}/deliver"), &admin, None).await.expect(200);
    let second = client.order(&user, &product, 1).await.expect(201);
    let cancel = format!("/orders/{}/cancel", second["id"].as_str().unwrap());
    client.post("order", &cancel, &user.token, None).await.expect(200);

    let expected: Vec<(String, String)> = [
        ("order_cancelled", "email"),
        ("order_delivered", "email"),
        ("order_paid", "email"),
        ("order_placed", "email"),
        ("order_placed", "email"),
        ("order_shipped", "email"),
        ("order_shipped", "sms"),
    ]
    .map(|(event, channel)| (event.to_owned(), channel.to_owned()))
    .to_vec();
    client
        .eventually("every notification is sent", || async {
            (kinds(&client, &user).await == expected).then_some(())
        })
        .await;
    let mails = mails(&client, &user.email).await;
    // Another one verifies the address, sooner or later.
    assert_eq!(mails.iter().filter(|mail| mail["Subject"] != VERIFY).count(), 6, "{mails:?}");
    assert_eq!(messages(&client, &user.phone).await, 1);
}

#[tokio::test]
async fn events_are_counted_once_with_and_without_a_token() {
    let client = Client::new();
    let user = client.new_user().await;
    let unique = user.id.simple().to_string();
    let name = format!("test_{}", &unique[20..]);
    let id = user.id;
    let post = |token: Option<&str>, body: Value| {
        let request = client.request(Method::POST, "analytics", "/events").json(&body);
        let request = match token {
            Some(token) => request.bearer_auth(token),
            None => request,
        };
        let client = client.clone();
        async move { client.send(request).await }
    };
    for body in [json!({"name": name, "id": id}), json!({"name": name, "id": id}), json!({ "name": name })] {
        let answer = post(None, body).await;
        assert!((200..300).contains(&answer.status), "{}", answer.json);
    }
    let answer = post(Some(&user.token), json!({ "name": name })).await;
    assert!((200..300).contains(&answer.status), "{}", answer.json);
    assert_eq!(post(Some("bad"), json!({ "name": name })).await.status, 401);

    client
        .eventually("each event is counted, once", || async {
            let summary = client.get("analytics", "/analytics/summary", &admin_token()).await.expect(200);
            summary.to_string().contains(&format!("\"{name}\":3")).then_some(())
        })
        .await;
}

#[tokio::test]
async fn a_paid_order_is_revenue() {
    let client = Client::new();
    let user = client.new_user().await;
    // A currency of this test's own: the figures of the others do not disturb.
    let id = format!("p-{}", user.id.simple());
    let product =
        json!({"name": "P", "description": "d", "price": {"amount": 777, "currency": "XTS"}, "stock": 1});
    let put = client.put("cart", &format!("/products/{id}"), &admin_token(), product).await;
    assert!((200..300).contains(&put.status), "{}", put.json);
    client.order(&user, &id, 1).await.expect(201);
    let pay = json!({"payment_method": "pm_card_visa"});
    client.post("payment", "/pay", &user.token, Some(pay)).await.expect(201);
    client
        .eventually("the revenue counts the order", || async {
            let summary = client.get("analytics", "/analytics/summary", &admin_token()).await.expect(200);
            let text = summary.to_string();
            (text.contains("XTS") && text.contains("777")).then_some(())
        })
        .await;
}

#[tokio::test]
async fn a_mail_says_that_it_was_delivered_and_one_click_in_it_ends_mails_like_it() {
    let client = Client::new();
    let user = client.new_user().await;
    let product = client.new_product(9).await;
    client.order(&user, &product, 1).await.expect(201);
    client
        .eventually("the mail is delivered", || async {
            (mail_statuses(&client, &user).await == ["DELIVERED"]).then_some(())
        })
        .await;
    let mails = mails(&client, &user.email).await;
    let mail = mails.iter().find(|mail| mail["Subject"] != VERIFY).unwrap();
    let text = mail["BodyText"].as_str().unwrap();
    let (_, link) = text.split_once("/notifications/unsubscribe/").unwrap_or_else(|| panic!("{text}"));
    let path = format!("/notifications/unsubscribe/{}", link.split_whitespace().next().unwrap());
    let click = client.request(Method::POST, "notification", &path).body("List-Unsubscribe=One-Click");
    let click = click.header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(client.send(click).await.status, 200);
    client.order(&user, &product, 1).await.expect(201);
    client
        .eventually("the second order is noted without a mail", || async {
            let statuses = mail_statuses(&client, &user).await;
            (statuses.len() == 2).then(|| assert_eq!(statuses, [json!(null), json!("DELIVERED")]))
        })
        .await;
    let list = client.get("notification", "/notifications", &user.token).await.expect(200);
    assert_eq!(list["unread"], 2);
    assert_eq!(
        client.post("notification", "/notifications/read", &user.token, None).await.expect(200)["unread"],
        0
    );
}

#[tokio::test]
async fn an_address_that_bounces_gets_one_mail_and_no_more() {
    let client = Client::new();
    let user = client.new_user_at("bounce+", "simulator.amazonses.com").await;
    let product = client.new_product(9).await;
    client.order(&user, &product, 1).await.expect(201);
    client
        .eventually("the mail bounces", || async {
            (mail_statuses(&client, &user).await == ["BOUNCED"]).then_some(())
        })
        .await;
    client.order(&user, &product, 1).await.expect(201);
    client
        .eventually("the second order is noted without a mail", || async {
            (mail_statuses(&client, &user).await == ["SUPPRESSED", "BOUNCED"]).then_some(())
        })
        .await;
}
