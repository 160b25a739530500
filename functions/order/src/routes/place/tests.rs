//! A checkout happens as a whole or not at all, once, and to no more than there is.

use std::collections::BTreeMap;

use http::{Method, StatusCode};
use serde_json::{Value, json};
use shared::db::TransactionError;
use shared::testing::call;
use tokio::task::JoinSet;
use uuid::Uuid;

use super::Checkout;
use crate::routes::testing::{App, product_id, user};

async fn place_with(app: &App, body: &Value) -> shared::testing::Answer {
    let post = call(Method::POST, "/orders").token(&app.token(1));
    post.json(body).send(&app.router).await
}

#[tokio::test]
async fn an_order_takes_the_stock_and_the_cart_and_keeps_what_it_was_made_of() {
    let app = App::new().await;
    app.sell("tea", 450, 10).await;
    app.sell("cup", 1299, 5).await;
    app.fill_cart(1, &[("tea", 3), ("cup", 2)]).await;
    let address = app.address(1).await;

    let answer = place_with(&app, &json!({ "address_id": address.id })).await;
    let answer = answer.expect(StatusCode::CREATED);
    let id = answer.json["id"].as_str().unwrap();
    assert_eq!(answer.headers["location"], format!("/orders/{id}"));
    let eur = |amount: u64| json!({"amount": amount, "currency": "EUR"});
    let expected = json!({
        "id": id,
        "status": "PENDING_PAYMENT",
        "lines": [
            {"product_id": "cup", "name": "Product cup", "quantity": 2, "price": eur(1299), "total": eur(2598)},
            {"product_id": "tea", "name": "Product tea", "quantity": 3, "price": eur(450), "total": eur(1350)},
        ],
        "total": eur(3948),
        "refunded": eur(0),
        "refund_due": false,
        "shipping_address": {
            "name": "M", "line1": "Main St 1", "city": "Berlin", "postal_code": "10115", "country": "DE",
        },
        "payment_in_progress": false,
        "created_at": "2026-01-01T00:00:00Z",
        "pay_until": "2026-01-01T00:30:00Z",
        "history": [{"status": "PENDING_PAYMENT", "at": "2026-01-01T00:00:00Z", "by": "customer"}],
    });
    assert_eq!(answer.json, expected);
    assert_eq!((app.stock("tea").await, app.stock("cup").await), (Some(7), Some(3)));
    assert_eq!(app.cart_lines(1).await, 0);
    let open = app.state.orders.newest_open(user(1)).await.unwrap();
    assert_eq!(open.unwrap().id.to_string(), id);

    app.sell("tea", 9999, 7).await;
    app.remove_product("cup").await;
    app.state.users.delete_address(user(1), address.id).await.unwrap();
    let later = app.get(&format!("/orders/{id}")).await.expect(StatusCode::OK);
    assert_eq!(later.json, expected);
}

#[tokio::test]
async fn a_bad_request_orders_nothing() {
    let app = App::new().await;
    app.sell("tea", 450, 10).await;
    app.fill_cart(1, &[("tea", 1)]).await;
    for body in [json!({"address_id": "here"}), json!({"total": 1}), json!([1]), json!(1)] {
        let _refused = place_with(&app, &body).await.expect(StatusCode::BAD_REQUEST);
    }
    let theirs = app.address(2).await.id;
    for id in [theirs, Uuid::nil()] {
        let answer = place_with(&app, &json!({ "address_id": id })).await;
        assert_eq!(answer.expect(StatusCode::UNPROCESSABLE_ENTITY).json["field"], "address_id");
    }
    assert_eq!(app.get("/orders").await.json["items"], json!([]));
    assert_eq!((app.stock("tea").await, app.cart_lines(1).await), (Some(10), 1));
}

#[tokio::test]
async fn an_empty_cart_is_no_order() {
    let app = App::new().await;
    let answer = app.post(1, "/orders").await.expect(StatusCode::CONFLICT);
    assert_eq!(answer.json["type"], "urn:problem-type:empty-cart");
}

#[tokio::test]
async fn a_line_that_cannot_be_bought_leaves_everything_untouched_and_is_named() {
    let app = App::new().await;
    for (id, stock) in [("cup", 5), ("pot", 5), ("tea", 2)] {
        app.sell(id, 450, stock).await;
    }
    app.fill_cart(1, &[("cup", 5), ("pot", 1), ("tea", 3)]).await;
    app.remove_product("pot").await;
    let answer = app.post(1, "/orders").await.expect(StatusCode::CONFLICT);
    assert_eq!(answer.json["type"], "urn:problem-type:insufficient-stock");
    assert_eq!(
        answer.json["lines"],
        json!([
            {"product_id": "pot", "requested": 1, "available": 0, "missing": 1},
            {"product_id": "tea", "name": "Product tea", "requested": 3, "available": 2, "missing": 1},
        ])
    );
    assert_eq!((app.stock("cup").await, app.stock("tea").await), (Some(5), Some(2)));
    assert_eq!(app.stock("pot").await, None);
    assert_eq!(app.cart_lines(1).await, 3);
    assert_eq!(app.get("/orders").await.json["items"], json!([]));
}

#[tokio::test]
async fn an_order_has_one_currency() {
    let app = App::new().await;
    app.sell("tea", 450, 10).await;
    app.sell("cup", 450, 10).await;
    app.fill_cart(1, &[("tea", 1), ("cup", 1)]).await;
    let mut cup = app.state.carts.product(&product_id("cup")).await.unwrap().unwrap();
    cup.price.currency = "USD".parse().unwrap();
    app.state.carts.put_product(&cup).await.unwrap();
    let answer = app.post(1, "/orders").await.expect(StatusCode::CONFLICT);
    assert_eq!(answer.json["type"], "urn:problem-type:mixed-currencies");
    assert_eq!(app.stock("tea").await, Some(10));
}

/// Whatever a checkout has read may have changed when it writes: then nothing of it is written.
#[tokio::test]
async fn a_stale_checkout_writes_nothing() {
    for change in ["price", "discount", "stock", "cart"] {
        let app = App::new().await;
        app.sell("tea", 450, 10).await;
        app.sell("cup", 450, 10).await;
        app.fill_cart(1, &[("tea", 6), ("cup", 1)]).await;
        let checkout = Checkout::read(&app.state, user(1), None).await.unwrap();
        let order = &checkout.order;
        match change {
            "price" => app.sell("tea", 451, 10).await,
            "discount" => app.sell("tea", 449, 10).await,
            "stock" => app.sell("tea", 450, 5).await,
            // Emptied and filled again: the same content is another cart.
            _ => {
                app.state.carts.edit_lines(user(1), BTreeMap::clear).await.unwrap();
                app.fill_cart(1, &[("tea", 6), ("cup", 1)]).await;
            }
        }
        let outcome = checkout.transaction(&app.state).unwrap().run().await;
        assert!(matches!(outcome, Err(TransactionError::Cancelled(_))), "{change}: {outcome:?}");
        assert_eq!(app.stock("cup").await, Some(10), "{change}");
        assert_eq!(app.cart_lines(1).await, 2, "{change}");
        assert_eq!(app.state.orders.order(user(1), order.id).await.unwrap(), None, "{change}");
        assert_eq!(app.state.orders.owner(order.id).await.unwrap(), None, "{change}");

        if change == "price" {
            let answer = app.post(1, "/orders").await.expect(StatusCode::CREATED);
            assert_eq!(answer.json["total"]["amount"], 6 * 451 + 450, "the next try has the new price");
        }
    }
}

#[tokio::test]
async fn the_last_pieces_are_sold_once_however_many_want_them() {
    let app = App::new().await;
    app.sell("rare", 450, 7).await;
    app.sell("common", 100, 100).await;
    for number in 1..=10 {
        app.fill_cart(number, &[("rare", 2), ("common", 1)]).await;
    }
    let mut checkouts = JoinSet::new();
    for number in 1..=10 {
        let app = app.clone();
        checkouts.spawn(async move { (number, app.post(number, "/orders").await) });
    }
    let mut sold = 0;
    for (number, answer) in checkouts.join_all().await {
        if answer.status == StatusCode::CREATED {
            sold += 1;
            assert_eq!(app.cart_lines(number).await, 0);
        } else {
            let answer = answer.expect(StatusCode::CONFLICT);
            assert_eq!(answer.json["type"], "urn:problem-type:insufficient-stock");
            let short = json!({"product_id": "rare", "name": "Product rare", "requested": 2, "available": 1, "missing": 1});
            assert_eq!(answer.json["lines"], json!([short]));
            assert_eq!(app.cart_lines(number).await, 2, "the cart of a failed checkout stays");
        }
    }
    assert_eq!(sold, 3);
    assert_eq!(app.stock("rare").await, Some(1));
    assert_eq!(app.stock("common").await, Some(97), "a failed checkout takes nothing of any product");
}

#[tokio::test]
async fn one_cart_is_one_order_however_often_it_is_sent() {
    let app = App::new().await;
    app.sell("tea", 450, 100).await;
    app.fill_cart(1, &[("tea", 2)]).await;
    let mut checkouts = JoinSet::new();
    for _ in 0..6 {
        let app = app.clone();
        checkouts.spawn(async move { app.post(1, "/orders").await });
    }
    let answers = checkouts.join_all().await;
    let (placed, refused): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| answer.status == StatusCode::CREATED);
    assert_eq!(placed.len(), 1);
    for answer in refused {
        let answer = answer.expect(StatusCode::CONFLICT);
        assert_eq!(answer.json["type"], "urn:problem-type:empty-cart");
    }
    assert_eq!(app.get("/orders").await.json["items"].as_array().unwrap().len(), 1);
    assert_eq!(app.stock("tea").await, Some(98));
}

/// The client asks again where an answer got lost; what was written must not be in its own way.
#[tokio::test]
async fn a_lost_answer_of_the_table_is_not_noticed() {
    let app = App::new().await;
    app.sell("tea", 450, 10).await;
    app.fill_cart(1, &[("tea", 2)]).await;
    app.database.lose_answers("TransactWriteItems", 0..1);
    let placed = app.post(1, "/orders").await.expect(StatusCode::CREATED).json;
    assert_eq!(app.get("/orders").await.json["items"], json!([placed]));
    assert_eq!((app.stock("tea").await, app.cart_lines(1).await), (Some(8), 0));

    let id: Uuid = placed["id"].as_str().unwrap().parse().unwrap();
    app.database.lose_answers("TransactWriteItems", 0..1);
    let _cancelled = app.post(1, &format!("/orders/{id}/cancel")).await.expect(StatusCode::OK);
    assert_eq!(app.stock("tea").await, Some(10));
}

#[tokio::test]
async fn the_fullest_cart_fits_into_one_transaction() {
    let app = App::new().await;
    let ids: Vec<String> = (0..cart::model::MAX_LINES).map(|number| format!("product-{number}")).collect();
    for id in &ids {
        app.sell(id, cart::model::MAX_PRICE, 99).await;
    }
    let items: Vec<_> = ids.iter().map(|id| (id.as_str(), 99)).collect();
    let order = app.order(&items).await;
    assert_eq!(order.total.amount, 50 * 99 * 100_000_000);
    let _cancelled = app.post(1, &format!("/orders/{}/cancel", order.id)).await.expect(StatusCode::OK);
    assert_eq!(app.stock("product-49").await, Some(99));
}
