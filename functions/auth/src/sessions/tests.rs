//! What happens to sessions when acts meet.

use http::{Method, StatusCode};
use jiff::SignedDuration;
use serde_json::{Value, json};
use shared::db::Key;
use tokio::task::yield_now;

use super::*;
use crate::model::{CUSTOMER, PasswordHash};
use crate::testing::{App, LoggedIn, PASSWORD, log};

fn alice() -> Username {
    "alice".to_owned().try_into().unwrap()
}

/// An account whose password was never hashed, which would be most of the time that these tests take.
async fn with_account() -> App {
    let app = App::new().await;
    let account = Account {
        user_id: Uuid::from_u128(1),
        username: alice(),
        password_hash: Some(PasswordHash("$argon2id$first".to_owned())),
        roles: vec![CUSTOMER.to_owned()],
        demo: false,
        activated: true,
        session_changes: 0,
        factor: None,
        devices: Vec::new(),
        created_at: app.clock.now(),
    };
    let mut transaction = app.accounts.transaction();
    transaction.add(app.accounts.create_write(&account).unwrap());
    transaction.run().await.unwrap();
    app
}

async fn account(app: &App) -> Account {
    app.accounts.account(&alice()).await.unwrap().unwrap()
}

async fn live(app: &App) -> Vec<Uuid> {
    let sessions = app.accounts.sessions(account(app).await.user_id).await.unwrap();
    sessions.into_iter().map(|session| session.session_id).collect()
}

async fn revocations(app: &App) -> usize {
    app.database.items::<Value>("RevocationTable").await.len()
}

#[expect(clippy::unnecessary_wraps, reason = "a change may say no")]
fn nothing(_: &mut Account) -> Result<Vec<TransactWriteItem>, Problem> {
    Ok(Vec::new())
}

#[expect(clippy::unnecessary_wraps, reason = "a change may say no")]
fn new_password(account: &mut Account) -> Result<Vec<TransactWriteItem>, Problem> {
    account.password_hash = Some(PasswordHash("$argon2id$another".to_owned()));
    Ok(Vec::new())
}

/// How many steps one of two acts waits, and the other one: every call of the table is a step.
fn head_starts() -> impl Iterator<Item = (u32, u32)> {
    (0..8).flat_map(|steps| [(steps, 0), (0, steps)])
}

async fn after<T>(steps: u32, act: impl Future<Output = T>) -> T {
    for _ in 0..steps {
        yield_now().await;
    }
    act.await
}

#[tokio::test]
async fn ending_all_but_one_revokes_the_others_and_changes_the_account_in_one_transaction() {
    log::start();
    let app = App::new().await;
    app.register("alice").await;
    let keep = app.log_in("alice").await;
    let keep = app.verifier.verify(&keep.access).await.unwrap().sid;
    for _ in 0..2 {
        app.log_in("alice").await;
    }
    let after = end_all(&app.state, &alice(), Some(keep), new_password, "password_changed").await.unwrap();
    assert_eq!(after, account(&app).await);
    assert_eq!((live(&app).await, revocations(&app).await), (vec![keep], 2));
    assert_eq!(after.password_hash, Some(PasswordHash("$argon2id$another".to_owned())));
    assert_eq!(log::events()[3..], ["session_revoked", "session_revoked"]);

    let nobody = "nobody".to_owned().try_into().unwrap();
    let unknown = end_all(&app.state, &nobody, None, nothing, "logout_all").await;
    assert!(matches!(unknown, Err(EndAllError::Unknown)));
}

#[tokio::test]
async fn where_the_change_or_a_write_of_it_fails_nothing_happens() {
    let app = App::new().await;
    app.register("alice").await;
    app.log_in("alice").await;
    let before = account(&app).await;
    let refused = end_all(&app.state, &alice(), None, |_| Err(()), "password_reset").await;
    assert!(matches!(refused, Err(EndAllError::Refused(()))));

    // A token that was used already, for one.
    let used = |account: &mut Account| {
        let key = Key::new("RESET#gone", "RESET");
        let delete = |delete: aws_sdk_dynamodb::types::builders::DeleteBuilder| {
            delete.condition_expression("attribute_exists(pk)")
        };
        let write = app.database.table("AuthTable").delete_write(&key, delete).unwrap();
        new_password(account).map(|_| vec![write])
    };
    let failed = end_all(&app.state, &alice(), None, used, "password_reset").await;
    assert!(matches!(failed, Err(EndAllError::Condition(cancelled)) if cancelled.failed(0)));
    assert_eq!((account(&app).await, live(&app).await.len(), revocations(&app).await), (before, 1, 0));
}

/// Of a login and a change of its password, whichever comes second sees the first.
#[tokio::test]
async fn no_session_that_an_old_password_opened_survives_a_new_one() {
    let alice = alice();
    for (one, two) in head_starts() {
        let app = with_account().await;
        let verified = account(&app).await;
        let login = start(&app.state, &verified, &verified, None, Vec::new());
        let change = end_all(&app.state, &alice, None, new_password, "password_changed");
        let (login, changed) = tokio::join!(biased; after(one, login), after(two, change));
        assert!(changed.is_ok() && matches!(login, Ok(_) | Err(StartError::Changed)));
        assert_eq!(live(&app).await, [] as [Uuid; 0], "{one} {two}");
        assert_eq!(revocations(&app).await, usize::from(login.is_ok()), "{one} {two}");
    }
}

#[tokio::test]
async fn a_login_is_ended_by_a_logout_everywhere_that_comes_after_it() {
    let alice = alice();
    for (one, two) in head_starts() {
        let app = with_account().await;
        let verified = account(&app).await;
        start(&app.state, &verified, &verified, None, Vec::new()).await.unwrap();
        let login = start(&app.state, &verified, &verified, None, Vec::new());
        let logout = end_all(&app.state, &alice, None, nothing, "logout_all");
        let (login, logout) = tokio::join!(biased; after(one, login), after(two, logout));
        assert!(login.is_ok());
        // The third change where the login came first, or else the second.
        let login_came_first = logout.unwrap().session_changes == 3;
        assert_eq!(live(&app).await.len(), usize::from(!login_came_first), "{one} {two}");
        assert_eq!(account(&app).await.session_changes, 3);
    }
}

#[tokio::test]
async fn a_login_whose_account_changed_is_verified_again() {
    let app = App::new().await;
    app.register("alice").await;
    let verified = account(&app).await;
    end_all(&app.state, &alice(), None, new_password, "password_changed").await.unwrap();
    let stale = start(&app.state, &verified, &verified, None, Vec::new()).await;
    assert!(matches!(stale, Err(StartError::Changed)));
    assert_eq!(live(&app).await.len(), 0);
}

#[tokio::test]
async fn logins_in_parallel_all_succeed_and_are_counted() {
    let app = App::with_demo_login().await;
    app.seed_demo("alice", &[]).await;
    let one = || app.log_in_demo("alice");
    let _all = tokio::join!(one(), one(), one(), one(), one(), one(), one(), one());
    assert_eq!((live(&app).await.len(), account(&app).await.session_changes), (8, 8));
}

#[tokio::test]
async fn a_login_whose_answer_got_lost_between_us_and_the_table_is_one_session() {
    let app = App::with_demo_login().await;
    app.seed_demo("alice", &[]).await;
    app.database.lose_answers("TransactWriteItems", 0..1);
    let login = app.log_in_demo("alice").await;
    let sid = app.verifier.verify(&login.access).await.unwrap().sid;
    assert_eq!((live(&app).await, account(&app).await.session_changes), (vec![sid], 1));
}

/// More sessions of the account, each newer than what is there.
async fn fill(app: &App, number: usize) {
    let account = account(app).await;
    for _ in 0..number {
        app.clock.advance(SignedDuration::from_secs(1));
        let now = app.clock.now();
        let secrets = NewSecrets { session_id: app.state.ids.uuid(now), family: [0; 16], secret: [0; 32] };
        let owner = (account.user_id, account.username.clone());
        let (session, _) = Session::start(owner, CLIENT, None, now, secrets);
        let mut transaction = app.accounts.transaction();
        transaction.add(app.accounts.start_write(&session).unwrap());
        transaction.run().await.unwrap();
    }
}

#[tokio::test]
async fn beyond_the_limit_a_login_ends_the_least_recently_used_session() {
    let app = App::with_demo_login().await;
    app.seed_demo("alice", &[]).await;
    let mut logins = Vec::new();
    for _ in 0..3 {
        app.clock.advance(SignedDuration::from_secs(1));
        logins.push(app.log_in_demo("alice").await);
    }
    fill(&app, MAX_SESSIONS - 3).await;
    assert_eq!((live(&app).await.len(), revocations(&app).await), (MAX_SESSIONS, 0));
    // The oldest is used, so that the second oldest is the least recently used.
    let refresh = |login: &LoggedIn| {
        let body = json!({"refresh_token": login.refresh});
        let app = &app;
        async move { app.post("/refresh", &body).await.status }
    };
    assert_eq!(refresh(&logins[0]).await, StatusCode::OK);
    app.log_in_demo("alice").await;
    assert_eq!((live(&app).await.len(), revocations(&app).await), (MAX_SESSIONS, 1));
    assert_eq!(refresh(&logins[1]).await, StatusCode::UNAUTHORIZED);
    assert_eq!(refresh(&logins[2]).await, StatusCode::OK);

    // More than one transaction can hold.
    let last = app.log_in_demo("alice").await;
    let _out = app.send(Method::POST, "/logout/all", &last.access).await.expect(StatusCode::NO_CONTENT);
    assert_eq!((live(&app).await.len(), revocations(&app).await), (0, MAX_SESSIONS + 2));
}

#[tokio::test]
async fn a_session_ends_once_and_is_revoked_with_it() {
    log::start();
    let app = App::new().await;
    app.register("alice").await;
    let login = app.log_in("alice").await;
    let claims = app.verifier.verify(&login.access).await.unwrap();
    let end = || end(&app.state, claims.sub, claims.sid, "logout");
    let (one, two) = tokio::join!(end(), end());
    assert_eq!(usize::from(one.unwrap()) + usize::from(two.unwrap()), 1);
    assert_eq!((live(&app).await.len(), revocations(&app).await), (0, 1));
    assert_eq!(log::events(), ["login_succeeded", "session_revoked"]);
}

#[tokio::test]
async fn a_refresh_token_leads_to_its_session_while_it_lives() {
    let app = App::new().await;
    app.register("alice").await;
    let login = app.log_in("alice").await;
    let claims = app.verifier.verify(&login.access).await.unwrap();
    let (session, presented) = of_token(&app.state, &login.refresh).await.unwrap().unwrap();
    assert_eq!((session.session_id, presented), (claims.sid, Presented::Current));
    let other = if login.refresh.as_bytes()[50] == b'A' { "B" } else { "A" };
    let foreign = format!("{}{other}{}", &login.refresh[..50], &login.refresh[51..]);
    for none in ["", PASSWORD, &login.access, &foreign] {
        assert!(of_token(&app.state, none).await.unwrap().is_none());
    }
    end(&app.state, claims.sub, claims.sid, "logout").await.unwrap();
    assert!(of_token(&app.state, &login.refresh).await.unwrap().is_none());
}
