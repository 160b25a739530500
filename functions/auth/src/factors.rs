//! Changes of an account's second factor.
//!
//! Whoever changes it proves again to be its owner, with all the factors that the account has (ASVS 5 §7.5.1), and every
//! wrong attempt counts like a wrong login. What a proof uses up and what it allows are one transaction, on condition that
//! password and factor are still what was verified: of two that use one code, one wins.

use aws_sdk_dynamodb::types::TransactWriteItem;
use http::StatusCode;
use shared::db::TransactionError;
use shared::http::ClientAddress;
use shared::problem::Problem;
use shared::token::Caller;
use user::model::Username;

use crate::State as App;
use crate::model::factor::Proof;
use crate::model::recovery_code::{RECOVERY_CODES, RecoveryCode};
use crate::model::{Account, EnabledFactor, Factor, Password};
use crate::outbox::{self, FactorChange};
use crate::security::Event;
use crate::throttle::{Kind, Permit, Subject};

/// How often a change is tried whose account changes under it.
const ATTEMPTS: u32 = 5;

/// Someone who changes the second factor.
pub(crate) struct Owner {
    pub(crate) caller: Caller,
    pub(crate) username: Username,
    pub(crate) address: ClientAddress,
    permit: Permit,
}

impl Owner {
    /// Leave to try once; a 429 where there were too many attempts at this account.
    pub(crate) async fn new(app: &App, caller: Caller, address: ClientAddress) -> Result<Self, Problem> {
        let permit = app.throttle.login(&caller.username, address).await?;
        let username = caller.username.clone().try_into();
        let username = username.map_err(|_| Problem::unauthorized(Some("invalid_token")))?;
        Ok(Self { caller, username, address, permit })
    }

    /// The account, if `password` opens it. A demo user has none, and so can never change a factor.
    pub(crate) async fn verify(&self, app: &App, password: Password) -> Result<Account, Problem> {
        let account = app.accounts.account(&self.username).await?;
        let account = account.filter(|account| account.user_id == self.caller.user_id);
        let account = account.ok_or_else(|| Problem::unauthorized(Some("invalid_token")))?;
        if !app.passwords.verify(password, account.password_hash.clone()).await? {
            return Err(self.refused("wrong_password"));
        }
        if matches!(account.factor, Some(Factor::Enabled(_))) {
            app.throttle.take(Kind::SecondFactor, Subject::Name(self.username.as_str())).await?;
        }
        Ok(account)
    }

    /// The same answer, whatever was wrong; `reason` is for the log.
    pub(crate) fn refused(&self, reason: &'static str) -> Problem {
        self.entry(Event::FactorRefused).because(reason).log();
        Problem::new(StatusCode::FORBIDDEN, "reauthentication-failed", "The password or the code is wrong")
    }

    /// It is done: logs the event, and the attempt was none of somebody who guesses.
    pub(crate) async fn done(self, event: Event) {
        self.entry(event).log();
        self.permit.give_back().await;
    }

    /// The factor of `account` without what `proof` uses up, where the account still has the password that was verified.
    pub(crate) fn use_up(
        &self,
        app: &App,
        account: &Account,
        verified: &Account,
        proof: &Proof,
    ) -> Result<EnabledFactor, Problem> {
        same_password(account, verified)?;
        let Some(Factor::Enabled(factor)) = &account.factor else {
            return Err(Problem::conflict(
                "factor-not-enabled",
                "There is no second factor",
                "Enrol one: POST /totp",
            ));
        };
        factor.without(proof, app.clock.now()).map_err(|reason| self.refused(reason))
    }

    /// The mail that tells the user of it (ASVS 5 §6.3.7).
    pub(crate) fn notice(&self, app: &App, change: FactorChange) -> Result<TransactWriteItem, Problem> {
        let now = app.clock.now();
        let event = outbox::Event::FactorChanged { user_id: self.caller.user_id, change };
        Ok(app.accounts.event_write(&event, app.ids.uuid(now), now)?)
    }

    fn entry(&self, event: Event) -> crate::security::Entry<'_> {
        event.of(self.caller.user_id).session(self.caller.session_id).from(self.address.0)
    }
}

/// Changes the account as `change` has it, in one transaction with the writes that `change` returns; where the account is not
/// what it was read as, from the start.
pub(crate) async fn change(
    app: &App,
    username: &Username,
    mut change: impl FnMut(&mut Account) -> Result<Vec<TransactWriteItem>, Problem>,
) -> Result<(), Problem> {
    for _ in 0..ATTEMPTS {
        let before = app.accounts.account(username).await?;
        let before = before.ok_or_else(|| Problem::unauthorized(Some("invalid_token")))?;
        let mut after = before.clone();
        let writes = change(&mut after)?;
        let mut transaction = app.accounts.transaction();
        let account = transaction.add(app.accounts.change_write(
            &before,
            &after,
            &["user_id", "password_hash"],
            false,
        )?);
        for write in writes {
            transaction.add(write);
        }
        match transaction.run().await {
            Ok(()) => return Ok(()),
            Err(TransactionError::Cancelled(cancelled)) if cancelled.failed(account) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(Problem::unavailable(1))
}

/// Another password than the one that was verified, or another hash of the same: it has to be verified again.
pub(crate) fn same_password(account: &Account, verified: &Account) -> Result<(), Problem> {
    let same = account.password_hash == verified.password_hash;
    if same { Ok(()) } else { Err(Problem::unavailable(1)) }
}

pub(crate) fn already_enabled() -> Problem {
    Problem::conflict(
        "factor-enabled",
        "There is a second factor already",
        "Disable it before you enrol another: POST /totp/disable",
    )
}

/// New recovery codes, all at once.
pub(crate) fn recovery_codes(app: &App) -> Vec<RecoveryCode> {
    (0..RECOVERY_CODES).map(|_| RecoveryCode::new(app.ids.bytes())).collect()
}
