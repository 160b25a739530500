//! What becomes of two carts.

use http::{Method, StatusCode};
use jiff::SignedDuration;
use serde_json::json;
use shared::testing::{Answer, call};
use tokio::task::JoinSet;

use crate::model::{Cart, CartLine, CartToken, MAX_LINES, Owner};
use crate::routes::testing::{App, by_cart, etag, fill, in_dollars, item, lines, product, product_id, turns};

async fn merge(app: &App, token: &str) -> Answer {
    app.send(app.by_customer(Method::POST, "/cart/merge").header("cart-token", token)).await
}

fn named(lines: &[(&str, u64)]) -> Vec<(String, u64)> {
    lines.iter().map(|(id, quantity)| ((*id).to_owned(), *quantity)).collect()
}

/// A shop with a cup, a pot and tea.
async fn shop() -> App {
    let app = App::new().await;
    for id in ["cup", "pot", "tea"] {
        app.sell(product(id, 100, 99)).await;
    }
    app
}

#[tokio::test]
async fn a_merge_adds_quantities_and_loses_no_line() {
    let app = shop().await;
    app.sell(product("gone", 100, 99)).await;
    for (id, quantity) in [("cup", 1), ("tea", 60)] {
        let _put = app.put_item(id, quantity).await.expect(StatusCode::OK);
    }
    let token = app.filled_cart(&[("gone", 2), ("pot", 3), ("tea", 60)]).await;
    app.retire("gone").await;
    let answer = merge(&app, &token).await.expect(StatusCode::OK);
    let expected = named(&[("cup", 1), ("gone", 2), ("pot", 3), ("tea", 99)]);
    assert_eq!((lines(&answer.json), etag(&answer)), (expected, "\"3\""));
    assert_eq!(answer.json["lines"][1]["availability"], "UNAVAILABLE");
    let read = app.get("/cart").await;
    assert_eq!((&read.json, etag(&read)), (&answer.json, "\"3\""));
}

#[tokio::test]
async fn a_merge_into_a_cart_that_was_never_used_and_of_an_empty_one() {
    let app = shop().await;
    let empty = app.open_cart().await;
    let answer = merge(&app, &empty).await.expect(StatusCode::OK);
    assert_eq!(lines(&answer.json), []);
    let token = app.filled_cart(&[("tea", 5)]).await;
    let _merged = merge(&app, &token).await.expect(StatusCode::OK);
    assert_eq!(app.lines().await, named(&[("tea", 5)]));
}

#[tokio::test]
async fn a_merge_done_again_changes_nothing_and_the_token_is_no_one_elses() {
    let app = shop().await;
    let token = app.filled_cart(&[("tea", 5)]).await;
    let _merged = merge(&app, &token).await.expect(StatusCode::OK);
    let _edited = app.put_item("tea", 2).await.expect(StatusCode::OK);
    let before = app.get("/cart").await;
    for _ in 0..2 {
        let again = merge(&app, &token).await.expect(StatusCode::OK);
        assert_eq!((&again.json, etag(&again)), (&before.json, etag(&before)));
    }
    let other = call(Method::POST, "/cart/merge").token(&app.stranger()).header("cart-token", &token);
    let other = app.send(other).await.expect(StatusCode::UNAUTHORIZED);
    let unknown = merge(&app, "AAAAAAAAAAAAAAAAAAAAAA").await.expect(StatusCode::UNAUTHORIZED);
    assert_eq!(other.json, unknown.json);
    app.clock.advance(SignedDuration::from_hours(30 * 24));
    let late = merge(&app, &token).await.expect(StatusCode::UNAUTHORIZED);
    assert_eq!(late.json, unknown.json);
    assert_eq!(app.lines().await, named(&[("tea", 2)]), "a user's cart does not expire");
}

#[tokio::test]
async fn a_merge_needs_both_tokens() {
    let app = shop().await;
    let token = app.filled_cart(&[("tea", 5)]).await;
    let _no_caller =
        app.send(by_cart(&token, Method::POST, "/cart/merge")).await.expect(StatusCode::UNAUTHORIZED);
    let no_cart = app.by_customer(Method::POST, "/cart/merge");
    let _no_cart = app.send(no_cart).await.expect(StatusCode::BAD_REQUEST);
    for bad in ["", "x", &token[1..]] {
        let _refused = merge(&app, bad).await.expect(StatusCode::UNAUTHORIZED);
    }
    assert_eq!(lines(&app.send(by_cart(&token, Method::GET, "/cart")).await.json), named(&[("tea", 5)]));
}

#[tokio::test]
async fn a_merge_that_does_not_fit_changes_neither_cart() {
    let app = App::new().await;
    for number in 0..=MAX_LINES {
        app.sell(product(&format!("p-{number}"), 100, 99)).await;
    }
    app.sell(in_dollars(product("pot", 100, 99))).await;
    for number in 0..MAX_LINES {
        let _put = app.put_item(&format!("p-{number}"), 1).await.expect(StatusCode::OK);
    }
    let before = app.get("/cart").await.json;
    for (other, problem) in [(format!("p-{MAX_LINES}"), "cart-full"), ("pot".to_owned(), "cart-full")] {
        let token = app.filled_cart(&[(&other, 1)]).await;
        let answer = merge(&app, &token).await.expect(StatusCode::CONFLICT);
        assert_eq!(answer.json["type"], format!("urn:problem-type:{problem}"));
        assert_eq!(lines(&app.send(by_cart(&token, Method::GET, "/cart")).await.json), named(&[(&other, 1)]));
    }
    assert_eq!(app.get("/cart").await.json, before);
    let _room = app.send(app.by_customer(Method::DELETE, &item("p-0"))).await.expect(StatusCode::NO_CONTENT);
    let dollars = app.filled_cart(&[("pot", 1)]).await;
    let answer = merge(&app, &dollars).await.expect(StatusCode::CONFLICT);
    assert_eq!(answer.json["type"], "urn:problem-type:other-currency");
    let token = app.filled_cart(&[("p-0", 1), ("p-1", 1)]).await;
    let merged = merge(&app, &token).await.expect(StatusCode::OK).json;
    assert_eq!(lines(&merged).len(), MAX_LINES);
}

/// No request makes such a cart; a bug of tomorrow might.
#[tokio::test]
async fn a_cart_of_a_thousand_lines_is_not_merged_and_costs_no_thousand_reads() {
    let app = shop().await;
    let token = app.open_cart().await;
    let owner = Owner::Anonymous(CartToken::parse(&token).unwrap().hash());
    let line = CartLine::new(&product("tea", 100, 99), 1);
    let thousand = (0..1000).map(|number| (product_id(&format!("p-{number}")), line)).collect();
    app.carts.save(&owner, &Cart { version: 1, lines: thousand }, app.clock.now()).await.unwrap();
    let _setup = app.database.take_calls();
    let answer = merge(&app, &token).await.expect(StatusCode::CONFLICT);
    assert_eq!(answer.json["type"], "urn:problem-type:cart-full");
    assert!(app.database.take_calls().len() <= 2);
    assert_eq!(app.lines().await, []);
}

#[tokio::test]
async fn a_merge_whose_answer_is_lost_is_done_once() {
    let app = shop().await;
    let _put = app.put_item("tea", 1).await.expect(StatusCode::OK);
    let token = app.filled_cart(&[("tea", 5)]).await;
    app.database.lose_answers("TransactWriteItems", 0..1);
    let answer = merge(&app, &token).await.expect(StatusCode::OK);
    assert_eq!((lines(&answer.json), etag(&answer)), (named(&[("tea", 6)]), "\"2\""));
    // And where the SDK gave up, the client tries again.
    let token = app.filled_cart(&[("tea", 5)]).await;
    app.database.lose_answers("TransactWriteItems", 0..3);
    if app.database.is_embedded() {
        let _lost = merge(&app, &token).await.expect(StatusCode::SERVICE_UNAVAILABLE);
    }
    let answer = merge(&app, &token).await.expect(StatusCode::OK);
    assert_eq!((lines(&answer.json), etag(&answer)), (named(&[("tea", 11)]), "\"3\""));
}

#[tokio::test]
async fn of_merges_at_once_one_counts_and_only_for_one_user() {
    let app = shop().await;
    let token = app.filled_cart(&[("tea", 5)]).await;
    let mut merges = JoinSet::new();
    for number in 0..6 {
        let (app, token) = (app.clone(), token.clone());
        merges.spawn(async move {
            let user = if number % 2 == 0 { app.token.clone() } else { app.stranger() };
            let merge = call(Method::POST, "/cart/merge").token(&user).header("cart-token", &token);
            (number % 2, app.send(merge).await.status)
        });
    }
    let outcomes = merges.join_all().await;
    let winner = outcomes.iter().find(|(_, status)| *status == StatusCode::OK).unwrap().0;
    for (user, status) in &outcomes {
        let expected = if *user == winner { StatusCode::OK } else { StatusCode::UNAUTHORIZED };
        assert_eq!(*status, expected, "{outcomes:?}");
    }
    let stranger = app.send(call(Method::GET, "/cart").token(&app.stranger())).await.json;
    let mut carts = [app.lines().await, lines(&stranger)];
    carts.sort();
    assert_eq!(carts, [named(&[]), named(&[("tea", 5)])]);
}

/// The edit comes after a different number of the merge's steps each time, so that every interleaving comes up.
#[tokio::test]
async fn a_merge_and_an_edit_of_either_cart_lose_nothing() {
    let mut edits_refused = 0;
    for delay in 0..12 {
        for of_the_user in [true, false] {
            let app = shop().await;
            let _put = app.put_item("cup", 1).await.expect(StatusCode::OK);
            let token = app.filled_cart(&[("tea", 5)]).await;
            let edit = async {
                turns(delay).await;
                let put = if of_the_user {
                    app.by_customer(Method::PUT, &item("pot"))
                } else {
                    by_cart(&token, Method::PUT, &item("pot"))
                };
                app.send(fill(put, 7)).await.status
            };
            let (merged, edited) = tokio::join!(merge(&app, &token), edit);
            let _merged = merged.expect(StatusCode::OK);
            let expected = match edited {
                StatusCode::OK => named(&[("cup", 1), ("pot", 7), ("tea", 5)]),
                // The anonymous cart was merged before.
                StatusCode::UNAUTHORIZED if !of_the_user => named(&[("cup", 1), ("tea", 5)]),
                other => panic!("{other}"),
            };
            edits_refused += usize::from(edited != StatusCode::OK);
            assert_eq!(app.lines().await, expected, "after {delay}, of the user: {of_the_user}");
        }
    }
    assert!((1..12).contains(&edits_refused), "both came first at times: {edits_refused}");
}

#[tokio::test]
async fn what_is_left_of_a_merged_cart_holds_no_lines() {
    let app = shop().await;
    let token = app.filled_cart(&[("tea", 5)]).await;
    let _merged = merge(&app, &token).await.expect(StatusCode::OK);
    let items: Vec<serde_json::Value> = app.database.items("CartTable").await;
    let left = items.iter().find(|item| item["pk"].as_str().unwrap().starts_with("ANON#")).unwrap();
    assert_eq!(left["lines"], json!({}));
    assert!(left["expires_at"].is_i64());
}
