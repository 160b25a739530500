//! `GET` and `DELETE /cart`.

use std::collections::BTreeMap;

use axum::extract::State;
use http::StatusCode;
use shared::http::Json;
use shared::problem::Problem;
use shared::token::Caller;

use crate::State as App;
use crate::model::PricedCart;

/// The caller's cart, at the catalogue's prices.
pub(crate) async fn get(State(app): State<App>, caller: Caller) -> Result<Json<PricedCart>, Problem> {
    let cart = app.carts.cart(caller.user_id).await?;
    let products = app.carts.products(cart.lines.keys()).await?;
    let priced = cart.priced(&products);
    priced.map(Json).map_err(|overflow| Problem::internal(&overflow))
}

/// Empties the caller's cart.
pub(crate) async fn delete(State(app): State<App>, caller: Caller) -> Result<StatusCode, Problem> {
    app.carts.edit_lines(caller.user_id, BTreeMap::clear).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use http::{Method, StatusCode};
    use serde_json::{Value, json};
    use shared::testing::call;

    use crate::routes::testing::{App, product};

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
                    "unit_price": {"amount": 1299, "currency": "EUR"},
                    "line_total": {"amount": 2598, "currency": "EUR"},
                },
                {
                    "product_id": "tea", "name": "Product tea", "quantity": 3, "availability": "AVAILABLE",
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
        let mut dollars = product("c-pot", 2000, 10);
        dollars.price.currency = "USD".parse().unwrap();
        app.sell(dollars).await;

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
}
