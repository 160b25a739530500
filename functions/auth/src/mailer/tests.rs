//! The worker over the tests' database, with a sender that fails as told.

use aws_lambda_events::event::dynamodb::Event as Batch;
use http::StatusCode;
use jiff::SignedDuration;
use serde_json::{Value, json};
use shared::db::Key;
use shared::stream::handle_batch;
use shared::testing::record;
use user::store::ProfileChange;

use super::*;
use crate::outbox::FactorChange;
use crate::testing::mailbox::{Mailbox, records};
use crate::testing::{App, PASSWORD};

const ADDRESS: &str = "someone@example.com";

/// `alice`, whose address is verified, and an outbox that the mailer has not seen anything of.
async fn verified() -> (App, Mailbox) {
    let app = App::new().await;
    app.register("alice").await;
    let mailbox = Mailbox::of(&app);
    mailbox.verify(&app, ADDRESS).await;
    let mailbox = Mailbox::of(&app);
    (app, mailbox)
}

async fn forgot(app: &App, body: Value) {
    let _accepted = app.post("/password/forgot", &body).await.expect(StatusCode::ACCEPTED);
}

/// What Lambda would deliver again: the sequence number of the first record that failed.
async fn deliver(app: &App, mailbox: &Mailbox) -> Option<String> {
    let mut batch = Batch::default();
    batch.records = records(app).await;
    let answer = handle_batch(&batch, async |record| mailbox.worker.process(record).await).await;
    answer.batch_item_failures.into_iter().next().and_then(|failure| failure.item_identifier)
}

fn failed() -> SendError {
    SendError::Failed("TooManyRequestsException".to_owned())
}

#[tokio::test]
async fn a_registration_brings_a_mail_and_only_hashes_of_its_token_are_kept() {
    let app = App::new().await;
    app.register("alice").await;
    let mailbox = Mailbox::of(&app);
    mailbox.deliver(&app).await;
    assert_eq!(mailbox.sent(), [(ADDRESS.to_owned(), "Verify your e-mail address".to_owned())]);

    let [token] = <[String; 1]>::try_from(mailbox.tokens(ADDRESS)).unwrap();
    let hash = OneTimeToken::parse(&token).unwrap().hash();
    let mut kept = Vec::new();
    for table in ["AuthTable", "AuthOutboxTable", "UserTable"] {
        kept.extend(app.database.items::<Value>(table).await);
    }
    assert!(!json!(kept).to_string().contains(&token));
    let row = kept.iter().find(|item| item["pk"] == format!("VERIFICATION#{hash}")).unwrap();
    let day = SignedDuration::from_hours(24);
    assert_eq!(row["expires_at"], (app.clock.now() + day).as_second(), "DynamoDB deletes it");
}

#[tokio::test]
async fn a_record_that_comes_again_sends_nothing_again() {
    let (app, mailbox) = verified().await;
    forgot(&app, json!({"username": "Alice"})).await;
    for _ in 0..3 {
        assert_eq!(deliver(&app, &mailbox).await, None);
    }
    assert_eq!(mailbox.sent(), [(ADDRESS.to_owned(), "Set a new password".to_owned())]);
}

/// The window that is left: sent, and died before noting it. Both tokens work until one is used, and then neither.
#[tokio::test]
async fn two_mails_for_one_request_are_good_for_one_reset() {
    let (app, mailbox) = verified().await;
    forgot(&app, json!({"username": "alice"})).await;
    let unmarked = records(&app).await;
    mailbox.deliver(&app).await;
    let again = Mailbox::of(&app);
    let key = unmarked.last().unwrap().change.keys["pk"].clone();
    let serde_dynamo::AttributeValue::S(pk) = key else { panic!("{key:?}") };
    let mut item: Value =
        app.database.table("AuthOutboxTable").get(&Key::new(&pk, "EVENT")).await.unwrap().unwrap();
    item.as_object_mut().unwrap().remove("done_at").expect("it was marked");
    app.database.table("AuthOutboxTable").put(&Key::new(&pk, "EVENT"), &item).await.unwrap();
    again.deliver(&app).await;

    let tokens = [mailbox.tokens(ADDRESS), again.tokens(ADDRESS)].concat();
    assert!(tokens.len() == 2 && tokens[0] != tokens[1]);
    let reset = |token: &str| json!({"token": token, "new_password": "an altogether new one"});
    assert_eq!(app.post("/password/reset", &reset(&tokens[1])).await.status, StatusCode::NO_CONTENT);
    assert_eq!(app.post("/password/reset", &reset(&tokens[0])).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn while_ses_is_down_the_record_comes_again_and_what_follows_waits() {
    let (app, mailbox) = verified().await;
    forgot(&app, json!({"username": "alice"})).await;
    forgot(&app, json!({"email": ADDRESS})).await;
    let first = records(&app).await.len() - 2 + 100;
    mailbox.worker.mailer.failures.lock().unwrap().extend([failed(), failed()]);
    for _ in 0..2 {
        assert_eq!(deliver(&app, &mailbox).await, Some(first.to_string()));
        assert_eq!(mailbox.sent(), []);
    }
    assert_eq!(deliver(&app, &mailbox).await, None);
    assert_eq!(mailbox.sent().len(), 2);
}

#[tokio::test]
async fn a_mail_that_may_be_lost_is_sent_again_and_one_that_ses_rejects_is_not() {
    let (app, mailbox) = verified().await;
    forgot(&app, json!({"username": "alice"})).await;
    mailbox.worker.mailer.failures.lock().unwrap().push_back(SendError::Unknown("no answer in time"));
    assert!(deliver(&app, &mailbox).await.is_some());
    let rejected = |code: &str| {
        let error = SendError::Rejected(code.to_owned());
        mailbox.worker.mailer.failures.lock().unwrap().push_back(error);
    };
    rejected("MessageRejected");
    assert!(deliver(&app, &mailbox).await.is_some(), "the sender may be at fault, and an alarm should tell");
    rejected("BadRequestException");
    for _ in 0..2 {
        assert_eq!(deliver(&app, &mailbox).await, None);
        assert_eq!(mailbox.sent(), [], "rejected once and for all, and nobody waits for it");
    }
}

#[tokio::test]
async fn nobody_is_flooded_by_registrations_in_the_name_of_others() {
    let app = App::new().await;
    for n in 0..12 {
        app.register(&format!("user-{n}")).await;
    }
    let mailbox = Mailbox::of(&app);
    assert_eq!(deliver(&app, &mailbox).await, None);
    assert_eq!(mailbox.sent().len(), 10);
}

#[tokio::test]
async fn what_is_no_event_is_reported_and_marks_and_deletions_are_passed_over() {
    let app = App::new().await;
    let mailbox = Mailbox::of(&app);
    let key = Key::new("EVENT#x", "EVENT");
    for poison in
        [json!({}), json!({"id": "x"}), json!({"id": Uuid::nil(), "at": "?", "event": {"type": "nothing"}})]
    {
        let outcome = mailbox.worker.process(&record(&key, None, Some(&poison), 1)).await;
        assert!(matches!(outcome, Err(Error::Unreadable(Unreadable::NoEvent(_)))), "{poison}");
        for (old, new) in [(Some(&poison), Some(&poison)), (Some(&poison), None)] {
            mailbox.worker.process(&record(&key, old, new, 1)).await.unwrap();
        }
    }
    let unknown = json!({"id": Uuid::nil(), "at": app.clock.now(), "event": {"type": "unheard_of"}});
    mailbox.worker.process(&record(&key, None, Some(&unknown), 1)).await.unwrap_err();
    let newer = json!({"id": Uuid::nil(), "version": 2, "at": app.clock.now(), "event": {"type": "nothing"}});
    let outcome = mailbox.worker.process(&record(&key, None, Some(&newer), 1)).await;
    assert!(matches!(outcome, Err(Error::Unreadable(Unreadable::Version(2)))));
    // From before there were versions.
    let older = json!({"id": Uuid::nil(), "at": app.clock.now(), "event": {"type": "nothing"}});
    mailbox.worker.process(&record(&key, None, Some(&older), 1)).await.unwrap();
    assert_eq!(mailbox.sent(), []);
}

#[tokio::test]
async fn a_reset_mail_goes_to_a_verified_address_only() {
    let app = App::new().await;
    app.register("alice").await;
    app.seed_demo("mahindra", &[]).await;
    let mailbox = Mailbox::of(&app);
    mailbox.deliver(&app).await;
    let before = mailbox.sent();
    for body in [
        json!({"username": "nobody"}),
        json!({"username": "alice"}),
        json!({"username": "mahindra"}),
        json!({"email": ADDRESS}),
        json!({"email": "nobody@example.com"}),
    ] {
        forgot(&app, body).await;
    }
    mailbox.deliver(&app).await;
    assert_eq!(mailbox.sent(), before);
}

#[tokio::test]
async fn an_address_finds_its_owner_in_any_case() {
    let (app, mailbox) = verified().await;
    forgot(&app, json!({"email": "Someone@Example.com"})).await;
    mailbox.deliver(&app).await;
    assert_eq!((mailbox.sent().len(), mailbox.tokens(ADDRESS).len()), (1, 1));
}

#[tokio::test]
async fn notices_go_to_the_address_that_was_proven_last() {
    let (app, mailbox) = verified().await;
    let user_id = app.user_id("alice").await;
    let notify = async |event: Event| {
        let now = app.clock.now();
        app.accounts.put_event(&event, app.state.ids.uuid(now), now).await.unwrap();
        mailbox.deliver(&app).await;
        mailbox.sent().pop().unwrap()
    };
    let changed = || Event::PasswordChanged { user_id };
    assert_eq!(notify(changed()).await, (ADDRESS.to_owned(), "Your password was changed".to_owned()));

    let profile = app.users.profile(user_id).await.unwrap().unwrap();
    let thief = "thief@example.com".to_owned().try_into().unwrap();
    assert!(
        app.users.change_email(&profile, &thief, &ProfileChange::default(), app.clock.now()).await.unwrap()
    );
    let off = Event::FactorChanged { user_id, change: FactorChange::Disabled };
    assert_eq!(notify(off).await, (ADDRESS.to_owned(), "Your second factor is off".to_owned()));
}

#[tokio::test]
async fn the_outbox_holds_no_secret() {
    let (app, mailbox) = verified().await;
    forgot(&app, json!({"username": "alice"})).await;
    mailbox.deliver(&app).await;
    let token = mailbox.tokens(ADDRESS).remove(0);
    let reset = json!({"token": token, "new_password": "an altogether new one"});
    let _done = app.post("/password/reset", &reset).await.expect(StatusCode::NO_CONTENT);
    mailbox.deliver(&app).await;

    let items = json!(app.database.items::<Value>("AuthOutboxTable").await).to_string();
    for kind in ["email_verification_requested", "password_forgotten", "password_changed", "done_at"] {
        assert!(items.contains(kind), "{kind}: {items}");
    }
    let hash = OneTimeToken::parse(&token).unwrap().hash();
    for secret in [PASSWORD, "an altogether new one", "argon2", &token, &hash] {
        assert!(!items.contains(secret), "{secret}: {items}");
    }
}
