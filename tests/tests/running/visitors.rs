//! Visitors, who become known when they log in, and unknown again when they ask for it.

use http::Method;
use serde_json::{Value, json};

use crate::client::{Client, admin_token};

/// How often a product was looked at.
async fn views(client: &Client, product: &str) -> Value {
    let path = "/analytics/top-products?by=views&limit=100";
    let best = client.get("analytics", path, &admin_token()).await.expect(200);
    let mut rows = best["total"]["products"].as_array().unwrap_or_else(|| panic!("{best}")).iter();
    rows.find(|row| row["product_id"] == product).map(|row| row["views"].clone()).unwrap_or_default()
}

#[tokio::test]
async fn who_is_forgotten_was_counted_and_leaves_nothing_but_the_count() {
    let client = Client::new();
    let (user, product) = (client.new_user().await, client.new_product(5).await);
    let look = async |token: Option<&str>, times: u64| {
        let event = json!({
            "name": "product_view", "anonymous_id": format!("phone-{}", user.id), "properties": {"product_id": product},
        });
        let request = client.request(Method::POST, "analytics", "/events").json(&event);
        let request = if let Some(token) = token { request.bearer_auth(token) } else { request };
        client.send(request).await.expect(202);
        client
            .eventually("the look is counted", || async {
                (views(&client, &product).await == times).then_some(())
            })
            .await;
    };
    look(None, 1).await;
    look(Some(&user.token), 2).await;

    let path = format!("/analytics/users/{}", user.id);
    let forget = || client.call(Method::DELETE, "analytics", &path, &user.token, None);
    assert_eq!(forget().await.status, 403);
    let token = admin_token();
    let forget = || client.call(Method::DELETE, "analytics", &path, &token, None);
    // Two looks, that the phone is the user's, and in which weeks the user was there.
    assert_eq!(forget().await.expect(200), json!({"removed": 4, "complete": true}));
    assert_eq!(forget().await.expect(200), json!({"removed": 0, "complete": true}));
    assert_eq!(views(&client, &product).await, 2);
}
