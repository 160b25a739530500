//! One-time tokens.

use aws_sdk_dynamodb::types::TransactWriteItem;
use shared::db::{DbError, Key};

use super::AuthStore;
use crate::model::one_time::{OneTime, OneTimeToken, Purpose};

impl AuthStore {
    /// Keeps what a new token is good for.
    pub(crate) async fn put_one_time(
        &self,
        purpose: Purpose,
        token: &OneTimeToken,
        one_time: &OneTime,
    ) -> Result<(), DbError> {
        self.table.put(&key(purpose, token), one_time).await
    }

    /// What a token is good for, expired or not.
    pub(crate) async fn one_time(
        &self,
        purpose: Purpose,
        token: &OneTimeToken,
    ) -> Result<Option<OneTime>, DbError> {
        self.table.get(&key(purpose, token)).await
    }

    /// Uses a token up, in the transaction of what it is good for; fails where somebody else has.
    pub(crate) fn use_write(
        &self,
        purpose: Purpose,
        token: &OneTimeToken,
    ) -> Result<TransactWriteItem, DbError> {
        self.table
            .delete_write(&key(purpose, token), |delete| delete.condition_expression("attribute_exists(pk)"))
    }
}

fn key(purpose: Purpose, token: &OneTimeToken) -> Key {
    let kind = match purpose {
        Purpose::PasswordReset => "RESET",
        Purpose::EmailVerification => "VERIFICATION",
    };
    Key::new(format!("{kind}#{}", token.hash()), kind)
}
