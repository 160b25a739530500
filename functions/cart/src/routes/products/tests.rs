//! The list.

use http::StatusCode;
use serde_json::{Value, json};

use crate::model::Product;
use crate::routes::testing::{App, product};

/// The ids of all pages of a list, three a page.
async fn walk(app: &App, filter: &str) -> Vec<String> {
    let first = format!("/products?limit=3{filter}");
    let mut seen = Vec::new();
    let mut path = first.clone();
    // A cursor that stands still must not make the test run for ever.
    for _ in 0..9 {
        let page = app.get(&path).await.expect(StatusCode::OK).json;
        let items = page["items"].as_array().unwrap();
        assert!(items.iter().all(|item| item.get("stock").is_none()), "{page}");
        seen.extend(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
        match &page["next_cursor"] {
            Value::String(cursor) => path = format!("{first}&cursor={cursor}"),
            _ => break,
        }
    }
    seen
}

fn on(shelf: &str, product: Product) -> Product {
    Product { category: Some(shelf.to_owned().try_into().unwrap()), ..product }
}

/// `cup-0` to `cup-3` and `tea-0` to `tea-3`, of which the even ones are sold out, a `teapot` on a shelf whose name begins
/// like another's, and a `gift` on none.
async fn shelves() -> App {
    let app = App::new().await;
    for number in 0..4 {
        app.sell(on("tea", product(&format!("tea-{number}"), 100, number % 2))).await;
        app.sell(on("cup", product(&format!("cup-{number}"), 100, number % 2))).await;
    }
    app.sell(on("tea-2", product("teapot", 100, 1))).await;
    app.sell(product("gift", 100, 1)).await;
    app
}

#[tokio::test]
async fn the_catalogue_pages_without_gaps_or_repeats_and_tells_no_stock() {
    let app = App::new().await;
    let ids: Vec<String> = (0..7).map(|number| format!("product-{number}")).collect();
    for id in ids.iter().rev() {
        app.sell(product(id, 100, 5)).await;
    }
    // 3, 3 and 1.
    assert_eq!(walk(&app, "").await, ids);
    let one = app.get("/products?limit=1").await.json;
    let price = json!({"amount": 100, "currency": "EUR"});
    let entry = json!({"id": "product-0", "name": "Product product-0", "price": price, "available": true});
    assert_eq!(one["items"], json!([entry]));
}

#[tokio::test]
async fn a_list_goes_by_category_and_availability() {
    let app = shelves().await;
    for (filter, expected) in [
        ("", "gift cup-0 cup-1 cup-2 cup-3 tea-0 tea-1 tea-2 tea-3 teapot"),
        ("&category=tea", "tea-0 tea-1 tea-2 tea-3"),
        ("&category=te", ""),
        ("&available=true", "gift cup-1 cup-3 tea-1 tea-3 teapot"),
        ("&available=false", "cup-0 cup-2 tea-0 tea-2"),
        ("&category=tea&available=true", "tea-1 tea-3"),
        ("&category=cup&available=false", "cup-0 cup-2"),
        ("&category=tea-2&available=false", ""),
    ] {
        assert_eq!(walk(&app, filter).await.join(" "), expected, "{filter}");
    }
    let page = app.get("/products?category=cup").await.json;
    let available: Vec<bool> =
        page["items"].as_array().unwrap().iter().map(|item| item["available"].as_bool().unwrap()).collect();
    assert_eq!(available, [false, true, false, true]);
}

#[tokio::test]
async fn a_list_reads_one_index_and_never_scans() {
    let app = shelves().await;
    let _setup = app.database.take_calls();
    for filter in ["", "&category=tea", "&available=true", "&category=tea&available=false"] {
        let _page = app.get(&format!("/products?limit=2{filter}")).await.expect(StatusCode::OK);
        if app.database.is_embedded() {
            assert_eq!(app.database.take_calls(), ["Query CartTable"], "{filter}");
        }
    }
}

#[tokio::test]
async fn a_product_changes_lists_exactly_when_its_stock_reaches_or_leaves_0() {
    let app = App::new().await;
    app.sell(product("tea", 100, 3)).await;
    let lists = async || {
        let list = async |available| walk(&app, &format!("&available={available}")).await.len();
        (list(true).await, list(false).await)
    };
    assert!(app.buy("tea", 2).await);
    assert_eq!(lists().await, (1, 0));
    assert!(app.buy("tea", 1).await);
    assert_eq!(lists().await, (0, 1));
    app.give_back("tea", 1).await.unwrap();
    assert_eq!(lists().await, (1, 0));
    app.give_back("tea", 1).await.unwrap();
    // Read when there were two: the other one is sold before.
    let seen = app.read("tea").await;
    assert!(app.buy("tea", 1).await);
    app.take(&seen, 1).await.unwrap_err();
    assert_eq!((app.read("tea").await.stock, lists().await), (1, (1, 0)));
    // Read when there was one: another comes back before.
    let seen = app.read("tea").await;
    app.give_back("tea", 1).await.unwrap();
    app.take(&seen, 1).await.unwrap_err();
    assert_eq!((app.read("tea").await.stock, lists().await), (2, (1, 0)));
}

#[tokio::test]
async fn parallel_checkouts_sell_each_piece_once_and_end_sold_out() {
    let app = App::new().await;
    app.sell(product("tea", 100, 10)).await;
    let mut sales = tokio::task::JoinSet::new();
    for _ in 0..15 {
        let app = app.clone();
        sales.spawn(async move { app.buy("tea", 1).await });
    }
    let sold = sales.join_all().await.into_iter().filter(|sold| *sold).count();
    assert_eq!((sold, app.read("tea").await.stock), (10, 0));
    assert_eq!(walk(&app, "&available=false").await, ["tea"]);
    assert_eq!(walk(&app, "&available=true").await, [""; 0]);
}

#[tokio::test]
async fn the_last_full_page_is_the_last() {
    let app = App::new().await;
    app.sell(product("a", 100, 5)).await;
    app.sell(product("b", 100, 5)).await;
    let page = app.get("/products?limit=2").await.expect(StatusCode::OK).json;
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
    assert_eq!(page.get("next_cursor"), None);
    let all = app.get("/products").await.expect(StatusCode::OK).json;
    assert_eq!(all, page);
}

#[tokio::test]
async fn a_bad_page_is_refused() {
    let app = App::new().await;
    // The last ones are "Not An Id", "ALL//#Not An Id" and "ALL//Tea#tea", encoded.
    for query in [
        "cursor=*",
        "cursor=",
        "limit=0",
        "limit=101",
        "page=2",
        "category=",
        "category=Tea",
        "category=tea&category=cup",
        "available=yes",
        "available=",
        "cursor=Tm90IEFuIElk",
        "cursor=QUxMLy8jTm90IEFuIElk",
        "cursor=QUxMLy9UZWEjdGVh",
    ] {
        let _refused = app.get(&format!("/products?{query}")).await.expect(StatusCode::BAD_REQUEST);
    }
}

#[tokio::test]
async fn a_cursor_of_one_list_is_refused_by_every_other() {
    let app = shelves().await;
    let lists = [
        "",
        "&category=tea",
        "&category=cup",
        "&available=true",
        "&available=false",
        "&category=tea&available=true",
    ];
    for from in lists {
        let page = app.get(&format!("/products?limit=1{from}")).await.expect(StatusCode::OK).json;
        let cursor = page["next_cursor"].as_str().unwrap();
        for to in lists {
            let status = app.get(&format!("/products?limit=1{to}&cursor={cursor}")).await.status;
            let expected = if from == to { StatusCode::OK } else { StatusCode::BAD_REQUEST };
            assert_eq!(status, expected, "{from} on {to}");
        }
    }
}
