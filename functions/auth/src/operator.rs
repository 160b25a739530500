//! What only an operator may do: give and take roles, make and delete OAuth clients, end somebody's or all sessions, take away a
//! second factor.
//!
//! The function `auth-operator` has no route: who may invoke it is for IAM to say. Locally `cargo local operator` runs the same
//! code. A command is a JSON object:
//!
//! ```json
//! { "command": "grant_role", "username": "alice", "role": "admin" }
//! { "command": "revoke_role", "username": "alice", "role": "admin" }
//! { "command": "end_sessions", "username": "alice" }
//! { "command": "end_all_sessions" }
//! { "command": "disable_factor", "username": "alice" }
//! { "command": "create_client", "client_id": "warehouse" }
//! { "command": "delete_client", "client_id": "warehouse" }
//! { "command": "list_clients" }
//! ```
//!
//! Each may be sent again: a role that is there is not granted twice, and a client that was made is not made anew, but
//! refused, because its secret is shown once and stored only as a hash.

use std::convert::Infallible;

use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::aws::Aws;
use shared::clock::Clock;
use shared::config::{ConfigError, Env};
use shared::db::{DbError, Table, TransactionError};
use shared::id::Generator;
use shared::problem::Problem;
use shared::token::RevocationLog;
use user::model::Username;

use crate::model::client::{ClientId, ClientSecret};
use crate::model::{Account, Role};
use crate::outbox::{self, FactorChange};
use crate::security::Event;
use crate::sessions::{EndAllError, end_all_in};
use crate::store::{AuthStore, Client, CreateClientError, GrantError};

/// What an operator wants.
#[derive(Debug, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// Gives a registered user a role; it is in the tokens from the next login or refresh on.
    GrantRole {
        /// Who.
        username: Username,
        /// Which.
        role: Role,
    },
    /// Takes a role from a user and ends the user's sessions, in one transaction: every service learns within 30 seconds that
    /// the tokens with the role are void.
    RevokeRole {
        /// Who.
        username: Username,
        /// Which.
        role: Role,
    },
    /// Ends all sessions of a user.
    EndSessions {
        /// Whose.
        username: Username,
    },
    /// Ends all sessions of all users: every service refuses their access tokens within 30 seconds, and no refresh token is
    /// good any more. For when it cannot be told whose tokens leaked.
    EndAllSessions {},
    /// Takes a user's second factor away, ends the user's sessions and tells the user, in one transaction: for who lost app and
    /// recovery codes, or whose thief enrolled one.
    DisableFactor {
        /// Whose.
        username: Username,
    },
    /// Makes a client that may introspect tokens, and shows its secret, this once.
    CreateClient {
        /// Its name.
        client_id: ClientId,
    },
    /// Deletes a client: it is refused from then on.
    DeleteClient {
        /// Its name.
        client_id: ClientId,
    },
    /// Lists all clients.
    ListClients {},
}

/// Why a command was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// The role was not granted.
    #[error(transparent)]
    Grant(#[from] GrantError),
    /// Nobody has this name.
    #[error("there is no such user")]
    UnknownUser,
    /// The client was not made.
    #[error(transparent)]
    CreateClient(#[from] CreateClientError),
    /// There is no client of this name.
    #[error("there is no such client")]
    UnknownClient,
    /// The table failed.
    #[error(transparent)]
    Db(#[from] DbError),
    /// The table failed while all sessions were to be ended.
    #[error(transparent)]
    Transaction(#[from] TransactionError),
    /// The table failed while sessions were to be ended; the log says more.
    #[error(transparent)]
    Sessions(Problem),
    /// The answer cannot be encoded.
    #[error("the answer cannot be encoded")]
    Encode(#[from] serde_json::Error),
}

impl OperatorError {
    /// Whether the same command may succeed later.
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Grant(GrantError::Db(error))
            | Self::CreateClient(CreateClientError::Db(error))
            | Self::Db(error) => matches!(error, DbError::Unavailable(_) | DbError::Conflict),
            Self::Transaction(TransactionError::Db(error)) => {
                matches!(error, DbError::Unavailable(_) | DbError::Conflict)
            }
            Self::Sessions(problem) => problem.status() == StatusCode::SERVICE_UNAVAILABLE,
            _ => false,
        }
    }

    fn from_sessions<E>(error: EndAllError<E>) -> Self {
        match error {
            EndAllError::Unknown => Self::UnknownUser,
            EndAllError::Failed(problem) => Self::Sessions(problem),
            EndAllError::Refused(_) | EndAllError::Condition(_) => Self::Sessions(Problem::unavailable(1)),
        }
    }
}

/// A new client, the only time that its secret is seen.
#[derive(Serialize)]
struct Created {
    client_id: ClientId,
    client_secret: ClientSecret,
}

/// Carries out commands.
#[derive(Debug, Clone)]
pub struct Operator {
    accounts: AuthStore,
    clock: Clock,
    ids: Generator,
}

impl Operator {
    /// Works on the tables that `AUTH_TABLE`, `AUTH_OUTBOX_TABLE` and `REVOCATION_TABLE` name. No key is read.
    pub fn new(env: &Env, aws: &Aws) -> Result<Self, ConfigError> {
        let table = |name| Ok::<_, ConfigError>(Table::new(aws.dynamodb(), env.required(name)?));
        let revocations = RevocationLog::new(table("REVOCATION_TABLE")?);
        let accounts = AuthStore::new(table("AUTH_TABLE")?, table("AUTH_OUTBOX_TABLE")?, revocations);
        Ok(Self::over(accounts, Clock::system(), Generator::system()))
    }

    /// Works on these tables.
    pub(crate) fn over(accounts: AuthStore, clock: Clock, ids: Generator) -> Self {
        Self { accounts, clock, ids }
    }

    /// Carries out the command; what to show to the operator.
    pub async fn run(&self, command: Command) -> Result<Value, OperatorError> {
        match command {
            Command::GrantRole { username, role } => self.grant_role(&username, role).await,
            Command::RevokeRole { username, role } => self.revoke_role(&username, role).await,
            Command::EndSessions { username } => self.end_sessions(&username).await,
            Command::EndAllSessions {} => self.end_all_sessions().await,
            Command::DisableFactor { username } => self.disable_factor(&username).await,
            Command::CreateClient { client_id } => self.create_client(client_id).await,
            Command::DeleteClient { client_id } => self.delete_client(&client_id).await,
            Command::ListClients {} => self.list_clients().await,
        }
    }

    async fn grant_role(&self, username: &Username, role: Role) -> Result<Value, OperatorError> {
        let account = self.accounts.grant_role(username, role.as_str()).await?;
        Event::RoleGranted.of(account.user_id).because(role.as_str()).log();
        Ok(shown(&account))
    }

    async fn revoke_role(&self, username: &Username, role: Role) -> Result<Value, OperatorError> {
        let take = |account: &mut Account| {
            let before = account.clone();
            account.roles.retain(|other| other != role.as_str());
            // Without the role there is nothing to end either.
            if account.roles == before.roles { Err(Box::new(before)) } else { Ok(Vec::new()) }
        };
        match end_all_in(&self.accounts, &self.clock, username, None, take, "role_revoked").await {
            Ok(account) => {
                Event::RoleRevoked.of(account.user_id).because(role.as_str()).log();
                Ok(shown(&account))
            }
            Err(EndAllError::Refused(account)) => Ok(shown(&account)),
            Err(error) => Err(OperatorError::from_sessions(error)),
        }
    }

    async fn end_sessions(&self, username: &Username) -> Result<Value, OperatorError> {
        let nothing = |_: &mut Account| Ok::<_, Infallible>(Vec::new());
        let ended =
            end_all_in(&self.accounts, &self.clock, username, None, nothing, "ended_by_operator").await;
        ended.map(|account| shown(&account)).map_err(OperatorError::from_sessions)
    }

    async fn end_all_sessions(&self) -> Result<Value, OperatorError> {
        let at = self.clock.now();
        let mut transaction = self.accounts.transaction();
        for write in self.accounts.end_all_writes(at)? {
            transaction.add(write);
        }
        transaction.run().await?;
        Event::AllSessionsRevoked.entry().because("ended_by_operator").log();
        Ok(json!({ "ended_at": at }))
    }

    async fn disable_factor(&self, username: &Username) -> Result<Value, OperatorError> {
        let now = self.clock.now();
        let take = |account: &mut Account| {
            // Without a factor there is nothing to end either.
            if account.factor.take().is_none() {
                return Err(Ok(Box::new(account.clone())));
            }
            let event =
                outbox::Event::FactorChanged { user_id: account.user_id, change: FactorChange::Disabled };
            Ok(vec![self.accounts.event_write(&event, self.ids.uuid(now), now).map_err(Err)?])
        };
        match end_all_in(&self.accounts, &self.clock, username, None, take, "factor_disabled").await {
            Ok(account) => {
                Event::FactorDisabled.of(account.user_id).because("operator").log();
                Ok(shown(&account))
            }
            Err(EndAllError::Refused(Ok(account))) => Ok(shown(&account)),
            Err(EndAllError::Refused(Err(error))) => Err(OperatorError::Db(error)),
            Err(error) => Err(OperatorError::from_sessions(error)),
        }
    }

    async fn create_client(&self, client_id: ClientId) -> Result<Value, OperatorError> {
        let client_secret = ClientSecret::new(self.ids.bytes());
        let secret_hash = client_secret.hash();
        let client = Client { client_id, secret_hash, created_at: self.clock.now() };
        self.accounts.create_client(&client).await?;
        Event::ClientCreated.entry().client(client.client_id.as_str()).log();
        Ok(serde_json::to_value(Created { client_id: client.client_id, client_secret })?)
    }

    async fn delete_client(&self, client_id: &ClientId) -> Result<Value, OperatorError> {
        if !self.accounts.delete_client(client_id).await? {
            return Err(OperatorError::UnknownClient);
        }
        Event::ClientDeleted.entry().client(client_id.as_str()).log();
        Ok(json!({ "client_id": client_id }))
    }

    async fn list_clients(&self) -> Result<Value, OperatorError> {
        let clients = self.accounts.clients().await?;
        let shown =
            |client: &Client| json!({ "client_id": client.client_id, "created_at": client.created_at });
        Ok(json!({ "clients": clients.iter().map(shown).collect::<Vec<_>>() }))
    }
}

/// What an operator sees of an account.
fn shown(account: &Account) -> Value {
    json!({ "username": account.username, "user_id": account.user_id, "roles": account.roles })
}

#[cfg(test)]
mod tests;
