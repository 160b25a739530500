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
mod tests;
