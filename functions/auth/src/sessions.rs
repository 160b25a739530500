//! The life of sessions: started by a login, kept by refreshes, ended one by one or together.
//!
//! Each act is one conditional write or one transaction, the last thing that can fail: whoever dies before it has done
//! nothing, and whoever dies after it, or is not heard, has done all; doing it again does no harm.
//!
//! - A login counts up the account's `session_changes` on condition that the password is still the one that was verified.
//! - Ending several sessions reads the account, then the sessions, and writes on condition that `session_changes` is as it
//!   was read. So no session slips through that is started meanwhile, and of a password change and a login with the old
//!   password only one can win.

use aws_sdk_dynamodb::types::TransactWriteItem;
use jiff::Timestamp;
use shared::clock::Clock;
use shared::db::{Cancelled, DbError, Transaction, TransactionError};
use shared::problem::Problem;
use user::model::Username;
use uuid::Uuid;

use crate::State as App;
use crate::model::Account;
use crate::model::session::{NewSecrets, Presented, RefreshToken, Session};
use crate::security::Event;
use crate::store::AuthStore;
use crate::tokens::{self, CLIENT, Tokens};

/// A login beyond so many sessions ends the least recently used ones.
const MAX_SESSIONS: usize = 100;
/// How many sessions one transaction ends: each takes two of its 100 actions, the account one, and callers add theirs.
const PER_TRANSACTION: usize = 40;
/// How often an act whose condition does not hold is tried anew from what is there now.
const ATTEMPTS: u32 = 10;

/// Why a session was not started.
#[derive(Debug)]
pub(crate) enum StartError {
    /// The account is not what was verified any more: look at it again.
    Changed,
    /// The table or the signing key failed.
    Failed(Problem),
}

/// Why a refresh was refused.
#[derive(Debug)]
pub(crate) enum RefreshError {
    /// The token is none, or of a session that has ended: log in again (`invalid_grant`, RFC 6749 §5.2).
    Invalid,
    /// The table or the signing key failed; the same token may succeed later.
    Failed(Problem),
}

/// Why several sessions were not ended.
#[derive(Debug)]
pub(crate) enum EndAllError<E> {
    /// Nobody has this name.
    Unknown,
    /// The change of the account said no.
    Refused(E),
    /// A condition of the change's own writes does not hold; they have the indices in which `change` returned them.
    Condition(Cancelled),
    /// The table failed; nothing of the change was written, unless the answer was lost.
    Failed(Problem),
}

/// Starts a session for the account that was read and verified as `verified`, and writes what that changed in it (`after`;
/// a one-time code is used up, for one), and the `writes` that belong to it. Where the account is not as it was read in what
/// `after` changes, or has another password or second factor, it is [`StartError::Changed`] and nothing happened.
pub(crate) async fn start(
    app: &App,
    verified: &Account,
    after: &Account,
    device: Option<String>,
    writes: Vec<TransactWriteItem>,
) -> Result<Tokens, StartError> {
    let now = app.clock.now();
    let secrets =
        NewSecrets { session_id: app.ids.uuid(now), family: app.ids.bytes(), secret: app.ids.bytes() };
    let owner = (verified.user_id, verified.username.clone());
    let (session, token) = Session::start(owner, CLIENT, device, now, secrets);
    let tokens = tokens::issue(app, verified, &session, &token).await?;

    let others = app.accounts.sessions(verified.user_id).await?;
    let surplus = others.get(MAX_SESSIONS - 1..).unwrap_or_default();
    // Logins in parallel may leave more than this transaction can take; the next one ends them.
    let surplus = &surplus[surplus.len().saturating_sub(PER_TRANSACTION)..];

    let mut transaction = app.accounts.transaction();
    // The roles too: they are in the token, and whoever takes one ends the sessions that have it.
    let unchanged = ["user_id", "password_hash", "demo", "roles", "factor"];
    let account = transaction.add(app.accounts.change_write(verified, after, &unchanged, true)?);
    transaction.add(app.accounts.start_write(&session)?);
    for write in writes {
        transaction.add(write);
    }
    add_ends(&app.accounts, &mut transaction, surplus, now)?;
    match transaction.run().await {
        Ok(()) => {}
        Err(TransactionError::Cancelled(cancelled)) if cancelled.failed(account) => {
            return Err(StartError::Changed);
        }
        Err(error) => return Err(StartError::Failed(error.into())),
    }
    log_ends(surplus, "too_many_sessions");
    Event::LoginSucceeded.of(session.user_id).session(session.session_id).log();
    Ok(tokens)
}

/// Exchanges a refresh token for its successor and a new access token, for the client that the session belongs to.
pub(crate) async fn refresh(app: &App, presented: &str, client_id: &str) -> Result<Tokens, RefreshError> {
    let Some(token) = RefreshToken::parse(presented) else {
        Event::RefreshRefused.entry().because("malformed").log();
        return Err(RefreshError::Invalid);
    };
    for _ in 0..ATTEMPTS {
        let refused = |reason| {
            Event::RefreshRefused.of(token.user_id).session(token.session_id).because(reason).log();
            Err(RefreshError::Invalid)
        };
        let now = app.clock.now();
        let Some(session) = app.accounts.session(token.user_id, token.session_id).await? else {
            // Ids that belong to nobody are what somebody typed.
            Event::RefreshRefused.entry().because("unknown_session").log();
            return Err(RefreshError::Invalid);
        };
        let presented = session.classify(&token, now);
        if presented == Presented::Foreign {
            return refused("foreign_token");
        }
        if session.is_over(now) {
            return refused("session_over");
        }
        if session.client_id != client_id {
            return refused("another_client");
        }
        if presented == Presented::Reused {
            Event::RefreshReused.of(session.user_id).session(session.session_id).log();
            end(app, session.user_id, session.session_id, "refresh_token_reused").await?;
            return Err(RefreshError::Invalid);
        }
        let account = app.accounts.account(&session.username).await?;
        let account = account.filter(|account| account.user_id == session.user_id);
        let Some(account) = account.filter(|account| !account.demo || account.opens_without_password())
        else {
            return refused("unknown_account");
        };
        let (rotated, successor) = if presented == Presented::Previous {
            (None, session.repeat(&token))
        } else {
            let (rotated, successor) = session.rotate(&token, app.ids.bytes(), now);
            (Some(rotated), Some(successor))
        };
        let Some(successor) = successor else { return refused("no_successor") };
        // Signed before the rotation is written: were it to fail afterwards, the old token would be used up for nothing.
        let session = rotated.as_ref().unwrap_or(&session);
        let tokens = tokens::issue(app, &account, session, &successor).await?;
        let event = match &rotated {
            None => Event::RefreshRepeated,
            Some(rotated) if app.accounts.rotate(rotated, &token).await? => Event::Refreshed,
            // Another refresh was faster, or the session has ended; or this very write was, and its answer got lost.
            Some(_) => continue,
        };
        event.of(session.user_id).session(session.session_id).log();
        return Ok(tokens);
    }
    Err(RefreshError::Failed(Problem::unavailable(1)))
}

/// The session of a refresh token, and what the token is to it; `None` where the token is foreign to it or it has ended.
/// Nothing is used up.
pub(crate) async fn of_token(app: &App, presented: &str) -> Result<Option<(Session, Presented)>, DbError> {
    let Some(token) = RefreshToken::parse(presented) else { return Ok(None) };
    let now = app.clock.now();
    let session = app.accounts.session(token.user_id, token.session_id).await?;
    let session = session.filter(|session| !session.is_over(now));
    let classified = session.map(|session| {
        let presented = session.classify(&token, now);
        (session, presented)
    });
    Ok(classified.filter(|(_, presented)| *presented != Presented::Foreign))
}

/// Ends one session and revokes its access tokens, in one transaction; `reason` is for the log. False where there is none.
pub(crate) async fn end(
    app: &App,
    user_id: Uuid,
    session_id: Uuid,
    reason: &'static str,
) -> Result<bool, TransactionError> {
    let mut transaction = app.accounts.transaction();
    for write in app.accounts.end_writes((user_id, session_id), app.clock.now(), true)? {
        transaction.add(write);
    }
    match transaction.run().await {
        Ok(()) => {
            Event::SessionRevoked.of(user_id).session(session_id).because(reason).log();
            Ok(true)
        }
        Err(TransactionError::Cancelled(_)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Ends every session of a user but `keep`, revokes their access tokens, and changes the account, all in one transaction.
///
/// `change` gets the account as it is now; it changes what it will, and returns the writes of other items that belong to
/// the act, at most 15. It may say no, and is asked again where something happened in between. `reason` is for the log.
///
/// A user may have more sessions than one transaction can end ([`PER_TRANSACTION`]). Then the least recently used ones are
/// ended by transactions before it: whoever dies in between has ended some of what was to be ended, and changed nothing. So
/// has a change whose own writes fail; whether they can succeed is to be looked at before.
pub(crate) async fn end_all<E>(
    app: &App,
    username: &Username,
    keep: Option<Uuid>,
    change: impl FnMut(&mut Account) -> Result<Vec<TransactWriteItem>, E>,
    reason: &'static str,
) -> Result<Account, EndAllError<E>> {
    end_all_in(&app.accounts, &app.clock, username, keep, change, reason).await
}

/// [`end_all`] for whoever has the tables and no keys.
pub(crate) async fn end_all_in<E>(
    accounts: &AuthStore,
    clock: &Clock,
    username: &Username,
    keep: Option<Uuid>,
    mut change: impl FnMut(&mut Account) -> Result<Vec<TransactWriteItem>, E>,
    reason: &'static str,
) -> Result<Account, EndAllError<E>> {
    for _ in 0..ATTEMPTS {
        // In this order: what starts after the account was read, it counts.
        let Some(before) = accounts.account(username).await? else { return Err(EndAllError::Unknown) };
        let mut sessions = accounts.sessions(before.user_id).await?;
        sessions.retain(|session| Some(session.session_id) != keep);
        let mut after = before.clone();
        let writes = change(&mut after).map_err(EndAllError::Refused)?;
        after.session_changes += 1;

        let now = clock.now();
        let surplus = sessions.split_off(sessions.len().min(PER_TRANSACTION));
        for chunk in surplus.rchunks(PER_TRANSACTION) {
            let mut transaction = accounts.transaction();
            add_ends(accounts, &mut transaction, chunk, now)?;
            transaction.run().await?;
            log_ends(chunk, reason);
        }

        let mut transaction = accounts.transaction();
        for write in writes {
            transaction.add(write);
        }
        let account = transaction.add(accounts.change_write(&before, &after, &["user_id"], false)?);
        add_ends(accounts, &mut transaction, &sessions, now)?;
        match transaction.run().await {
            Ok(()) => {
                log_ends(&sessions, reason);
                return Ok(after);
            }
            // The account first: where it changed, the caller's writes may rest on what it was.
            Err(TransactionError::Cancelled(cancelled)) if cancelled.failed(account) => {}
            Err(TransactionError::Cancelled(cancelled)) => return Err(EndAllError::Condition(cancelled)),
            Err(error) => return Err(error.into()),
        }
    }
    Err(EndAllError::Failed(Problem::unavailable(1)))
}

fn add_ends(
    accounts: &AuthStore,
    transaction: &mut Transaction,
    sessions: &[Session],
    now: Timestamp,
) -> Result<(), DbError> {
    for session in sessions {
        for write in accounts.end_writes((session.user_id, session.session_id), now, false)? {
            transaction.add(write);
        }
    }
    Ok(())
}

fn log_ends(sessions: &[Session], reason: &'static str) {
    for session in sessions {
        Event::SessionRevoked.of(session.user_id).session(session.session_id).because(reason).log();
    }
}

impl From<DbError> for StartError {
    fn from(error: DbError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<Problem> for StartError {
    fn from(problem: Problem) -> Self {
        Self::Failed(problem)
    }
}

impl From<DbError> for RefreshError {
    fn from(error: DbError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<TransactionError> for RefreshError {
    fn from(error: TransactionError) -> Self {
        Self::Failed(error.into())
    }
}

impl From<Problem> for RefreshError {
    fn from(problem: Problem) -> Self {
        Self::Failed(problem)
    }
}

impl From<EndAllError<Self>> for Problem {
    fn from(error: EndAllError<Self>) -> Self {
        match error {
            // The caller's account is gone, and what is left of it is a token.
            EndAllError::Unknown => Self::unauthorized(Some("invalid_token")),
            EndAllError::Refused(problem) | EndAllError::Failed(problem) => problem,
            EndAllError::Condition(cancelled) => TransactionError::Cancelled(cancelled).into(),
        }
    }
}

impl<E> From<DbError> for EndAllError<E> {
    fn from(error: DbError) -> Self {
        Self::Failed(error.into())
    }
}

impl<E> From<TransactionError> for EndAllError<E> {
    fn from(error: TransactionError) -> Self {
        Self::Failed(error.into())
    }
}

#[cfg(test)]
mod tests {
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
        let after =
            end_all(&app.state, &alice(), Some(keep), new_password, "password_changed").await.unwrap();
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
            let secrets =
                NewSecrets { session_id: app.state.ids.uuid(now), family: [0; 16], secret: [0; 32] };
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
}
