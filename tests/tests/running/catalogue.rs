//! The shelves: what an admin puts there is what customers find.

use http::Method;
use serde_json::{Value, json};

use crate::client::{Client, admin_token};

/// Whether the list of what is available, or of what is not, shows the product.
async fn is_listed(client: &Client, category: &str, available: bool, product: &str) -> bool {
    let path = format!("/products?category={category}&available={available}");
    let list = client.send(client.request(Method::GET, "cart", &path)).await.expect(200);
    list["items"].as_array().unwrap().iter().any(|item| item["id"] == product)
}

#[tokio::test]
async fn what_is_sold_out_is_found_again_when_there_is_more() {
    let client = Client::new();
    let unique = client.new_product(1).await.replace("p-", "");
    let (product, category) = (format!("s-{unique}"), format!("c-{}", &unique[12..]));
    let path = format!("/products/{product}");
    let body = json!({
        "name": "Seldom", "description": "d", "price": {"amount": 100, "currency": "EUR"}, "stock": 0, "category": category,
    });
    client.put("cart", &path, &admin_token(), body).await.expect(201);
    let found = async |available: bool| {
        let what = format!("{product} is listed with available={available}");
        client
            .eventually(&what, || async {
                let listed = is_listed(&client, &category, available, &product).await;
                (listed && !is_listed(&client, &category, !available, &product).await).then_some(())
            })
            .await;
    };
    found(false).await;
    let more: Value = json!({"stock": 3});
    let patched = client.call(Method::PATCH, "cart", &path, &admin_token(), Some(more)).await.expect(200);
    assert_eq!(patched["stock"], 3);
    found(true).await;
}
