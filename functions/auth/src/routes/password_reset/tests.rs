//! Resets as users, and thieves of tokens, make them.

use jiff::SignedDuration;
use serde_json::{Value, json};
use shared::db::Key;
use shared::testing::Answer;
use user::store::ProfileChange;

use super::*;
use crate::testing::mailbox::Mailbox;
use crate::testing::{App, PASSWORD};

const ADDRESS: &str = "someone@example.com";
const NEW: &str = "an altogether new one";

/// `alice` with a verified address, and a reset token from a mail to it.
async fn forgotten() -> (App, String) {
    let app = App::new().await;
    app.register("alice").await;
    Mailbox::of(&app).verify(&app, ADDRESS).await;
    let token = mailed(&app).await;
    (app, token)
}

/// Another token.
async fn mailed(app: &App) -> String {
    let mailbox = Mailbox::of(app);
    let _accepted = app.post("/password/forgot", &json!({"username": "alice"})).await;
    mailbox.deliver(app).await;
    mailbox.tokens(ADDRESS).pop().expect("a mail")
}

async fn reset(app: &App, token: &str, password: &str) -> Answer {
    app.post("/password/reset", &json!({"token": token, "new_password": password})).await
}

async fn login(app: &App, password: &str) -> Answer {
    app.post("/login", &json!({"username": "alice", "password": password})).await
}

#[tokio::test]
async fn a_reset_sets_the_password_ends_every_session_and_logs_nobody_in() {
    let (app, token) = forgotten().await;
    let session = login(&app, PASSWORD).await.expect(StatusCode::OK);
    let answer = reset(&app, &token, NEW).await.expect(StatusCode::NO_CONTENT);
    assert!(answer.json.is_null() && !answer.headers.contains_key("set-cookie"));

    let refresh = json!({"refresh_token": session.json["refresh_token"]});
    assert_eq!(app.post("/refresh", &refresh).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(app.database.items::<Value>("RevocationTable").await.len(), 1, "its access tokens end too");
    assert_eq!(login(&app, PASSWORD).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(login(&app, NEW).await.status, StatusCode::OK);

    let mailbox = Mailbox::of(&app);
    mailbox.deliver(&app).await;
    assert_eq!(mailbox.sent(), [(ADDRESS.to_owned(), "Your password was changed".to_owned())]);
}

/// Whatever is wrong with a token, the answer does not tell.
#[tokio::test]
async fn every_bad_token_gets_one_answer_and_changes_nothing() {
    let (app, used) = forgotten().await;
    let superseded = mailed(&app).await;
    let _done = reset(&app, &used, NEW).await.expect(StatusCode::NO_CONTENT);
    let good = mailed(&app).await;
    let verification = verification_token(&app).await;
    let mut tampered = good.clone();
    tampered.replace_range(..1, if good.starts_with('A') { "B" } else { "A" });
    let before = reset(&app, "", PASSWORD).await.expect(StatusCode::BAD_REQUEST);
    assert_eq!(before.json["type"], "urn:problem-type:invalid-token");
    for token in
        [&used, &superseded, &tampered, &verification, &good[1..], &format!("{good}="), "x", "../../etc"]
    {
        let answer = reset(&app, token, PASSWORD).await;
        assert_eq!((answer.status, &answer.json), (before.status, &before.json), "{token}");
    }
    app.clock.advance(SignedDuration::from_mins(30));
    let answer = reset(&app, &good, PASSWORD).await;
    assert_eq!((answer.status, &answer.json), (before.status, &before.json), "expired, and not deleted yet");
    assert_eq!(login(&app, NEW).await.status, StatusCode::OK);
}

/// A token that is good, but not for this.
async fn verification_token(app: &App) -> String {
    let body = json!({"username": "bob", "password": PASSWORD, "email": "bob@example.com"});
    let _registered = app.post("/register", &body).await.expect(StatusCode::CREATED);
    let mailbox = Mailbox::of(app);
    mailbox.deliver(app).await;
    mailbox.tokens("bob@example.com").pop().expect("a mail")
}

#[tokio::test]
async fn a_token_lasts_half_an_hour() {
    let (app, token) = forgotten().await;
    app.clock.advance(SignedDuration::from_mins(30) - SignedDuration::from_secs(1));
    let _done = reset(&app, &token, NEW).await.expect(StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn a_password_that_is_refused_leaves_the_token_usable() {
    let (app, token) = forgotten().await;
    for (password, status) in [
        ("short", StatusCode::BAD_REQUEST),
        ("someone@example.com", StatusCode::UNPROCESSABLE_ENTITY),
        ("password1", StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        let answer = reset(&app, &token, password).await;
        assert_eq!((answer.status, &answer.json["field"]), (status, &json!("new_password")), "{password}");
    }
    let _done = reset(&app, &token, NEW).await.expect(StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn of_parallel_uses_of_one_token_one_sets_the_password() {
    let (app, token) = forgotten().await;
    let passwords = ["the first of three", "the second of three", "the third of three"];
    let [a, b, c] = passwords.map(|password| reset(&app, &token, password));
    let (a, b, c) = tokio::join!(a, b, c);
    let statuses = [a.status, b.status, c.status];
    let winners: Vec<_> =
        passwords.iter().zip(statuses).filter(|(_, status)| *status == StatusCode::NO_CONTENT).collect();
    assert_eq!(winners.len(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == StatusCode::BAD_REQUEST).count(), 2);
    for password in passwords {
        let opens = login(&app, password).await.status == StatusCode::OK;
        assert_eq!(opens, password == *winners[0].0, "{password}");
    }
}

/// Two tokens at once: whichever wins, the other was for a password that is no more.
#[tokio::test]
async fn of_two_tokens_at_once_one_sets_the_password() {
    let (app, first) = forgotten().await;
    let second = mailed(&app).await;
    let (a, b) =
        tokio::join!(reset(&app, &first, "the first of two"), reset(&app, &second, "the second of two"));
    let mut statuses = [a.status, b.status];
    statuses.sort();
    assert_eq!(statuses, [StatusCode::NO_CONTENT, StatusCode::BAD_REQUEST]);
}

/// Who lost the mailbox, and took the account elsewhere, is not to lose the account by a mail that is still there.
#[tokio::test]
async fn a_token_is_void_once_the_address_is_another() {
    let (app, token) = forgotten().await;
    let profile = app.users.profile(app.user_id("alice").await).await.unwrap().unwrap();
    let other = "other@example.com".to_owned().try_into().unwrap();
    assert!(
        app.users.change_email(&profile, &other, &ProfileChange::default(), app.clock.now()).await.unwrap()
    );
    let answer = reset(&app, &token, NEW).await.expect(StatusCode::BAD_REQUEST);
    assert_eq!(answer.json["type"], "urn:problem-type:invalid-token");
    assert_eq!(login(&app, PASSWORD).await.status, StatusCode::OK);
}

/// The transaction is all there is: with its answer lost, everything happened; the caller tries again and is told so.
#[tokio::test]
async fn a_reset_whose_answer_is_lost_happened_as_a_whole() {
    let (app, token) = forgotten().await;
    app.database.lose_answers("TransactWriteItems", 0..3);
    assert_eq!(reset(&app, &token, NEW).await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(reset(&app, &token, NEW).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(login(&app, NEW).await.status, StatusCode::OK);
    let hash = OneTimeToken::parse(&token).unwrap().hash();
    let row: Option<Value> =
        app.database.table("AuthTable").get(&Key::new(format!("RESET#{hash}"), "RESET")).await.unwrap();
    assert_eq!(row, None);
}
