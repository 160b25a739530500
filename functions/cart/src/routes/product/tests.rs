//! What an admin writes and everybody sees.

use http::{Method, StatusCode};
use serde_json::{Value, json};
use shared::testing::{Answer, call};
use tokio::task::JoinSet;

use crate::routes::testing::{App, etag, product, turns};

fn tea() -> Value {
    json!({
        "name": "Tea", "description": "Green", "price": {"amount": 450, "currency": "EUR"}, "stock": 10,
        "category": "hot-drinks", "image_url": "https://shop.example/tea.jpg?size=2",
    })
}

async fn put(app: &App, id: &str, body: &Value) -> Answer {
    app.send(app.by_admin(Method::PUT, &format!("/products/{id}")).json(body)).await
}

async fn patch(app: &App, body: &Value) -> Answer {
    app.send(app.by_admin(Method::PATCH, "/products/tea").json(body)).await
}

/// `method /products/tea` on a condition.
async fn conditional(app: &App, method: Method, condition: (&str, &str), body: &Value) -> Answer {
    app.send(app.by_admin(method, "/products/tea").header(condition.0, condition.1).json(body)).await
}

#[tokio::test]
async fn an_admin_adds_and_replaces_a_product_that_everyone_sees() {
    let app = App::new().await;
    let _missing = app.get("/products/tea").await.expect(StatusCode::NOT_FOUND);
    let added = put(&app, "tea", &tea()).await.expect(StatusCode::CREATED);
    assert_eq!(etag(&added), "\"1\"");
    let mut changed = tea();
    changed["price"]["amount"] = 500.into();
    changed.as_object_mut().unwrap().remove("description");
    let answer = put(&app, "tea", &changed).await.expect(StatusCode::OK);
    let seen = app.get("/products/tea").await.expect(StatusCode::OK);
    assert_eq!((etag(&seen), etag(&answer)), ("\"2\"", "\"2\""));
    assert_eq!(seen.json, answer.json);
    changed["id"] = "tea".into();
    changed["version"] = 2.into();
    assert_eq!(seen.json, changed);
}

#[tokio::test]
async fn only_an_admin_writes_products() {
    let app = App::new().await;
    for method in [Method::PUT, Method::PATCH, Method::DELETE] {
        let write = || call(method.clone(), "/products/tea").json(&tea());
        let _unknown = app.send(write()).await.expect(StatusCode::UNAUTHORIZED);
        let _customer = app.send(write().token(&app.token)).await.expect(StatusCode::FORBIDDEN);
    }
    let _missing = app.get("/products/tea").await.expect(StatusCode::NOT_FOUND);
}

/// A field, and a value that it must not have.
fn bad_fields() -> Vec<(&'static str, Value)> {
    vec![
        ("name", json!("")),
        ("name", json!(null)),
        ("description", json!("x".repeat(2001))),
        ("price", json!(null)),
        ("price", json!([450, "EUR"])),
        ("price.amount", json!({"amount": -1, "currency": "EUR"})),
        ("price.amount", json!({"amount": 9.99, "currency": "EUR"})),
        ("price.amount", json!({"amount": 1e300, "currency": "EUR"})),
        ("price.amount", json!({"amount": null, "currency": "EUR"})),
        ("price.currency", json!({"amount": 1, "currency": "euro"})),
        ("price.tax", json!({"amount": 1, "currency": "EUR", "tax": 1})),
        ("category", json!("")),
        ("category", json!("Tea")),
        ("category", json!("a#b")),
        ("category", json!("x".repeat(51))),
        ("image_url", json!("http://shop.example/tea.jpg")),
        ("image_url", json!("javascript:alert(1)")),
        ("image_url", json!("/tea.jpg")),
        ("stock", json!(null)),
        ("stock", json!(-1)),
        ("stock", json!(1.5)),
        ("stock", json!(1_000_001)),
        ("stock", json!(u64::MAX)),
        ("stock", json!("10")),
        ("colour", json!("red")),
        ("version", json!(7)),
        ("retired_at", json!("2026-01-01T00:00:00Z")),
    ]
}

#[tokio::test]
async fn a_bad_product_names_the_field_and_is_not_written() {
    let app = App::new().await;
    let out_of_range = [0, 100_000_001].map(|amount| ("price", json!({"amount": amount, "currency": "EUR"})));
    for (field, value) in bad_fields().into_iter().chain(out_of_range) {
        let mut body = tea();
        body[field.split('.').next().unwrap_or_default()] = value;
        let answer = put(&app, "tea", &body).await.expect(StatusCode::BAD_REQUEST);
        assert_eq!(answer.json["field"], field, "{body}");
    }
    for id in ["Tea", "-tea", "t_a", "%20", &"a".repeat(65)] {
        let _refused = put(&app, id, &tea()).await.expect(StatusCode::BAD_REQUEST);
    }
    let all = app.get("/products").await.expect(StatusCode::OK).json;
    assert_eq!(all["items"], json!([]));
}

#[tokio::test]
async fn a_patch_changes_what_it_names_and_null_removes() {
    let app = App::new().await;
    let mut expected = put(&app, "tea", &tea()).await.expect(StatusCode::CREATED).json;
    for (version, body, change) in [
        (2, json!({"name": "Sencha"}), json!({"name": "Sencha"})),
        (3, json!({"price": {"amount": 500}}), json!({"price": {"amount": 500, "currency": "EUR"}})),
        (4, json!({"price": {"currency": "USD"}}), json!({"price": {"amount": 500, "currency": "USD"}})),
        (5, json!({"stock": 0, "category": "tea"}), json!({"stock": 0, "category": "tea"})),
        (6, json!({"description": "Steamed"}), json!({"description": "Steamed"})),
        (
            7,
            json!({"description": null, "category": null, "image_url": null}),
            json!({"description": null, "category": null, "image_url": null}),
        ),
        (7, json!({}), json!({})),
        (7, json!({"price": {}}), json!({})),
    ] {
        for (name, value) in change.as_object().unwrap() {
            expected[name] = value.clone();
        }
        expected.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        expected["version"] = version.into();
        let answer = patch(&app, &body).await.expect(StatusCode::OK);
        assert_eq!(answer.json, expected, "{body}");
        assert_eq!(etag(&answer), format!("\"{version}\""));
        assert_eq!(app.get("/products/tea").await.json, expected);
    }
    let typed =
        app.by_admin(Method::PATCH, "/products/tea").header("content-type", "application/merge-patch+json");
    let answer = app.send(typed.body(r#"{"stock":3}"#)).await.expect(StatusCode::OK);
    assert_eq!(answer.json["stock"], 3);
    let text = app.by_admin(Method::PATCH, "/products/tea").header("content-type", "text/plain");
    let _refused = app.send(text.body(r#"{"stock":4}"#)).await.expect(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let nobody = app.by_admin(Method::PATCH, "/products/ghost").json(&json!({"stock": 1}));
    let _missing = app.send(nobody).await.expect(StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_bad_patch_names_the_field_and_changes_nothing() {
    let app = App::new().await;
    let before = put(&app, "tea", &tea()).await.expect(StatusCode::CREATED).json;
    let out_of_range = [0, 100_000_001].map(|amount| ("price.amount", json!({ "amount": amount })));
    for (field, value) in bad_fields().into_iter().chain(out_of_range) {
        let mut body = json!({"name": "Sencha"});
        body[field.split('.').next().unwrap_or_default()] = value;
        let answer = patch(&app, &body).await.expect(StatusCode::BAD_REQUEST);
        assert_eq!(answer.json["field"], field, "{body}");
    }
    assert_eq!(app.get("/products/tea").await.json, before);
}

#[tokio::test]
async fn a_write_for_one_version_changes_no_other() {
    let app = App::new().await;
    let _added = put(&app, "tea", &tea()).await.expect(StatusCode::CREATED);
    let changed = patch(&app, &json!({"stock": 7})).await.expect(StatusCode::OK).json;
    for stale in ["\"1\"", "\"3\"", "W/\"2\"", "\"x\""] {
        for (method, body) in
            [(Method::PUT, tea()), (Method::PATCH, json!({"stock": 9})), (Method::DELETE, json!({}))]
        {
            let answer = conditional(&app, method, ("if-match", stale), &body).await;
            let answer = answer.expect(StatusCode::PRECONDITION_FAILED);
            assert_eq!(etag(&answer), "\"2\"");
            assert_eq!(answer.json["type"], "urn:problem-type:precondition-failed");
        }
    }
    for method in [Method::PUT, Method::PATCH, Method::DELETE] {
        let _malformed =
            conditional(&app, method, ("if-match", "2"), &tea()).await.expect(StatusCode::BAD_REQUEST);
    }
    assert_eq!(app.get("/products/tea").await.json, changed, "nothing happened");
    for (current, body) in [("\"2\"", json!({"stock": 9})), ("\"8\", \"3\"", json!({})), ("*", json!({}))] {
        let answer = conditional(&app, Method::PATCH, ("if-match", current), &body).await;
        assert_eq!(answer.expect(StatusCode::OK).json["stock"], 9);
    }
    let put = conditional(&app, Method::PUT, ("if-match", "\"3\""), &tea()).await.expect(StatusCode::OK);
    assert_eq!(etag(&put), "\"4\"");
}

#[tokio::test]
async fn a_product_can_be_made_only_where_there_is_none_and_changed_only_where_there_is_one() {
    let app = App::new().await;
    let create = ("if-none-match", "*");
    let change = ("if-match", "*");
    let refused =
        conditional(&app, Method::PUT, change, &tea()).await.expect(StatusCode::PRECONDITION_FAILED);
    assert!(!refused.headers.contains_key("etag"), "there is none");
    let mut creations = JoinSet::new();
    for _ in 0..5 {
        let app = app.clone();
        creations.spawn(async move { conditional(&app, Method::PUT, create, &tea()).await.status });
    }
    let made = creations.join_all().await;
    assert_eq!(made.iter().filter(|status| **status == StatusCode::CREATED).count(), 1, "{made:?}");
    let refused = made.iter().filter(|status| **status == StatusCode::PRECONDITION_FAILED).count();
    assert_eq!(refused, 4, "{made:?}");
    let _changed = conditional(&app, Method::PUT, change, &tea()).await.expect(StatusCode::OK);
    app.retire("tea").await;
    let _refused =
        conditional(&app, Method::PUT, change, &tea()).await.expect(StatusCode::PRECONDITION_FAILED);
    let back = conditional(&app, Method::PUT, create, &tea()).await.expect(StatusCode::CREATED);
    assert_eq!(etag(&back), "\"4\"", "a version never comes back");
}

#[tokio::test]
async fn a_retired_product_is_gone_for_buyers_and_found_by_returned_stock() {
    let app = App::new().await;
    let _added = put(&app, "tea", &tea()).await.expect(StatusCode::CREATED);
    let seen = app.read("tea").await;
    app.take(&seen, 3).await.unwrap();
    for _ in 0..2 {
        app.retire("tea").await;
    }
    let _gone = app.get("/products/tea").await.expect(StatusCode::NOT_FOUND);
    let _gone = patch(&app, &json!({"stock": 5})).await.expect(StatusCode::NOT_FOUND);
    let _refused = app.put_item("tea", 1).await.expect(StatusCode::NOT_FOUND);
    app.take(&seen, 1).await.unwrap_err();
    app.give_back("tea", 3).await.unwrap();
    let retired = app.read("tea").await;
    assert_eq!((retired.stock, retired.can_sell(1)), (10, false));
    for list in ["/products", "/products?available=true", "/products?available=false"] {
        assert_eq!(app.get(list).await.json["items"], json!([]), "{list}");
    }
    let never = app.by_admin(Method::DELETE, "/products/ghost");
    let _missing = app.send(never).await.expect(StatusCode::NOT_FOUND);

    let _sold_again = put(&app, "tea", &tea()).await.expect(StatusCode::CREATED);
    assert!(app.buy("tea", 10).await);
}

/// One begins some steps before the other, so that every interleaving comes up.
#[tokio::test]
async fn an_admin_who_saw_an_older_stock_never_undoes_a_checkout() {
    for method in [Method::PUT, Method::PATCH] {
        let mut outcomes = Vec::new();
        for (later, earlier) in [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (2, 0), (3, 0)] {
            let app = App::new().await;
            app.sell(product("tea", 450, 10)).await;
            let restock = async {
                turns(later).await;
                // Ten were seen, and five more came.
                let body = json!({"name": "Tea", "price": {"amount": 450, "currency": "EUR"}, "stock": 15});
                conditional(&app, method.clone(), ("if-match", "\"1\""), &body).await.status
            };
            let checkout = async {
                turns(earlier).await;
                assert!(app.buy("tea", 2).await);
            };
            let (status, ()) = tokio::join!(restock, checkout);
            let left = match status {
                StatusCode::OK => 13,
                StatusCode::PRECONDITION_FAILED => 8,
                other => panic!("{other}"),
            };
            assert_eq!(app.read("tea").await.stock, left, "{method}, {later} and {earlier}: {status}");
            outcomes.push(status);
        }
        assert!(outcomes.contains(&StatusCode::OK), "{outcomes:?}");
        assert!(outcomes.contains(&StatusCode::PRECONDITION_FAILED), "{outcomes:?}");
    }
}

#[tokio::test]
async fn a_new_price_never_changes_the_stock_under_parallel_checkouts() {
    let app = App::new().await;
    app.sell(product("tea", 450, 30)).await;
    let mut sales = JoinSet::new();
    for number in 0..40 {
        let app = app.clone();
        sales.spawn(async move {
            if number % 4 == 0 {
                let price = json!({"price": {"amount": 450 + number}});
                let _changed = patch(&app, &price).await.expect(StatusCode::OK);
                0
            } else {
                u32::from(app.buy("tea", 1).await)
            }
        });
    }
    let sold: u32 = sales.join_all().await.into_iter().sum();
    assert_eq!((sold, app.read("tea").await.stock), (30, 0));
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_done_once() {
    let app = App::new().await;
    app.database.lose_answers("TransactWriteItems", 0..1);
    let created = conditional(&app, Method::PUT, ("if-none-match", "*"), &tea()).await;
    assert_eq!(etag(&created.expect(StatusCode::CREATED)), "\"1\"");
    app.database.lose_answers("TransactWriteItems", 0..1);
    let patched = conditional(&app, Method::PATCH, ("if-match", "\"1\""), &json!({"stock": 3})).await;
    assert_eq!(etag(&patched.expect(StatusCode::OK)), "\"2\"");
}
