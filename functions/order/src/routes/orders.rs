//! `GET /orders`.

use axum::extract::State;
use shared::http::{Json, Query};
use shared::page::{Page, PageQuery};
use shared::problem::Problem;
use shared::token::Caller;

use super::view::OrderView;
use crate::State as App;

/// The caller's orders, newest first.
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<OrderView>>, Problem> {
    let orders = app.orders.orders(caller.user_id, &page).await?;
    Ok(Json(orders.map(OrderView::from)))
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::Value;

    use crate::routes::testing::{App, user};

    #[tokio::test]
    async fn orders_come_newest_first_without_gaps_or_repeats() {
        let app = App::new().await;
        app.sell("cup", 1299, 10).await;
        let mut placed = Vec::new();
        for _ in 0..7 {
            placed.insert(0, app.order(&[("cup", 1)]).await.id.to_string());
        }
        let mut seen = Vec::new();
        let mut path = "/orders?limit=3".to_owned();
        // 3, 3 and 1; a cursor that stands still must not make the test run for ever.
        for _ in 0..4 {
            let page = app.get(&path).await.expect(StatusCode::OK).json;
            let items = page["items"].as_array().unwrap();
            assert!((1..=3).contains(&items.len()));
            seen.extend(items.iter().map(|order| order["id"].as_str().unwrap().to_owned()));
            match &page["next_cursor"] {
                Value::String(cursor) => path = format!("/orders?limit=3&cursor={cursor}"),
                _ => break,
            }
        }
        assert_eq!(seen, placed);
    }

    #[tokio::test]
    async fn a_bad_page_is_refused() {
        let app = App::new().await;
        // The last one is "OPEN#1", decoded: another list of the same user.
        for query in ["cursor=*", "cursor=", "limit=0", "limit=101", "page=2", "cursor=T1BFTiMx"] {
            let path = format!("/orders?{query}");
            let _refused = app.get(&path).await.expect(StatusCode::BAD_REQUEST);
        }
    }

    #[tokio::test]
    async fn the_newest_open_order_is_neither_paid_nor_cancelled() {
        let app = App::new().await;
        app.sell("cup", 1299, 100).await;
        let open = || async { app.state.orders.newest_open(user(1)).await.unwrap() };
        let oldest = app.order(&[("cup", 1)]).await;
        // More of each than a page holds: what is paid or cancelled must leave the list of open orders.
        for _ in 0..21 {
            let paid = app.order(&[("cup", 1)]).await;
            let cancelled = app.order(&[("cup", 1)]).await;
            assert_eq!(open().await, Some(cancelled.clone()));
            let path = format!("/orders/{}/cancel", cancelled.id);
            let _cancelled = app.post(1, &path).await.expect(StatusCode::OK);
            assert_eq!(open().await, Some(paid.clone()));
            app.pay(&paid).await.unwrap();
        }
        assert_eq!(open().await, Some(oldest));
        assert_eq!(app.state.orders.newest_open(user(2)).await.unwrap(), None);
    }
}
