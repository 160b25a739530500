//! Auth's tables: its own, its outbox, and the writing side of the revocations.
//!
//! `AuthTable`, which alone holds secrets, and those as hashes wherever a hash will do:
//!
//! | item | pk | sk |
//! |---|---|---|
//! | account | `ACCOUNT#<user name, lower case>` | `ACCOUNT` |
//! | OAuth client | `CLIENTS` | `CLIENT#<client id>` |
//! | session | `USER#<user id>` | `SESSION#<session id>` |
//! | when all sessions were ended | `SESSIONS` | `ENDED` |
//! | password reset | `RESET#<SHA-256 of the token, base64url>` | `RESET` |
//! | e-mail verification | `VERIFICATION#<SHA-256 of the token, base64url>` | `VERIFICATION` |
//! | throttle bucket | `BUCKET#<kind>#<SHA-256 of whose it is, base64url>` | `BUCKET` |
//!
//! An account's key is what makes user names unique, whatever their case.
//!
//! `AuthOutboxTable`, whose stream shows every item whole, so that no secret may be in it:
//!
//! | item | pk | sk |
//! |---|---|---|
//! | event | `EVENT#<UUIDv7>` | `EVENT` |

mod accounts;
mod buckets;
mod clients;
mod one_time;
mod outbox;
mod sessions;

use shared::db::{Table, Transaction};
use shared::token::RevocationLog;

pub use accounts::{DemoAccountError, GrantError};
pub(crate) use buckets::Take;
pub use clients::{Client, CreateClientError};

/// The only way to Auth's tables.
#[derive(Debug, Clone)]
pub struct AuthStore {
    table: Table,
    outbox: Table,
    revocations: RevocationLog,
}

impl AuthStore {
    /// The store over `AuthTable`, `AuthOutboxTable` and `RevocationTable`.
    pub fn new(table: Table, outbox: Table, revocations: RevocationLog) -> Self {
        Self { table, outbox, revocations }
    }

    /// The tables that the service cannot work without, for readiness probes.
    pub fn tables(&self) -> Vec<Table> {
        vec![self.table.clone(), self.outbox.clone()]
    }

    /// An empty transaction.
    pub fn transaction(&self) -> Transaction {
        Transaction::new(self.table.client())
    }
}
