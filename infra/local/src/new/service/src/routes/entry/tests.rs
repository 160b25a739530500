//! What a user writes, and nobody else sees.

use http::{Method, StatusCode};
use serde_json::{Value, json};
use shared::testing::{Answer, call};

use crate::routes::testing::{App, etag};

fn body(text: &str) -> Value {
    json!({ "text": text })
}

/// `method` of the first entry on a condition.
async fn conditional(app: &App, method: Method, condition: (&str, &str)) -> Answer {
    let call = app.call(method, &App::path(1)).header(condition.0, condition.1);
    app.send(call.json(&body("on a condition"))).await
}

#[tokio::test]
async fn an_entry_lives_from_put_to_delete() {
    let app = App::new().await;
    let _missing = app.get(1).await.expect(StatusCode::NOT_FOUND);
    let made = app.put(1, "a lamp").await.expect(StatusCode::CREATED);
    assert_eq!((etag(&made), &made.json["text"]), ("\"1\"", &json!("a lamp")));
    let replaced = app.put(1, "a better lamp").await.expect(StatusCode::OK);
    let seen = app.get(1).await.expect(StatusCode::OK);
    assert_eq!((etag(&seen), &seen.json), ("\"2\"", &replaced.json));
    assert_eq!(seen.json["created_at"], made.json["created_at"]);

    let delete = || app.send(app.call(Method::DELETE, &App::path(1)));
    assert_eq!(delete().await.status, StatusCode::NO_CONTENT);
    assert_eq!(delete().await.status, StatusCode::NOT_FOUND);
    assert_eq!(app.get(1).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn nobody_reaches_the_entries_of_another() {
    let app = App::new().await;
    let made = app.put(1, "mine").await.expect(StatusCode::CREATED);
    let path = App::path(1);
    for method in [Method::GET, Method::DELETE] {
        let answer = app.send(call(method.clone(), &path).token(&app.stranger)).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{method}");
    }
    let list = app.send(call(Method::GET, "/sample").token(&app.stranger)).await;
    assert_eq!(list.expect(StatusCode::OK).json["items"], json!([]));
    // The same id is another entry with them.
    let put = app.send(call(Method::PUT, &path).token(&app.stranger).json(&body("theirs"))).await;
    assert_eq!(put.status, StatusCode::CREATED);
    assert_eq!(app.get(1).await.json, made.json);
}

#[tokio::test]
async fn a_write_for_one_version_changes_no_other() {
    let app = App::new().await;
    let missing = conditional(&app, Method::PUT, ("if-match", "\"1\"")).await;
    assert_eq!(missing.status, StatusCode::PRECONDITION_FAILED);
    let _made = app.put(1, "a lamp").await.expect(StatusCode::CREATED);
    let replaced = app.put(1, "a better lamp").await.expect(StatusCode::OK);
    for method in [Method::PUT, Method::DELETE] {
        let answer = conditional(&app, method.clone(), ("if-match", "\"1\"")).await;
        assert_eq!(answer.status, StatusCode::PRECONDITION_FAILED, "{method}");
        assert_eq!(etag(&answer), "\"2\"");
    }
    let again = conditional(&app, Method::PUT, ("if-none-match", "*")).await;
    assert_eq!(again.status, StatusCode::PRECONDITION_FAILED);
    assert_eq!(app.get(1).await.json, replaced.json);
    assert_eq!(conditional(&app, Method::PUT, ("if-match", "\"2\"")).await.status, StatusCode::OK);
    assert_eq!(conditional(&app, Method::DELETE, ("if-match", "\"3\"")).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn of_edits_at_once_for_one_version_one_is_done() {
    let app = App::new().await;
    let _made = app.put(1, "a lamp").await.expect(StatusCode::CREATED);
    let edit = || conditional(&app, Method::PUT, ("if-match", "\"1\""));
    let edits = tokio::join!(edit(), edit(), edit());
    let mut statuses = [edits.0, edits.1, edits.2].map(|answer| answer.status.as_u16());
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412, 412]);
    assert_eq!(app.get(1).await.json["version"], 2);
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_is_done_once() {
    let app = App::new().await;
    app.database.lose_answers("TransactWriteItems", 0..1);
    let _made = app.put(1, "a lamp").await.expect(StatusCode::CREATED);
    assert_eq!(app.get(1).await.json["version"], 1);
}

#[tokio::test]
async fn bad_entries_are_refused() {
    let app = App::new().await;
    let long = "x".repeat(501);
    for bad in [body(""), body(" a"), body("a\u{0}b"), body(&long), json!({}), json!({"text": "a", "txt": "b"})] {
        let answer = app.send(app.call(Method::PUT, &App::path(1)).json(&bad)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{bad}");
    }
    let not_an_id = app.send(app.call(Method::PUT, "/sample/lamp").json(&body("a lamp"))).await;
    assert!(not_an_id.status.is_client_error(), "{}", not_an_id.status);
    assert_eq!(app.get(1).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn without_a_token_nothing_is_told() {
    let app = App::new().await;
    for (method, path) in
        [(Method::GET, "/sample"), (Method::GET, &App::path(1)), (Method::DELETE, &App::path(1))]
    {
        assert_eq!(app.send(call(method.clone(), path)).await.status, StatusCode::UNAUTHORIZED, "{method}");
    }
}

#[tokio::test]
async fn each_endpoint_costs_what_the_readme_says() {
    let app = App::new().await;
    if !app.database.is_embedded() {
        return; // DynamoDB Local counts transactions otherwise than DynamoDB.
    }
    let readme = include_str!("../../../README.md");
    let calls = [
        ("PUT /sample/{id}", app.call(Method::PUT, &App::path(1)).json(&body("a lamp"))),
        ("GET /sample/{id}", app.call(Method::GET, &App::path(1))),
        ("GET /sample", app.call(Method::GET, "/sample")),
        ("DELETE /sample/{id}", app.call(Method::DELETE, &App::path(1))),
    ];
    for (endpoint, call) in calls {
        let _before = app.database.take_capacity();
        let answer = app.send(call).await;
        assert!(answer.status.is_success(), "{endpoint}: {}", answer.status);
        let cost = app.database.take_capacity();
        let row =
            format!("| `{endpoint}` | {} | {} | {} |", cost.round_trips, cost.read_units, cost.write_units);
        assert!(readme.contains(&row), "README.md has no {row}");
    }
}
