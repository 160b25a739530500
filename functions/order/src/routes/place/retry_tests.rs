//! A checkout that is sent again under its `Idempotency-Key` happens once, whatever became of the first try.

use std::task::Poll;

use http::{Method, StatusCode};
use jiff::SignedDuration;
use serde_json::{Value, json};
use shared::idempotency::LEASE;
use shared::testing::{Answer, Counts, call};
use tokio::task::JoinSet;

use crate::routes::testing::App;

/// Ten teas, of which the carts of the users 1 and 2 hold two each.
async fn two_of_ten() -> App {
    let app = App::new().await;
    app.sell("tea", 450, 10).await;
    for number in [1, 2] {
        app.fill_cart(number, &[("tea", 2)]).await;
    }
    app
}

async fn place_as(app: &App, number: u128, key: &str, body: Option<&Value>) -> Answer {
    let post = call(Method::POST, "/orders").token(&app.token(number)).header("idempotency-key", key);
    let post = match body {
        Some(body) => post.json(body),
        None => post,
    };
    post.send(&app.router).await
}

async fn place(app: &App, key: &str) -> Answer {
    place_as(app, 1, key, None).await
}

fn is_replay(answer: &Answer) -> bool {
    answer.headers.get("idempotency-replayed").is_some_and(|value| value == "true")
}

/// The user number 1 has ordered once, and nothing else was taken.
async fn assert_ordered_once(app: &App) {
    let orders = app.get("/orders").await.json;
    assert_eq!(orders["items"].as_array().unwrap().len(), 1, "{orders}");
    assert_eq!((app.stock("tea").await, app.cart_lines(1).await), (Some(8), 0));
}

#[tokio::test]
async fn the_same_key_is_the_same_order() {
    let app = two_of_ten().await;
    let first = place(&app, "k").await.expect(StatusCode::CREATED);
    assert!(!is_replay(&first));
    // Also when there is something in the cart again.
    app.fill_cart(1, &[("tea", 1)]).await;
    let again = place(&app, "k").await.expect(StatusCode::CREATED);
    assert!(is_replay(&again));
    assert_eq!((&again.json, &again.headers["location"]), (&first.json, &first.headers["location"]));
    assert_eq!(app.stock("tea").await, Some(8));
    assert_eq!(app.cart_lines(1).await, 1, "the cart that came after is untouched");

    let second = place(&app, "other").await.expect(StatusCode::CREATED);
    assert_ne!(second.json["id"], first.json["id"]);
    let theirs = place_as(&app, 2, "k", None).await.expect(StatusCode::CREATED);
    assert!(!is_replay(&theirs), "a key is its user's own");
}

#[tokio::test]
async fn an_order_is_counted_once_however_often_it_is_told() {
    let app = two_of_ten().await;
    let counts = Counts::default();
    let _guard = counts.start();
    for _ in 0..3 {
        let _told = place(&app, "k").await.expect(StatusCode::CREATED);
    }
    let _nothing_left = place(&app, "l").await.expect(StatusCode::CONFLICT);
    assert_eq!((counts.of("Orders"), counts.of("Requests"), counts.of("Errors")), (1, 4, 0));
}

#[tokio::test]
async fn the_same_key_with_another_body_is_refused() {
    let app = two_of_ten().await;
    let _placed = place(&app, "k").await.expect(StatusCode::CREATED);
    let other = json!({"address_id": app.address(1).await.id});
    let answer = place_as(&app, 1, "k", Some(&other)).await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(answer.json["type"], "urn:problem-type:idempotency-key-reused");
    assert_ordered_once(&app).await;
}

#[tokio::test]
async fn what_was_refused_may_be_tried_again_under_the_same_key() {
    let app = two_of_ten().await;
    app.sell("tea", 450, 1).await;
    for _ in 0..2 {
        let answer = place(&app, "k").await.expect(StatusCode::CONFLICT);
        assert_eq!(answer.json["type"], "urn:problem-type:insufficient-stock");
        assert!(!is_replay(&answer));
    }
    app.sell("tea", 450, 10).await;
    let _placed = place(&app, "k").await.expect(StatusCode::CREATED);
    assert_ordered_once(&app).await;
}

#[tokio::test]
async fn a_bad_key_is_refused() {
    let app = two_of_ten().await;
    for key in ["", " ", &"k".repeat(256), "caf\u{e9}", "a\tb"] {
        let answer = place(&app, key).await.expect(StatusCode::BAD_REQUEST);
        assert_eq!(answer.json["header"], "Idempotency-Key", "{key:?}");
    }
    let twice = call(Method::POST, "/orders").token(&app.token(1));
    let twice = twice.header("idempotency-key", "a").header("idempotency-key", "b");
    let _refused = twice.send(&app.router).await.expect(StatusCode::BAD_REQUEST);
    assert_eq!((app.stock("tea").await, app.cart_lines(1).await), (Some(10), 1));
    let _longest = place(&app, &"k".repeat(255)).await.expect(StatusCode::CREATED);
}

#[tokio::test]
async fn of_many_at_once_with_one_key_one_orders() {
    let app = two_of_ten().await;
    let mut checkouts = JoinSet::new();
    for _ in 0..8 {
        let app = app.clone();
        checkouts.spawn(async move { place(&app, "k").await });
    }
    let mut placed = Vec::new();
    for answer in checkouts.join_all().await {
        if answer.status == StatusCode::CREATED {
            placed.push(answer.json);
        } else {
            let answer = answer.expect(StatusCode::CONFLICT);
            assert_eq!(answer.json["type"], "urn:problem-type:request-in-progress");
            assert!(answer.headers.contains_key("retry-after"));
        }
    }
    placed.push(place(&app, "k").await.expect(StatusCode::CREATED).json);
    placed.dedup();
    assert_eq!(placed.len(), 1, "all who were answered have the same order");
    assert_ordered_once(&app).await;
}

#[tokio::test]
async fn a_lost_answer_of_the_table_is_not_noticed() {
    for operation in ["PutItem", "TransactWriteItems"] {
        let app = two_of_ten().await;
        app.database.lose_answers(operation, 0..1);
        let placed = place(&app, "k").await.expect(StatusCode::CREATED);
        let again = place(&app, "k").await.expect(StatusCode::CREATED);
        assert!(is_replay(&again) && again.json == placed.json);
        assert_ordered_once(&app).await;
    }
}

/// The table carries everything out, and never answers: the client is told to try again, and then learns of its order.
#[tokio::test]
async fn an_order_that_was_written_unnoticed_is_answered_to_the_next_try() {
    let app = two_of_ten().await;
    app.database.lose_answers("TransactWriteItems", 0..100);
    let _unknown = place(&app, "k").await.expect(StatusCode::SERVICE_UNAVAILABLE);
    app.database.lose_answers("TransactWriteItems", 0..0);
    let placed = place(&app, "k").await.expect(StatusCode::CREATED);
    assert!(is_replay(&placed));
    assert_ordered_once(&app).await;
}

/// Lets `work` go on this many times, and then kills it; its answer where it was faster.
async fn killed_after<T>(steps: usize, work: impl Future<Output = T>) -> Option<T> {
    let mut work = std::pin::pin!(work);
    let mut left = steps;
    std::future::poll_fn(move |context| {
        if left == 0 {
            return Poll::Ready(None);
        }
        left -= 1;
        work.as_mut().poll(context).map(Some)
    })
    .await
}

/// Between any two calls of the table, from before the claim on.
#[tokio::test]
async fn a_function_that_dies_anywhere_leaves_one_order_to_the_next_try() {
    let (taken_over, replayed) = die_at_each_step(async |_| {}).await;
    assert!(taken_over > 0 && replayed > 0, "{taken_over} taken over, {replayed} replayed");
}

/// As above, and also between the work and the answer of the table, which takes its time.
#[tokio::test]
async fn a_function_that_dies_when_all_is_written_leaves_one_order_to_the_next_try() {
    let slow = async |app: &App| app.database.lose_answers("TransactWriteItems", 0..1);
    let (taken_over, replayed) = die_at_each_step(slow).await;
    assert!(taken_over > 0 && (replayed > 1 || !two_of_ten().await.database.is_embedded()), "{replayed}");
}

/// How often the next try took the key over, and how often it found the answer.
async fn die_at_each_step(prepare: impl AsyncFn(&App)) -> (usize, usize) {
    let (mut taken_over, mut replayed) = (0, 0);
    for steps in 1.. {
        let app = two_of_ten().await;
        prepare(&app).await;
        let survived = killed_after(steps, place(&app, "k")).await.is_some();
        let next = place(&app, "k").await;
        let next = if next.status == StatusCode::CONFLICT {
            assert_eq!(next.json["type"], "urn:problem-type:request-in-progress", "{steps}");
            app.state.clock.advance(LEASE - SignedDuration::from_secs(1));
            let _early = place(&app, "k").await.expect(StatusCode::CONFLICT);
            app.state.clock.advance(SignedDuration::from_secs(1));
            taken_over += 1;
            place(&app, "k").await
        } else {
            next
        };
        let next = next.expect(StatusCode::CREATED);
        replayed += usize::from(is_replay(&next));
        assert_ordered_once(&app).await;
        if survived {
            break;
        }
    }
    (taken_over, replayed)
}

/// A function that was only slow writes nothing, once another one has taken its key over.
#[tokio::test]
async fn who_was_replaced_orders_nothing() {
    let (mut late_refused, mut rounds) = (0, 0);
    for steps in 1.. {
        let app = two_of_ten().await;
        let mut slow = std::pin::pin!(place(&app, "k"));
        if killed_after(steps, slow.as_mut()).await.is_some() {
            break;
        }
        app.state.clock.advance(LEASE);
        let _taken_over = place(&app, "k").await.expect(StatusCode::CREATED);
        // Enough for another order, which must not come about.
        app.fill_cart(1, &[("tea", 2)]).await;
        let late = slow.await;
        late_refused += usize::from(late.status == StatusCode::CONFLICT);
        rounds += 1;
        let orders = app.get("/orders").await.json["items"].as_array().unwrap().len();
        assert_eq!((orders, app.stock("tea").await), (1, Some(8)), "{steps}: {late:?}");
    }
    assert!(late_refused > 0, "of {rounds}");
}
