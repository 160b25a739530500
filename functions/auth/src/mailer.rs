//! Sends the mails that the stream of the outbox gives reason to.
//!
//! One-time tokens are made here, so that whoever asks for one waits for nothing that depends on whether there is somebody
//! to send it to; only their hashes are stored. An event for which there is nobody to write to is done without a trace.
//!
//! **At least once.** An event is marked as done after SES took its mail, and an event that is marked is left alone. Who
//! dies in between, or does not learn whether SES took it, sends again: a second notice of a changed password is
//! better than none, and a second token does no harm (the first use of either voids the other of a reset, and the second
//! use of a verification changes nothing). Orders are told about at most once instead; nobody's account depends on them.
//!
//! What SES rejects is given up and logged, because another attempt ends the same and would hold up everybody else's mail;
//! anything else that fails is reported, so that Lambda delivers the record again, a bounded number of times, and then puts
//! it into the dead-letter queue.

use aws_lambda_events::event::dynamodb::EventRecord;
use http::StatusCode;
use shared::aws::Aws;
use shared::clock::Clock;
use shared::config::{ConfigError, Env};
use shared::db::{DbError, Table};
use shared::id::Generator;
use shared::mail::{Mail, Mailer, Ses};
use shared::problem::{Chain, Problem};
use shared::run::Failure;
use shared::sending::SendError;
use shared::token::{RevocationLog, issuer};
use user::model::{Email, Profile};
use user::store::UserStore;
use uuid::Uuid;

use crate::mails;
use crate::model::PasswordHash;
use crate::model::one_time::{OneTime, OneTimeToken, Purpose, fingerprint};
use crate::outbox::{Event, Recorded, Unreadable, Whose, from_record};
use crate::store::AuthStore;
use crate::throttle::{Kind, Subject, Throttle};

/// The worker.
#[derive(Debug, Clone)]
pub struct Worker<M> {
    /// Auth's tables.
    pub accounts: AuthStore,
    /// Where users are reached.
    pub users: UserStore,
    /// What sends.
    pub mailer: M,
    /// The public base URL of the API.
    pub api: String,
    /// Time.
    pub clock: Clock,
    /// Tokens.
    pub ids: Generator,
}

/// Why a record has to come again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The record is not what the outbox's stream brings.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// A table.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The bucket of the recipient cannot be taken from.
    #[error("mails to the recipient cannot be counted")]
    Throttle(#[from] Problem),
    /// The mail was not sent, or nobody knows.
    #[error(transparent)]
    Send(#[from] SendError),
}

impl Worker<Ses> {
    /// The worker of a running function: the tables that `AUTH_TABLE`, `AUTH_OUTBOX_TABLE` and `USER_TABLE` name, SES, and
    /// the public URL from the secret that `VERIFICATION_KEYS_SECRET` names.
    pub async fn new(env: &Env, aws: &Aws) -> Result<Self, Failure> {
        let table = |name| Ok::<_, ConfigError>(Table::new(aws.dynamodb(), env.required(name)?));
        let revocations = RevocationLog::new(table("REVOCATION_TABLE")?);
        Ok(Self {
            accounts: AuthStore::new(table("AUTH_TABLE")?, table("AUTH_OUTBOX_TABLE")?, revocations),
            users: UserStore::new(table("USER_TABLE")?),
            mailer: Ses::new(env, aws)?,
            api: issuer(env, aws.secrets_manager()).await?,
            clock: Clock::system(),
            ids: Generator::system(),
        })
    }
}

impl<M: Mailer> Worker<M> {
    /// Sends what the event of one record gives reason to, unless that was done.
    pub async fn process(&self, record: &EventRecord) -> Result<(), Error> {
        let Some(recorded) = from_record(record)? else { return Ok(()) };
        let id = recorded.id;
        if self.accounts.event_is_done(id).await? {
            return Ok(());
        }
        let Some((to, mail)) = self.compose(&recorded).await? else {
            tracing::info!(event_id = %id, "nobody to write to");
            return Ok(());
        };
        match self.mailer.send(to.as_str(), &mail).await {
            Ok(message_id) => tracing::info!(event_id = %id, message_id, "sent"),
            // This is how SES says, too, that the sender is not verified: nothing to be passed over in silence.
            Err(SendError::Rejected(reason)) if reason != "MessageRejected" => {
                tracing::error!(event_id = %id, reason, "rejected; will not be sent");
            }
            Err(error) => return Err(error.into()),
        }
        // The mail is gone: reporting a failure now would only send it once more.
        if let Err(error) = self.accounts.event_done(id, self.clock.now()).await {
            tracing::error!(event_id = %id, error = %Chain(&error), "what was sent cannot be noted");
        }
        Ok(())
    }

    async fn compose(&self, recorded: &Recorded) -> Result<Option<(Email, Mail)>, Error> {
        match &recorded.event {
            Event::EmailVerificationRequested { user_id } => self.email_verification(*user_id).await,
            Event::PasswordForgotten { whose } => self.password_reset(whose).await,
            Event::PasswordChanged { user_id } => {
                self.notice(*user_id, |profile| mails::password_changed(profile, &self.api)).await
            }
            Event::FactorChanged { user_id, change } => {
                self.notice(*user_id, |profile| mails::factor_changed(profile, *change, &self.api)).await
            }
            Event::EmailChanged { user_id, former } => {
                let profile = self.users.profile(*user_id).await?;
                Ok(profile.map(|profile| (former.clone(), mails::email_changed(&profile))))
            }
            Event::NewSignIn { user_id, device } => {
                self.notice(*user_id, |profile| mails::new_sign_in(profile, recorded.at, device, &self.api))
                    .await
            }
            Event::UserRegistered { .. } | Event::Nothing => Ok(None),
        }
    }

    async fn email_verification(&self, user_id: Uuid) -> Result<Option<(Email, Mail)>, Error> {
        let profile = self.users.profile(user_id).await?.filter(|profile| !profile.email_verified);
        let Some(profile) = profile else { return Ok(None) };
        let account = self.accounts.account(&profile.username).await?;
        let hash =
            account.filter(|account| account.user_id == user_id).and_then(|account| account.password_hash);
        let Some(hash) = hash else { return Ok(None) };
        // Anyone may register with anyone's address.
        let throttle = Throttle::new(self.accounts.clone(), self.clock.clone());
        let to = Subject::Name(profile.email.as_str());
        match throttle.take(Kind::VerificationMailTo, to).await {
            Ok(()) => {}
            Err(problem) if problem.status() == StatusCode::TOO_MANY_REQUESTS => return Ok(None),
            Err(problem) => return Err(problem.into()),
        }
        let token = self.token(Purpose::EmailVerification, &profile, &hash).await?;
        let mail = mails::email_verification(&profile, &token, &self.api);
        Ok(Some((profile.email, mail)))
    }

    /// To a verified address only: any other may be somebody else's.
    async fn password_reset(&self, whose: &Whose) -> Result<Option<(Email, Mail)>, Error> {
        let (user_id, named) = match whose {
            Whose::Username(username) => match self.accounts.account(username).await? {
                Some(account) => (account.user_id, None),
                None => return Ok(None),
            },
            Whose::Email(email) => match self.users.verified_owner(email).await? {
                Some(user_id) => (user_id, Some(email.folded())),
                None => return Ok(None),
            },
        };
        let profile = self.users.profile(user_id).await?.filter(|profile| profile.email_verified);
        let profile = profile.filter(|profile| named.is_none_or(|named| named == profile.email.folded()));
        let Some(profile) = profile else { return Ok(None) };
        let account = self.accounts.account(&profile.username).await?;
        // A demo user has no password, and must not get one.
        let hash =
            account.filter(|account| account.user_id == user_id).and_then(|account| account.password_hash);
        let Some(hash) = hash else { return Ok(None) };
        let token = self.token(Purpose::PasswordReset, &profile, &hash).await?;
        let mail = mails::password_reset(&profile, &token, &self.api);
        Ok(Some((profile.email, mail)))
    }

    async fn notice(
        &self,
        user_id: Uuid,
        mail: impl FnOnce(&Profile) -> Mail,
    ) -> Result<Option<(Email, Mail)>, Error> {
        let profile = self.users.profile(user_id).await?;
        Ok(profile.and_then(|profile| Some((profile.proven_email()?.clone(), mail(&profile)))))
    }

    /// A new token, good for the address that the profile has now, and while the password is the one of `hash`.
    async fn token(
        &self,
        purpose: Purpose,
        profile: &Profile,
        hash: &PasswordHash,
    ) -> Result<OneTimeToken, DbError> {
        let token = OneTimeToken::new(self.ids.bytes());
        let one_time = OneTime {
            user_id: profile.user_id,
            username: profile.username.clone(),
            email: profile.email.clone(),
            password: Some(fingerprint(hash)),
            expires_at: (self.clock.now() + purpose.lifetime()).as_second(),
        };
        self.accounts.put_one_time(purpose, &token, &one_time).await?;
        Ok(token)
    }
}

#[cfg(test)]
mod tests;
