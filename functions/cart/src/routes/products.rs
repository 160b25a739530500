//! `GET /products`.

use axum::extract::State;
use shared::http::{Json, Query};
use shared::page::{Page, PageQuery};
use shared::problem::Problem;

use crate::State as App;
use crate::model::CatalogueEntry;

/// The catalogue, by product id.
pub(crate) async fn list(
    State(app): State<App>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<CatalogueEntry>>, Problem> {
    Ok(Json(app.carts.catalogue(&page).await?))
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::{Value, json};

    use crate::routes::testing::{App, product};

    #[tokio::test]
    async fn the_catalogue_pages_without_gaps_or_repeats_and_tells_no_stock() {
        let app = App::new().await;
        let ids: Vec<String> = (0..7).map(|number| format!("product-{number}")).collect();
        for id in ids.iter().rev() {
            app.sell(product(id, 100, 5)).await;
        }
        let mut seen = Vec::new();
        let mut path = "/products?limit=3".to_owned();
        // 3, 3 and 1; a cursor that stands still must not make the test run for ever.
        for _ in 0..4 {
            let page = app.get(&path).await.expect(StatusCode::OK).json;
            let items = page["items"].as_array().unwrap().clone();
            assert!(items.iter().all(|item| item.get("stock").is_none()), "{page}");
            assert_eq!(items[0]["price"], json!({"amount": 100, "currency": "EUR"}));
            seen.extend(items.iter().map(|item| item["id"].as_str().unwrap().to_owned()));
            match &page["next_cursor"] {
                Value::String(cursor) => path = format!("/products?limit=3&cursor={cursor}"),
                _ => break,
            }
        }
        assert_eq!(seen, ids);
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
        // The last one is "Not An Id", decoded.
        for query in ["cursor=*", "cursor=", "limit=0", "limit=101", "page=2", "cursor=Tm90IEFuIElk"] {
            let _refused = app.get(&format!("/products?{query}")).await.expect(StatusCode::BAD_REQUEST);
        }
    }
}
