//! `PUT` and `DELETE /cart/items/{product_id}`.

use std::collections::BTreeMap;

use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use shared::db::{DbError, retry_conflicts};
use shared::http::{Json, Path};
use shared::problem::Problem;
use shared::token::Caller;
use uuid::Uuid;

use super::product::no_product;
use crate::State as App;
use crate::model::{PricedCart, ProductId, Quantity, Refused};

/// How many pieces are wanted in all, not how many more.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Body {
    quantity: Quantity,
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let kind = match refused {
            Refused::Full => "cart-full",
            Refused::OtherCurrency => "other-currency",
        };
        Self::conflict(kind, "The product does not fit into the cart", refused.to_string())
    }
}

/// Sets how many pieces of a product are in the caller's cart; answers the cart.
pub(crate) async fn put(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<ProductId>,
    Json(body): Json<Body>,
) -> Result<Json<PricedCart>, Problem> {
    retry_conflicts(|| set(&app, caller.user_id, &id, body.quantity)).await?.map(Json)
}

/// One attempt: the outer error is the table's, the inner one the customer's.
async fn set(
    app: &App,
    user_id: Uuid,
    id: &ProductId,
    quantity: Quantity,
) -> Result<Result<PricedCart, Problem>, DbError> {
    let mut cart = app.carts.cart(user_id).await?;
    let products = app.carts.products(cart.lines.keys().chain([id])).await?;
    let Some(product) = products.get(id) else {
        return Ok(Err(no_product()));
    };
    if let Err(refused) = cart.set(product, quantity, &products) {
        return Ok(Err(refused.into()));
    }
    app.carts.save_cart(user_id, &cart).await?;
    Ok(cart.priced(&products).map_err(|overflow| Problem::internal(&overflow)))
}

/// Takes a product out of the caller's cart; where it is not in there, that is well too.
pub(crate) async fn delete(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<ProductId>,
) -> Result<StatusCode, Problem> {
    let remove = |lines: &mut BTreeMap<ProductId, u32>| {
        lines.remove(&id);
    };
    app.carts.edit_lines(caller.user_id, remove).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use http::{Method, StatusCode};
    use serde_json::{Value, json};
    use shared::testing::{Answer, call};
    use tokio::task::JoinSet;

    use crate::model::MAX_LINES;
    use crate::routes::testing::{App, product};

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
        let mut dollars = product("pot", 2000, 10);
        dollars.price.currency = "USD".parse().unwrap();
        app.sell(dollars).await;
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
}
