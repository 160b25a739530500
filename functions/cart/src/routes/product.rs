//! `GET` and `PUT /products/{id}`.

use axum::extract::State;
use http::StatusCode;
use serde::Deserialize;
use shared::http::{Json, Path};
use shared::json::object;
use shared::problem::Problem;
use shared::text::Text;

use crate::State as App;
use crate::model::{Price, Product, ProductId, Stock};

/// A product as an admin writes it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Body {
    name: Text<200>,
    description: Option<Text<2000>>,
    #[serde(deserialize_with = "object")]
    price: Price,
    stock: Stock,
}

pub(crate) fn no_product() -> Problem {
    Problem::not_found("There is no such product")
}

/// One product, with its stock.
pub(crate) async fn get(State(app): State<App>, Path(id): Path<ProductId>) -> Result<Json<Product>, Problem> {
    app.carts.product(&id).await?.map(Json).ok_or_else(no_product)
}

/// Adds a product, or replaces it and its stock.
pub(crate) async fn put(
    State(app): State<App>,
    Path(id): Path<ProductId>,
    Json(body): Json<Body>,
) -> Result<(StatusCode, Json<Product>), Problem> {
    let product = Product {
        id,
        name: body.name,
        description: body.description,
        price: body.price.get(),
        stock: body.stock.get(),
    };
    let new = app.carts.put_product(&product).await?;
    let status = if new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(product)))
}

#[cfg(test)]
mod tests {
    use http::{Method, StatusCode};
    use serde_json::{Value, json};
    use shared::testing::{Answer, call};

    use crate::routes::testing::App;

    fn tea() -> Value {
        json!({"name": "Tea", "description": "Green", "price": {"amount": 450, "currency": "EUR"}, "stock": 10})
    }

    async fn put(app: &App, id: &str, body: &Value) -> Answer {
        call(Method::PUT, &format!("/products/{id}")).token(&app.admin()).json(body).send(&app.router).await
    }

    #[tokio::test]
    async fn an_admin_adds_and_replaces_a_product_that_everyone_sees() {
        let app = App::new().await;
        let _missing = app.get("/products/tea").await.expect(StatusCode::NOT_FOUND);
        let _added = put(&app, "tea", &tea()).await.expect(StatusCode::CREATED);
        let mut changed = tea();
        changed["price"]["amount"] = 500.into();
        changed.as_object_mut().unwrap().remove("description");
        let answer = put(&app, "tea", &changed).await.expect(StatusCode::OK);
        let seen = app.get("/products/tea").await.expect(StatusCode::OK).json;
        assert_eq!(seen, answer.json);
        changed["id"] = "tea".into();
        assert_eq!(seen, changed);
    }

    #[tokio::test]
    async fn only_an_admin_writes_products() {
        let app = App::new().await;
        let write = || call(Method::PUT, "/products/tea").json(&tea());
        let answer = write().send(&app.router).await;
        assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
        let answer = write().token(&app.token).send(&app.router).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        let _missing = app.get("/products/tea").await.expect(StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn a_bad_product_names_the_field_and_is_not_written() {
        let app = App::new().await;
        for (field, value) in [
            ("name", json!("")),
            ("name", json!(null)),
            ("description", json!("x".repeat(2001))),
            ("price", json!({"amount": 0, "currency": "EUR"})),
            ("price", json!([450, "EUR"])),
            ("price", json!({"amount": 100_000_001, "currency": "EUR"})),
            ("price.amount", json!({"amount": -1, "currency": "EUR"})),
            ("price.amount", json!({"amount": 9.99, "currency": "EUR"})),
            ("price.currency", json!({"amount": 1, "currency": "euro"})),
            ("stock", json!(-1)),
            ("stock", json!(1_000_001)),
            ("stock", json!("10")),
            ("colour", json!("red")),
        ] {
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
}
