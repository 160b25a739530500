//! Hours in which a user wants to be left alone.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use shared::clock::Clock;

use crate::client::{Client, User};

/// What became of the mail and of the text message about the user's only order.
async fn sent(client: &Client, user: &User) -> [String; 2] {
    let list = client.get("notification", "/notifications", &user.token).await.expect(200);
    ["email", "sms"]
        .map(|channel| list["items"][0]["channels"][channel].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn what_happens_in_them_is_told_when_they_end() {
    let client = Client::new();
    let (user, product) = (client.new_user().await, client.new_product(5).await);
    let preferences = "/notifications/preferences";
    let mut preferred = client.get("notification", preferences, &user.token).await.expect(200);
    // They end with a minute, which is in twenty seconds at the earliest: time for an order, and for its event to be read.
    let now = Clock::system().now();
    let end = now + SignedDuration::from_secs(20 + 59);
    let time = |at: Timestamp| at.strftime("%H:%M").to_string();
    preferred["order_placed"] = json!({"email": true, "sms": true});
    preferred["quiet_hours"] = json!({"from": time(now), "to": time(end), "time_zone": "UTC"});
    client.put("notification", preferences, &user.token, preferred).await.expect(200);
    client.order(&user, &product, 1).await.expect(201);
    client
        .eventually("both wait", || async {
            (sent(&client, &user).await == ["DEFERRED", "DEFERRED"]).then_some(())
        })
        .await;
    let end = end - SignedDuration::from_secs(59);
    let over = || async { (Clock::system().now() >= end).then_some(()) };
    client.eventually("the hours are over", over).await;
    client
        .eventually("both are sent", || async {
            let [mail, text] = sent(&client, &user).await;
            ((mail == "SENT" || mail == "DELIVERED") && text == "SENT").then_some(())
        })
        .await;
}
