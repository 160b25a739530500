//! Functions that are killed while customers pay.

use serde_json::{Value, json};

use crate::client::{Client, User};
use crate::{directory, processes, start, system};

/// Pays until it is known how that ended, as a client does whose requests break off.
async fn pay(client: &Client, user: &User, order_id: &str, key: &str) -> Value {
    let body = json!({"order_id": order_id, "payment_method": "pm_card_visa"});
    client
        .eventually("the payment ends", || async {
            let request = client.request(http::Method::POST, "payment", "/pay").bearer_auth(&user.token);
            let answer = client.send(request.header("idempotency-key", key).json(&body)).await;
            match answer.status {
                201 => Some(answer.json),
                // Somebody is at work, was killed, or is being started anew.
                409 | 502..=504 => None,
                _ => panic!("{} {}", answer.status, answer.json),
            }
        })
        .await
}

/// In a system of its own: the functions of the others would go on as little as these.
#[tokio::test]
async fn payments_whose_functions_are_killed_are_made_once() {
    const PAYERS: usize = 12;
    if crate::is_left_out("functions that are killed: the test kills processes of a local run of its own") {
        return;
    }
    // The other one makes the directory of this run anew.
    let _started = system();
    let directory = directory().join("killed");
    let own = tokio::task::spawn_blocking({
        let directory = directory.clone();
        move || start(&directory)
    });
    let own = own.await.unwrap();
    let client = Client::of(&own, &directory);
    let product = client.new_product(100).await;
    let mut payers = Vec::new();
    for _ in 0..PAYERS {
        let user = client.new_user().await;
        let order = client.order(&user, &product, 1).await.expect(201);
        payers.push((user, order["id"].as_str().unwrap().to_owned()));
    }
    let mut paying = tokio::task::JoinSet::new();
    for (user, order_id) in payers.clone() {
        let client = client.clone();
        let key = format!("pay {order_id}");
        paying.spawn(async move { pay(&client, &user, &order_id, &key).await });
    }
    client
        .eventually("somebody is paying", || async {
            (!processes::of(&own, "payment").is_empty()).then_some(())
        })
        .await;
    processes::kill_all(&own, "payment");
    let receipts = paying.join_all().await;
    assert_eq!(receipts.len(), PAYERS);
    for (user, order_id) in &payers {
        let payments = client.get("payment", "/payments", &user.token).await.expect(200);
        let payments = payments["items"].as_array().unwrap();
        let succeeded = payments.iter().filter(|payment| payment["status"] == "SUCCEEDED").count();
        assert_eq!((payments.len(), succeeded), (1, 1), "{payments:?}");
        let order = client.get("order", &format!("/orders/{order_id}"), &user.token).await.expect(200);
        assert_eq!(order["status"], "PAID");
        assert_eq!(order["payment_id"], payments[0]["payment_id"]);
    }
    tokio::task::spawn_blocking(move || drop(own)).await.unwrap();
    std::fs::remove_dir_all(directory).unwrap();
}
