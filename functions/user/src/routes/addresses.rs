//! `GET` and `POST /profile/addresses`.

use axum::extract::State;
use axum::response::Response;
use shared::db::TransactionError;
use shared::http::{Json, Query};
use shared::idempotency::{Attempt, Keyed, Reply};
use shared::page::{Page, PageQuery};
use shared::problem::Problem;
use shared::token::Caller;
use uuid::Uuid;

use crate::State as App;
use crate::model::{Address, Label, MAX_ADDRESSES};

/// The caller's addresses, newest first.
pub(crate) async fn list(
    State(app): State<App>,
    caller: Caller,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<Address>>, Problem> {
    Ok(Json(app.users.addresses(caller.user_id, &page).await?))
}

/// Adds an address.
pub(crate) async fn post(
    State(app): State<App>,
    caller: Caller,
    Keyed(key, Json(label)): Keyed<Json<Label>>,
) -> Result<Response, Problem> {
    let add = async |attempt: &Attempt| add(&app, caller.user_id, label, attempt).await;
    app.idempotency.run(caller.user_id, key, add).await
}

/// Two at once may exceed [`MAX_ADDRESSES`] by one: the limit is against abuse, nothing depends on it.
async fn add(app: &App, user_id: Uuid, label: Label, attempt: &Attempt) -> Result<Reply, Problem> {
    if app.users.count_addresses(user_id).await? >= MAX_ADDRESSES {
        let detail = format!("At most {MAX_ADDRESSES} addresses; delete one first");
        return Err(Problem::conflict("too-many-addresses", "There are too many addresses", detail));
    }
    let address = Address { id: app.ids.uuid(app.clock.now()), label };
    let reply = Reply::created(format!("/profile/addresses/{}", address.id), &address)?;
    let mut transaction = app.users.transaction();
    transaction.add(app.users.add_address_write(user_id, &address)?);
    let completion = attempt.complete(&mut transaction, &reply)?;
    match transaction.run().await {
        Ok(()) => Ok(reply),
        Err(TransactionError::Cancelled(reasons)) if completion.superseded(&reasons) => {
            Err(attempt.superseded())
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use http::{Method, StatusCode};
    use serde_json::{Value, json};
    use shared::testing::{Answer, call};

    use crate::model::MAX_ADDRESSES;
    use crate::routes::testing::App;

    fn label() -> Value {
        json!({"name": "M", "line1": "Main St 1", "city": "Berlin", "postal_code": "10115", "country": "DE"})
    }

    async fn add(app: &App) -> Answer {
        call(Method::POST, "/profile/addresses").token(&app.token).json(&label()).send(&app.router).await
    }

    #[tokio::test]
    async fn an_address_lives_from_post_to_delete_and_is_nobody_elses() {
        let app = App::new().await;
        let added = add(&app).await.expect(StatusCode::CREATED);
        let path = added.headers["location"].to_str().unwrap().to_owned();
        let send = |method: Method, token: &str| call(method, &path).token(token).send(&app.router);

        assert_eq!(send(Method::GET, &app.token).await.json["city"], "Berlin");
        assert_eq!(send(Method::GET, &app.stranger()).await.status, StatusCode::NOT_FOUND);
        assert_eq!(send(Method::DELETE, &app.stranger()).await.status, StatusCode::NOT_FOUND);

        let mut moved = label();
        moved["city"] = "Hamburg".into();
        let put = |token: &str| call(Method::PUT, &path).token(token).json(&moved).send(&app.router);
        assert_eq!(put(&app.stranger()).await.status, StatusCode::NOT_FOUND);
        assert_eq!(put(&app.token).await.expect(StatusCode::OK).json["city"], "Hamburg");

        assert_eq!(send(Method::DELETE, &app.token).await.status, StatusCode::NO_CONTENT);
        assert_eq!(send(Method::GET, &app.token).await.status, StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn pages_hold_every_address_once() {
        let app = App::new().await;
        for _ in 0..5 {
            let _added = add(&app).await.expect(StatusCode::CREATED);
        }
        let mut seen = Vec::new();
        let mut path = "/profile/addresses?limit=2".to_owned();
        loop {
            let page =
                call(Method::GET, &path).token(&app.token).send(&app.router).await.expect(StatusCode::OK);
            seen.extend(page.json["items"].as_array().unwrap().iter().map(|item| item["id"].to_string()));
            match page.json["next_cursor"].as_str() {
                Some(cursor) => path = format!("/profile/addresses?limit=2&cursor={cursor}"),
                None => break,
            }
        }
        assert_eq!(seen.len(), 5);
        assert!(seen.is_sorted_by(|newer, older| newer > older), "{seen:?}");
    }

    #[tokio::test]
    async fn bad_pages_are_refused() {
        let app = App::new().await;
        // `UFJPRklMRQ` is PROFILE: a key of another list.
        for query in ["limit=0", "limit=101", "limit=x", "cursor=%00", "cursor=UFJPRklMRQ", "order=up"] {
            let path = format!("/profile/addresses?{query}");
            let answer = call(Method::GET, &path).token(&app.token).send(&app.router).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}");
        }
    }

    #[tokio::test]
    async fn there_is_a_limit() {
        let app = App::new().await;
        for _ in 0..MAX_ADDRESSES {
            let _added = add(&app).await.expect(StatusCode::CREATED);
        }
        assert_eq!(add(&app).await.status, StatusCode::CONFLICT);
    }

    #[tokio::test]
    async fn bad_addresses_name_the_field() {
        let app = App::new().await;
        for (field, value) in [
            ("country", json!("Germany")),
            ("line1", json!("")),
            ("city", json!("a\u{0}b")),
            ("postal_code", json!(10115)),
            ("line_2", json!("a typo would lose data")),
        ] {
            let mut body = label();
            body[field] = value;
            let call = call(Method::POST, "/profile/addresses").token(&app.token).json(&body);
            assert_eq!(call.send(&app.router).await.status, StatusCode::BAD_REQUEST, "{field}");
        }
    }

    #[tokio::test]
    async fn an_address_sent_twice_under_one_key_is_added_once() {
        let app = App::new().await;
        let add = || {
            let post = call(Method::POST, "/profile/addresses").token(&app.token);
            post.header("idempotency-key", "k").json(&label()).send(&app.router)
        };
        let (one, two) = tokio::join!(add(), add());
        assert!(one.status == StatusCode::CREATED || two.status == StatusCode::CREATED);
        let again = add().await.expect(StatusCode::CREATED);
        assert_eq!(again.headers["idempotency-replayed"], "true");
        let list = call(Method::GET, "/profile/addresses").token(&app.token).send(&app.router).await;
        assert_eq!(list.json["items"], json!([again.json]));
    }
}
