//! User's table.
//!
//! | item | pk | sk |
//! |---|---|---|
//! | profile | `USER#<user id>` | `PROFILE` |
//! | address | `USER#<user id>` | `ADDRESS#<address id>` |

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, Select, TransactWriteItem};
use jiff::Timestamp;
use shared::db::{DbError, Key, Table, from_item, retry_conflicts, to_item};
use shared::page::{Page, PageQuery};
use shared::text::Text;
use uuid::Uuid;

use crate::model::{Address, Email, Phone, Profile};

/// What a change of a profile may change; `Some(None)` removes.
#[derive(Debug, Clone, Default)]
pub struct ProfileChange {
    /// Another address for mail.
    pub email: Option<Email>,
    /// Another number, or none.
    pub phone: Option<Option<Phone>>,
    /// Another name, or none.
    pub name: Option<Option<Text<100>>>,
}

/// The only way to User's table.
#[derive(Debug, Clone)]
pub struct UserStore {
    table: Table,
}

impl UserStore {
    /// The store over `table`.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// The table, for readiness probes.
    pub fn table(&self) -> Table {
        self.table.clone()
    }

    /// The profile, where the user has one.
    pub async fn profile(&self, user_id: Uuid) -> Result<Option<Profile>, DbError> {
        self.table.get(&profile_key(user_id)).await
    }

    /// Writes the profile of a new user, in the transaction of the registration; fails where there is one.
    pub fn create_write(&self, profile: &Profile) -> Result<TransactWriteItem, DbError> {
        self.table.put_write(&profile_key(profile.user_id), profile, "attribute_not_exists(pk)")
    }

    /// Writes a profile, whatever was there before.
    pub async fn put_profile(&self, profile: &Profile) -> Result<(), DbError> {
        self.table.put(&profile_key(profile.user_id), profile).await
    }

    /// Changes just what `change` names, so that two changes at once both last; the profile after it, none where the
    /// user has no profile.
    pub async fn change_profile(
        &self,
        user_id: Uuid,
        change: &ProfileChange,
        at: Timestamp,
    ) -> Result<Option<Profile>, DbError> {
        let mut set = vec!["updated_at = :at"];
        let mut remove = Vec::new();
        let mut values = vec![(":at", at.to_string())];
        if let Some(email) = &change.email {
            set.push("email = :email");
            values.push((":email", email.as_str().to_owned()));
        }
        match &change.phone {
            Some(Some(phone)) => {
                set.push("phone = :phone");
                values.push((":phone", phone.as_str().to_owned()));
            }
            Some(None) => remove.push("phone"),
            None => {}
        }
        match &change.name {
            Some(Some(name)) => {
                set.push("#name = :name");
                values.push((":name", name.as_str().to_owned()));
            }
            Some(None) => remove.push("#name"),
            None => {}
        }
        let mut expression = format!("SET {}", set.join(", "));
        if !remove.is_empty() {
            expression = format!("{expression} REMOVE {}", remove.join(", "));
        }
        let outcome = retry_conflicts(|| async {
            let mut update = self
                .table
                .client()
                .update_item()
                .table_name(self.table.name())
                .set_key(Some(profile_key(user_id).attributes()))
                .update_expression(&expression)
                .condition_expression("attribute_exists(pk)")
                .return_values(ReturnValue::AllNew);
            if expression.contains("#name") {
                update = update.expression_attribute_names("#name", "name");
            }
            for (name, value) in &values {
                update = update.expression_attribute_values(*name, AttributeValue::S(value.clone()));
            }
            Ok(update.send().await?.attributes)
        })
        .await;
        match outcome {
            Ok(item) => item.map(from_item).transpose(),
            Err(DbError::ConditionFailed) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// One of the user's addresses.
    pub async fn address(&self, user_id: Uuid, address_id: Uuid) -> Result<Option<Address>, DbError> {
        self.table.get(&address_key(user_id, address_id)).await
    }

    /// The user's addresses, newest first.
    pub async fn addresses(&self, user_id: Uuid, page: &PageQuery) -> Result<Page<Address>, DbError> {
        self.table.page(&partition(user_id), ADDRESS, page).await
    }

    /// How many addresses the user has.
    pub async fn count_addresses(&self, user_id: Uuid) -> Result<usize, DbError> {
        let query = self
            .table
            .client()
            .query()
            .table_name(self.table.name())
            .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
            .expression_attribute_values(":pk", AttributeValue::S(partition(user_id)))
            .expression_attribute_values(":prefix", AttributeValue::S(ADDRESS.to_owned()))
            .select(Select::Count)
            .consistent_read(true);
        Ok(usize::try_from(query.send().await?.count).unwrap_or_default())
    }

    /// Adds an address.
    pub async fn add_address(&self, user_id: Uuid, address: &Address) -> Result<(), DbError> {
        self.table.put(&address_key(user_id, address.id), address).await
    }

    /// Replaces an address; whether it was there.
    pub async fn replace_address(&self, user_id: Uuid, address: &Address) -> Result<bool, DbError> {
        let item = to_item(&address_key(user_id, address.id), address)?;
        let put = self.table.client().put_item().table_name(self.table.name()).set_item(Some(item));
        match put.condition_expression("attribute_exists(pk)").send().await.map_err(DbError::from) {
            Ok(_) => Ok(true),
            Err(DbError::ConditionFailed) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Deletes an address; whether it was there.
    pub async fn delete_address(&self, user_id: Uuid, address_id: Uuid) -> Result<bool, DbError> {
        self.table.delete(&address_key(user_id, address_id)).await
    }
}

const ADDRESS: &str = "ADDRESS#";

fn partition(user_id: Uuid) -> String {
    format!("USER#{user_id}")
}

fn profile_key(user_id: Uuid) -> Key {
    Key::new(partition(user_id), "PROFILE")
}

fn address_key(user_id: Uuid, address_id: Uuid) -> Key {
    Key::new(partition(user_id), format!("{ADDRESS}{address_id}"))
}
