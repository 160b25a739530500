//! What a cart shows.

use http::{Method, StatusCode};
use jiff::SignedDuration;
use serde_json::{Value, json};
use shared::testing::{Answer, call, issuer};

use crate::routes::testing::{App, CUSTOMER, by_cart, etag, fill, in_dollars, item, lines, product};

#[tokio::test]
async fn a_new_customer_has_an_empty_cart() {
    let app = App::new().await;
    let cart = app.get("/cart").await.expect(StatusCode::OK).json;
    assert_eq!(cart, json!({"lines": [], "total": null}));
}

#[tokio::test]
async fn lines_and_total_follow_the_catalogue() {
    let app = App::new().await;
    app.sell(product("tea", 450, 10)).await;
    app.sell(product("cup", 1299, 10)).await;
    let _put = app.put_item("tea", 3).await.expect(StatusCode::OK);
    let answer = app.put_item("cup", 2).await.expect(StatusCode::OK);
    let expected = json!({
        "lines": [
            {
                "product_id": "cup", "name": "Product cup", "quantity": 2, "availability": "AVAILABLE",
                "added_price": {"amount": 1299, "currency": "EUR"}, "changes": [],
                "unit_price": {"amount": 1299, "currency": "EUR"},
                "line_total": {"amount": 2598, "currency": "EUR"},
            },
            {
                "product_id": "tea", "name": "Product tea", "quantity": 3, "availability": "AVAILABLE",
                "added_price": {"amount": 450, "currency": "EUR"}, "changes": [],
                "unit_price": {"amount": 450, "currency": "EUR"},
                "line_total": {"amount": 1350, "currency": "EUR"},
            },
        ],
        "total": {"amount": 3948, "currency": "EUR"},
    });
    assert_eq!(answer.json, expected, "what PUT answers is the cart");
    assert_eq!(app.get("/cart").await.json, expected);

    app.sell(product("tea", 500, 10)).await;
    let cart = app.get("/cart").await.json;
    assert_eq!(cart["total"]["amount"], 2598 + 1500, "the price is today's");
}

#[tokio::test]
async fn what_cannot_be_bought_is_flagged_and_what_is_gone_is_not_counted() {
    let app = App::new().await;
    for (id, price) in [("a-tea", 450), ("b-cup", 1299), ("c-pot", 2000)] {
        app.sell(product(id, price, 10)).await;
        let _put = app.put_item(id, 2).await.expect(StatusCode::OK);
    }
    app.sell(product("a-tea", 450, 1)).await;
    app.remove_product("b-cup").await;
    app.sell(in_dollars(product("c-pot", 2000, 10))).await;

    let cart = app.get("/cart").await.expect(StatusCode::OK).json;
    let availability: Vec<&Value> =
        cart["lines"].as_array().unwrap().iter().map(|line| &line["availability"]).collect();
    assert_eq!(availability, ["INSUFFICIENT_STOCK", "UNAVAILABLE", "OTHER_CURRENCY"]);
    assert_eq!(cart["lines"][1]["line_total"], Value::Null);
    assert_eq!(cart["total"], json!({"amount": 900, "currency": "EUR"}));
}

#[tokio::test]
async fn clearing_empties_the_own_cart_only_and_twice_is_as_good_as_once() {
    let app = App::new().await;
    app.sell(product("tea", 450, 10)).await;
    let _put = app.put_item("tea", 1).await.expect(StatusCode::OK);
    let stranger = app.stranger();
    let item = call(Method::PUT, "/cart/items/tea").token(&stranger);
    let _put = item.json(&json!({"quantity": 7})).send(&app.router).await;

    for _ in 0..2 {
        let clear = call(Method::DELETE, "/cart").token(&app.token);
        let _cleared = clear.send(&app.router).await.expect(StatusCode::NO_CONTENT);
        assert_eq!(app.get("/cart").await.json["lines"], json!([]));
    }
    let theirs = call(Method::GET, "/cart").token(&stranger);
    assert_eq!(theirs.send(&app.router).await.json["lines"][0]["quantity"], 7);
}

#[tokio::test]
async fn a_line_shows_what_changed_since_it_was_added_until_it_is_put_again() {
    let app = App::new().await;
    let shown = async || {
        let line = &app.get("/cart").await.expect(StatusCode::OK).json["lines"][0];
        (line["added_price"]["amount"].clone(), line["changes"].clone(), line["availability"].clone())
    };
    app.sell(product("tea", 450, 3)).await;
    let _put = app.put_item("tea", 3).await.expect(StatusCode::OK);
    assert_eq!(shown().await, (450.into(), json!([]), "AVAILABLE".into()));
    app.sell(product("tea", 500, 3)).await;
    assert_eq!(shown().await, (450.into(), json!(["PRICE"]), "AVAILABLE".into()));
    assert!(app.buy("tea", 1).await);
    assert_eq!(shown().await, (450.into(), json!(["PRICE", "AVAILABILITY"]), "INSUFFICIENT_STOCK".into()));
    app.sell(product("tea", 450, 2)).await;
    assert_eq!(shown().await, (450.into(), json!(["AVAILABILITY"]), "INSUFFICIENT_STOCK".into()));
    app.retire("tea").await;
    assert_eq!(shown().await, (450.into(), json!(["AVAILABILITY"]), "UNAVAILABLE".into()));
    app.sell(product("tea", 600, 2)).await;
    let again = app.put_item("tea", 3).await.expect(StatusCode::OK).json;
    assert_eq!(again["lines"][0]["changes"], json!([]), "so many were not there now either");
    assert_eq!(shown().await, (600.into(), json!([]), "INSUFFICIENT_STOCK".into()));
    app.sell(product("tea", 600, 9)).await;
    assert_eq!(shown().await, (600.into(), json!(["AVAILABILITY"]), "AVAILABLE".into()));
}

#[tokio::test]
async fn the_etag_names_what_is_in_the_cart_and_not_the_prices() {
    let app = App::new().await;
    app.sell(product("tea", 450, 3)).await;
    assert_eq!(etag(&app.get("/cart").await), "\"0\"");
    assert_eq!(etag(&app.put_item("tea", 3).await), "\"1\"");
    app.sell(product("tea", 500, 3)).await;
    assert_eq!(etag(&app.get("/cart").await), "\"1\"");
    let out = async || app.send(app.by_customer(Method::DELETE, &item("tea"))).await;
    assert_eq!(etag(&out().await), "\"2\"");
    assert_eq!(etag(&out().await), "\"2\"", "nothing changed");
}

#[tokio::test]
async fn a_cart_is_emptied_for_one_version_only_where_it_is_at_that_one() {
    let app = App::new().await;
    app.sell(product("tea", 450, 3)).await;
    let clear = async |version: &str| {
        app.send(app.by_customer(Method::DELETE, "/cart").header("if-match", version)).await
    };
    let _nothing_there = clear("\"0\"").await.expect(StatusCode::NO_CONTENT);
    let _put = app.put_item("tea", 3).await.expect(StatusCode::OK);
    for stale in ["\"0\"", "\"2\"", "W/\"1\""] {
        let answer = clear(stale).await.expect(StatusCode::PRECONDITION_FAILED);
        assert_eq!(etag(&answer), "\"1\"");
    }
    let _malformed = clear("1").await.expect(StatusCode::BAD_REQUEST);
    assert_eq!(app.lines().await.len(), 1);
    let cleared = clear("\"1\"").await.expect(StatusCode::NO_CONTENT);
    assert_eq!((etag(&cleared), app.lines().await.len()), ("\"2\"", 0));
}

#[tokio::test]
async fn an_anonymous_cart_does_what_a_users_does() {
    let app = App::new().await;
    app.sell(product("tea", 450, 10)).await;
    app.sell(product("cup", 900, 10)).await;
    let opened = app.send(call(Method::POST, "/cart")).await.expect(StatusCode::CREATED);
    let token = opened.headers["cart-token"].to_str().unwrap();
    assert_eq!(opened.json, json!({"cart_token": token, "expires_at": "2026-01-31T00:00:00Z"}));
    let send = async |method, path: &str| app.send(by_cart(token, method, path)).await;
    let cart = send(Method::GET, "/cart").await.expect(StatusCode::OK);
    assert_eq!(cart.json, json!({"lines": [], "total": null}));
    assert_eq!(etag(&cart), etag(&opened));
    for (id, version) in [("tea", "\"2\""), ("cup", "\"3\"")] {
        let put = fill(by_cart(token, Method::PUT, &item(id)), 2);
        assert_eq!(etag(&app.send(put).await.expect(StatusCode::OK)), version);
    }
    let stale = by_cart(token, Method::DELETE, "/cart").header("if-match", "\"2\"");
    let _refused = app.send(stale).await.expect(StatusCode::PRECONDITION_FAILED);
    let _out = send(Method::DELETE, &item("tea")).await.expect(StatusCode::NO_CONTENT);
    let cart = send(Method::GET, "/cart").await.expect(StatusCode::OK).json;
    assert_eq!((lines(&cart), &cart["total"]["amount"]), (vec![("cup".to_owned(), 2)], &json!(1800)));
    let _cleared = send(Method::DELETE, "/cart").await.expect(StatusCode::NO_CONTENT);
    assert_eq!(send(Method::GET, "/cart").await.json["lines"], json!([]));
    assert_eq!(app.lines().await, [], "it is nobody else's");
    assert_ne!(app.open_cart().await, token);
}

/// Each of the requests on a cart, with this header.
async fn each(app: &App, name: &str, value: &str) -> Vec<Answer> {
    let mut answers = Vec::new();
    for (method, path) in [
        (Method::GET, "/cart"),
        (Method::DELETE, "/cart"),
        (Method::PUT, "/cart/items/tea"),
        (Method::DELETE, "/cart/items/tea"),
    ] {
        answers.push(app.send(fill(call(method, path).header(name, value), 1)).await);
    }
    answers
}

#[tokio::test]
async fn without_any_token_there_is_no_cart_and_the_answer_names_both() {
    let app = App::new().await;
    for answer in each(&app, "x-nothing", "x").await {
        let answer = answer.expect(StatusCode::UNAUTHORIZED);
        let detail = answer.json["detail"].as_str().unwrap();
        assert!(detail.contains("Authorization: Bearer") && detail.contains("Cart-Token:"), "{detail}");
        assert_eq!(answer.headers["www-authenticate"], "Bearer realm=\"api\"");
    }
}

#[tokio::test]
async fn a_token_that_opens_no_cart_is_refused_the_same_way_whatever_is_wrong_with_it() {
    let app = App::new().await;
    app.sell(product("tea", 450, 10)).await;
    let merged = app.filled_cart(&[("tea", 1)]).await;
    let merge = app.by_customer(Method::POST, "/cart/merge").header("cart-token", &merged);
    let _merged = app.send(merge).await.expect(StatusCode::OK);
    let expired = app.open_cart().await;
    app.clock.advance(SignedDuration::from_hours(30 * 24));
    let good = app.open_cart().await;
    let twice = call(Method::GET, "/cart").header("cart-token", &good).header("cart-token", &good);
    let expected = app.send(twice).await.expect(StatusCode::UNAUTHORIZED).json;
    let unknown = "AAAAAAAAAAAAAAAAAAAAAA";
    for token in
        [unknown, &merged, &expired, "", "x", &good[1..], &format!("{good}A"), "ä", &"x".repeat(5000)]
    {
        for answer in each(&app, "cart-token", token).await {
            assert_eq!(answer.expect(StatusCode::UNAUTHORIZED).json, expected, "{token}");
        }
    }
    assert_eq!(app.lines().await, [("tea".to_owned(), 1)]);
}

#[tokio::test]
async fn an_anonymous_cart_lasts_30_days_after_the_last_change() {
    let app = App::new().await;
    app.sell(product("tea", 450, 10)).await;
    let token = app.open_cart().await;
    let get = async || app.send(by_cart(&token, Method::GET, "/cart")).await.status;
    let put = async || app.send(fill(by_cart(&token, Method::PUT, &item("tea")), 1)).await.status;
    let day = SignedDuration::from_hours(24);
    app.clock.advance(day * 29);
    assert_eq!(put().await, StatusCode::OK);
    app.clock.advance(day * 29);
    assert_eq!(get().await, StatusCode::OK, "it was changed");
    app.clock.advance(day);
    // DynamoDB has not deleted it yet.
    assert_eq!((get().await, put().await), (StatusCode::UNAUTHORIZED, StatusCode::UNAUTHORIZED));
    let items: Vec<Value> = app.database.items("CartTable").await;
    let cart = items.iter().find(|item| item["sk"] == "CART").unwrap();
    assert_eq!(cart["expires_at"], (app.clock.now()).as_second(), "a number, for DynamoDB's TTL");
}

#[tokio::test]
async fn the_token_of_a_cart_is_not_in_the_table() {
    let app = App::new().await;
    app.sell(product("tea", 450, 10)).await;
    let token = app.filled_cart(&[("tea", 1)]).await;
    let items: Vec<Value> = app.database.items("CartTable").await;
    assert!(!json!(items).to_string().contains(&token));
}

#[tokio::test]
async fn of_two_tokens_the_access_token_counts_and_a_bad_one_is_not_saved_by_the_other() {
    let app = App::new().await;
    app.sell(product("tea", 450, 10)).await;
    let token = app.filled_cart(&[("tea", 7)]).await;
    let both = fill(app.by_customer(Method::PUT, &item("tea")).header("cart-token", &token), 2);
    let _put = app.send(both).await.expect(StatusCode::OK);
    assert_eq!(app.lines().await, [("tea".to_owned(), 2)]);
    let anonymous = app.send(by_cart(&token, Method::GET, "/cart")).await.json;
    assert_eq!(lines(&anonymous), [("tea".to_owned(), 7)]);
    let malformed = app.by_customer(Method::GET, "/cart").header("cart-token", "?");
    let _fine = app.send(malformed).await.expect(StatusCode::OK);
    let expired = issuer().token(CUSTOMER, "2025-01-01T00:00:00Z".parse().unwrap());
    for bad in [expired, "x".to_owned()] {
        let both = by_cart(&token, Method::GET, "/cart").token(&bad);
        let answer = app.send(both).await.expect(StatusCode::UNAUTHORIZED);
        assert_eq!(answer.headers["www-authenticate"], "Bearer error=\"invalid_token\"");
    }
}
