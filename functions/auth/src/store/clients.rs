//! OAuth clients: resource servers outside, which ask about tokens.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shared::db::{DbError, Key, retry_conflicts, to_item};
use shared::page::PageQuery;

use super::AuthStore;
use crate::model::client::{ClientId, SecretHash};

/// All clients are one partition, so that they can be listed; there are few.
const CLIENTS: &str = "CLIENTS";
const PREFIX: &str = "CLIENT#";

/// A client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// Its name.
    pub client_id: ClientId,
    /// The hash of its secret.
    pub secret_hash: SecretHash,
    /// When an operator made it.
    pub created_at: Timestamp,
}

/// Why a client was not made.
#[derive(Debug, thiserror::Error)]
pub enum CreateClientError {
    /// Another has this id.
    #[error("there is a client with this client_id already; its secret cannot be shown again")]
    Taken,
    /// The table failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl AuthStore {
    /// The client with this id, read consistently: one that was deleted is gone at once.
    pub(crate) async fn client(&self, client_id: &ClientId) -> Result<Option<Client>, DbError> {
        self.table.get(&key(client_id)).await
    }

    /// Writes a new client.
    pub(crate) async fn create_client(&self, client: &Client) -> Result<(), CreateClientError> {
        let item = to_item(&key(&client.client_id), client)?;
        let outcome = retry_conflicts(|| async {
            let put = self.table.client().put_item().table_name(self.table.name());
            let put = put.set_item(Some(item.clone())).condition_expression("attribute_not_exists(pk)");
            put.send().await?;
            Ok(())
        });
        match outcome.await {
            Err(DbError::ConditionFailed) => Err(CreateClientError::Taken),
            outcome => Ok(outcome?),
        }
    }

    /// Deletes a client; whether there was one.
    pub(crate) async fn delete_client(&self, client_id: &ClientId) -> Result<bool, DbError> {
        self.table.delete(&key(client_id)).await
    }

    /// All clients, read consistently.
    pub(crate) async fn clients(&self) -> Result<Vec<Client>, DbError> {
        let mut clients = Vec::new();
        let mut query = PageQuery::default();
        loop {
            let page = self.table.page(CLIENTS, PREFIX, &query).await?;
            clients.extend(page.items);
            match page.next_cursor {
                Some(cursor) => query.cursor = Some(cursor),
                None => return Ok(clients),
            }
        }
    }
}

fn key(client_id: &ClientId) -> Key {
    Key::new(CLIENTS, format!("{PREFIX}{}", client_id.as_str()))
}
