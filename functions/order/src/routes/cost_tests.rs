//! What the README says of round trips; and that they stay what they are, however many orders there are.

use http::{Method, StatusCode};
use serde_json::json;
use shared::testing::call;

use super::testing::App;

/// The calls of tables since the last time.
fn round_trips(app: &App) -> usize {
    app.database.take_calls().len()
}

/// Checkout, list, order, tracking, cancellation, cancellation by an admin, checkout under a key, and the same again.
async fn costs(app: &App) -> Vec<usize> {
    let mut costs = Vec::new();
    app.fill_cart(1, &[("cup", 1)]).await;
    let _other = round_trips(app);
    let placed = app.post(1, "/orders").await.expect(StatusCode::CREATED).json;
    costs.push(round_trips(app));
    let order = format!("/orders/{}", placed["id"].as_str().unwrap());
    for path in ["/orders", &order, &format!("{order}/tracking")] {
        let _read = app.get(path).await.expect(StatusCode::OK);
        costs.push(round_trips(app));
    }
    let cancel = format!("{order}/cancel");
    let _cancelled = app.post(1, &cancel).await.expect(StatusCode::OK);
    costs.push(round_trips(app));

    let order = app.order(&[("cup", 1)]).await;
    let _other = round_trips(app);
    let _cancelled = app.admin(&format!("/orders/{}/cancel", order.id), None).await.expect(StatusCode::OK);
    costs.push(round_trips(app));

    let address = app.address(1).await.id;
    app.fill_cart(1, &[("cup", 1)]).await;
    let _other = round_trips(app);
    let key = app.state.ids.uuid(app.state.clock.now()).to_string();
    for _ in 0..2 {
        let post = call(Method::POST, "/orders").token(&app.token(1)).header("idempotency-key", &key);
        let post = post.json(&json!({ "address_id": address }));
        let _placed = post.send(&app.router).await.expect(StatusCode::CREATED);
        costs.push(round_trips(app));
    }

    let order = app.order(&[("cup", 1)]).await;
    app.pay(&order).await.unwrap();
    for step in ["pack", "ship", "deliver"] {
        let _other = round_trips(app);
        let _moved = app.step(order.id, step).await.expect(StatusCode::OK);
        costs.push(round_trips(app));
    }
    costs
}

#[tokio::test]
async fn requests_take_as_many_round_trips_as_the_readme_says() {
    let app = App::new().await;
    app.sell("cup", 1299, 1000).await;
    let expected = [3, 1, 1, 1, 2, 3, 5, 1, 3, 3, 3];
    assert_eq!(costs(&app).await, expected);
    for _ in 0..40 {
        app.order(&[("cup", 1)]).await;
    }
    assert_eq!(costs(&app).await, expected, "after forty more orders");
}
