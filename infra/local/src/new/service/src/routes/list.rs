//! `GET /sample`.

use axum::extract::State;
use shared::http::{Json, Query};
use shared::page::{Page, PageQuery};
use shared::problem::Problem;
use shared::token::Caller;

use crate::State as App;
use crate::model::Entry;

/// The caller's entries, the highest id first.
pub(crate) async fn get(
    State(app): State<App>,
    caller: Caller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Entry>>, Problem> {
    Ok(Json(app.entries.entries(caller.user_id, &page).await?))
}

#[cfg(test)]
mod tests {
    use http::{Method, StatusCode};

    use crate::routes::testing::App;

    #[tokio::test]
    async fn pages_hold_every_entry_once() {
        let app = App::new().await;
        for id in 1..=5 {
            let _made = app.put(id, "one of five").await.expect(StatusCode::CREATED);
        }
        let mut seen = Vec::new();
        let mut path = "/sample?limit=2".to_owned();
        loop {
            let page = app.send(app.call(Method::GET, &path)).await.expect(StatusCode::OK);
            seen.extend(page.json["items"].as_array().unwrap().iter().map(|entry| entry["id"].clone()));
            match page.json["next_cursor"].as_str() {
                Some(cursor) => path = format!("/sample?limit=2&cursor={cursor}"),
                None => break,
            }
        }
        let expected: Vec<_> = (1..=5).rev().map(|id| App::id(id).to_string()).collect();
        assert_eq!(seen, expected);
    }

    #[tokio::test]
    async fn bad_pages_are_refused() {
        let app = App::new().await;
        // `T1RIRVIjMQ` is OTHER#1: a key of another list.
        for query in ["limit=0", "limit=101", "limit=x", "cursor=%00", "cursor=T1RIRVIjMQ", "order=up"] {
            let answer = app.send(app.call(Method::GET, &format!("/sample?{query}"))).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
        }
    }
}
