//! What goes into a cart, and how.

use http::{Method, StatusCode};
use serde_json::{Value, json};
use shared::testing::{Answer, call};
use tokio::task::JoinSet;

use crate::model::MAX_LINES;
use crate::routes::testing::{App, etag, fill, in_dollars, item, product};

async fn delete(app: &App, id: &str) -> Answer {
    call(Method::DELETE, &format!("/cart/items/{id}")).token(&app.token).send(&app.router).await
}

#[tokio::test]
async fn a_quantity_is_set_not_added_and_an_item_can_go() {
    let app = App::new().await;
    app.sell(product("tea", 450, 10)).await;
    app.sell(product("cup", 450, 10)).await;
    for quantity in [1, 99, 3] {
        let cart = app.put_item("tea", quantity).await.expect(StatusCode::OK).json;
        assert_eq!(cart["lines"][0]["quantity"], quantity);
    }
    let _put = app.put_item("cup", 1).await.expect(StatusCode::OK);
    for _ in 0..2 {
        let _gone = delete(&app, "tea").await.expect(StatusCode::NO_CONTENT);
        let cart = app.get("/cart").await.json;
        assert_eq!(cart["lines"].as_array().unwrap().len(), 1);
        assert_eq!(cart["lines"][0]["product_id"], "cup");
    }
}

#[tokio::test]
async fn a_bad_quantity_is_refused_and_changes_nothing() {
    let app = App::new().await;
    app.sell(product("tea", 450, 10)).await;
    let _put = app.put_item("tea", 5).await.expect(StatusCode::OK);
    for quantity in [
        json!(0),
        json!(100),
        json!(-1),
        json!(1.5),
        json!(u64::MAX),
        json!(1e300),
        json!("5"),
        json!(null),
        json!([1]),
    ] {
        let answer = app.put_item("tea", quantity).await.expect(StatusCode::BAD_REQUEST);
        assert_eq!(answer.json["field"], "quantity");
    }
    for body in [json!({}), json!({"quantity": 1, "price": 1}), json!(5)] {
        let put = call(Method::PUT, "/cart/items/tea").token(&app.token).json(&body);
        let _refused = put.send(&app.router).await.expect(StatusCode::BAD_REQUEST);
    }
    assert_eq!(app.get("/cart").await.json["lines"][0]["quantity"], 5);
}

#[tokio::test]
async fn only_products_of_the_catalogue_go_into_a_cart() {
    let app = App::new().await;
    let _unknown = app.put_item("ghost", 1).await.expect(StatusCode::NOT_FOUND);
    let _malformed = app.put_item("GHOST", 1).await.expect(StatusCode::BAD_REQUEST);
    assert_eq!(app.get("/cart").await.json["lines"], json!([]));
}

#[tokio::test]
async fn a_cart_has_one_currency() {
    let app = App::new().await;
    app.sell(product("tea", 450, 10)).await;
    app.sell(in_dollars(product("pot", 2000, 10))).await;
    let _put = app.put_item("tea", 1).await.expect(StatusCode::OK);
    let answer = app.put_item("pot", 1).await.expect(StatusCode::CONFLICT);
    assert_eq!(answer.json["type"], "urn:problem-type:other-currency");
    let _gone = delete(&app, "tea").await;
    let _put = app.put_item("pot", 1).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_full_cart_takes_other_quantities_but_no_other_product() {
    let app = App::new().await;
    for number in 0..=MAX_LINES {
        app.sell(product(&format!("product-{number}"), 100_000_000, 99)).await;
    }
    for number in 0..MAX_LINES {
        let _put = app.put_item(&format!("product-{number}"), 99).await.expect(StatusCode::OK);
    }
    let answer = app.put_item(&format!("product-{MAX_LINES}"), 1).await;
    assert_eq!(answer.expect(StatusCode::CONFLICT).json["type"], "urn:problem-type:cart-full");
    let cart = app.put_item("product-0", 98).await.expect(StatusCode::OK).json;
    assert_eq!(cart["lines"].as_array().unwrap().len(), MAX_LINES);
    let pieces = u64::try_from(MAX_LINES).unwrap() * 99 - 1;
    assert_eq!(cart["total"]["amount"], pieces * 100_000_000, "the fullest cart can be summed");
}

/// The cart is one item: an edit that overwrote another one's would lose a line.
#[tokio::test]
async fn edits_at_once_lose_nothing() {
    let app = App::new().await;
    let ids: Vec<String> = (0..12).map(|number| format!("product-{number}")).collect();
    for id in &ids {
        app.sell(product(id, 100, 10)).await;
    }
    let mut edits = JoinSet::new();
    for id in &ids {
        let put = call(Method::PUT, &format!("/cart/items/{id}")).token(&app.token);
        let (router, put) = (app.router.clone(), put.json(&json!({"quantity": 1})));
        edits.spawn(async move { put.send(&router).await });
    }
    for answer in edits.join_all().await {
        let _put = answer.expect(StatusCode::OK);
    }
    let cart = app.get("/cart").await.json;
    let lines: Vec<&Value> = cart["lines"].as_array().unwrap().iter().collect();
    assert_eq!(lines.len(), 12, "{cart}");
}

#[tokio::test]
async fn an_edit_for_one_version_changes_nothing_of_another() {
    let app = App::new().await;
    app.sell(product("tea", 450, 10)).await;
    let edit = async |method: Method, version: &str, quantity: u32| {
        let edit = app.by_customer(method, &item("tea")).header("if-match", version);
        app.send(fill(edit, quantity)).await
    };
    assert_eq!(etag(&edit(Method::PUT, "\"0\"", 1).await.expect(StatusCode::OK)), "\"1\"");
    assert_eq!(etag(&edit(Method::PUT, "\"1\"", 2).await.expect(StatusCode::OK)), "\"2\"");
    for method in [Method::PUT, Method::DELETE] {
        for stale in ["\"0\"", "\"1\"", "\"3\"", "W/\"2\""] {
            let answer = edit(method.clone(), stale, 3).await.expect(StatusCode::PRECONDITION_FAILED);
            assert_eq!(etag(&answer), "\"2\"");
        }
        for malformed in ["2", "", "\"2", "*,*"] {
            let _refused = edit(method.clone(), malformed, 3).await.expect(StatusCode::BAD_REQUEST);
        }
    }
    assert_eq!(app.lines().await, [("tea".to_owned(), 2)]);
    assert_eq!(etag(&edit(Method::PUT, "*", 3).await.expect(StatusCode::OK)), "\"3\"");
    let gone = edit(Method::DELETE, "\"3\"", 0).await.expect(StatusCode::NO_CONTENT);
    assert_eq!((etag(&gone), app.lines().await), ("\"4\"", vec![]));
}

#[tokio::test]
async fn of_edits_at_once_for_one_version_exactly_one_is_done() {
    let app = App::new().await;
    app.sell(product("tea", 450, 99)).await;
    let mut edits = JoinSet::new();
    for quantity in 1..=8 {
        let app = app.clone();
        edits.spawn(async move {
            let put = app.by_customer(Method::PUT, &item("tea")).header("if-match", "\"0\"");
            (app.send(fill(put, quantity)).await.status, quantity)
        });
    }
    let (done, refused): (Vec<_>, Vec<_>) =
        edits.join_all().await.into_iter().partition(|(status, _)| *status == StatusCode::OK);
    assert!(refused.iter().all(|(status, _)| *status == StatusCode::PRECONDITION_FAILED), "{refused:?}");
    assert_eq!(done.len(), 1);
    assert_eq!(app.lines().await, [("tea".to_owned(), done[0].1)]);
    assert_eq!(etag(&app.get("/cart").await), "\"1\"");
}

/// The SDK sends it again, and must not meet its own first attempt as somebody else's.
#[tokio::test]
async fn an_edit_whose_answer_is_lost_is_done_once() {
    let app = App::new().await;
    app.sell(product("tea", 450, 99)).await;
    app.database.lose_answers("TransactWriteItems", 0..1);
    let put = app.by_customer(Method::PUT, &item("tea")).header("if-match", "\"0\"");
    let answer = app.send(fill(put, 3)).await.expect(StatusCode::OK);
    assert_eq!((etag(&answer), app.lines().await), ("\"1\"", vec![("tea".to_owned(), 3)]));
}
