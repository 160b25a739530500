//! Accounts.

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, TransactWriteItem};
use jiff::Timestamp;
use shared::db::{DbError, Key, from_item, retry_conflicts, to_item};
use user::model::Username;
use uuid::Uuid;

use super::AuthStore;
use crate::model::{Account, CUSTOMER};

/// Why a demo account was not written.
#[derive(Debug, thiserror::Error)]
pub enum DemoAccountError {
    /// The name belongs to somebody who registered, or to another demo user.
    #[error("the user name is taken")]
    Taken,
    /// The table failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Why a role was not granted.
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    /// Nobody has this name.
    #[error("there is no such user")]
    Unknown,
    /// Demo users log in without a password: a role would be anybody's.
    #[error("a demo user cannot have a role; register a user with a password")]
    Demo,
    /// The table failed.
    #[error(transparent)]
    Db(#[from] DbError),
}

impl AuthStore {
    /// The account of this name, in any case.
    pub async fn account(&self, username: &Username) -> Result<Option<Account>, DbError> {
        self.table.get(&key(username)).await
    }

    /// Writes a new account, in the transaction of the registration; fails where the name is taken.
    pub fn create_write(&self, account: &Account) -> Result<TransactWriteItem, DbError> {
        self.table.put_write(&key(&account.username), account, "attribute_not_exists(pk)")
    }

    /// Changes an account that was read as `before` to `after`, in a transaction; fails where one of the attributes that
    /// change, or of those named in `unchanged`, is not as it was read. With `started`, it counts a session that is started
    /// by the same transaction; what else is in flight does not disturb that.
    pub fn change_write(
        &self,
        before: &Account,
        after: &Account,
        unchanged: &[&str],
        started: bool,
    ) -> Result<TransactWriteItem, DbError> {
        let key = key(&before.username);
        let (before, mut after) = (to_item(&key, before)?, to_item(&key, after)?);
        let mut names: Vec<_> = before.keys().chain(after.keys()).map(String::as_str).collect();
        names.sort_unstable();
        names.dedup();
        names.retain(|name| before.get(*name) != after.get(*name) || unchanged.contains(name));
        let names: Vec<_> = names.into_iter().map(str::to_owned).collect();

        // An update would make the account of whoever is gone.
        let mut conditions = vec!["attribute_exists(pk)".to_owned()];
        let (mut set, mut remove) = (Vec::new(), Vec::new());
        self.table.update_write(&key, |mut update| {
            for (index, name) in names.iter().enumerate() {
                update = update.expression_attribute_names(format!("#n{index}"), name);
                let (old, new) = (before.get(name), after.remove(name));
                if old != new.as_ref() {
                    match new {
                        Some(new) => {
                            update = update.expression_attribute_values(format!(":new{index}"), new);
                            set.push(format!("#n{index} = :new{index}"));
                        }
                        None => remove.push(format!("#n{index}")),
                    }
                }
                if let Some(old) = old {
                    update = update.expression_attribute_values(format!(":old{index}"), old.clone());
                    conditions.push(format!("#n{index} = :old{index}"));
                } else {
                    conditions.push(format!("attribute_not_exists(#n{index})"));
                }
            }
            let mut clauses = Vec::new();
            if started {
                update = update.expression_attribute_values(":one", AttributeValue::N("1".to_owned()));
                clauses.push("ADD session_changes :one".to_owned());
            }
            if !set.is_empty() {
                clauses.push(format!("SET {}", set.join(", ")));
            }
            if !remove.is_empty() {
                clauses.push(format!("REMOVE {}", remove.join(", ")));
            }
            update.update_expression(clauses.join(" ")).condition_expression(conditions.join(" AND "))
        })
    }

    /// Notes that an address of the account was verified, in the transaction that does it; fails where the account is
    /// gone, or another user's, or has another password than the one of `account`.
    pub fn activate_write(&self, account: &Account) -> Result<TransactWriteItem, DbError> {
        let hash = account.password_hash.as_ref().map_or_else(String::new, |hash| hash.0.clone());
        self.table.update_write(&key(&account.username), |update| {
            update
                .update_expression("SET activated = :yes")
                .condition_expression("user_id = :user_id AND password_hash = :hash")
                .expression_attribute_values(":hash", AttributeValue::S(hash))
                .expression_attribute_values(":yes", AttributeValue::Bool(true))
                .expression_attribute_values(":user_id", AttributeValue::S(account.user_id.to_string()))
        })
    }

    /// Seeds a demo user: one that the demo login opens, and no password. Doing it again changes nothing, but takes away
    /// any role; a name that is somebody else's stays theirs. The profile is `user::store::UserStore::put_profile`'s.
    pub async fn put_demo_account(
        &self,
        user_id: Uuid,
        username: &Username,
        created_at: Timestamp,
    ) -> Result<(), DemoAccountError> {
        let account = Account {
            user_id,
            username: username.clone(),
            password_hash: None,
            roles: vec![CUSTOMER.to_owned()],
            demo: true,
            activated: true,
            session_changes: 0,
            factor: None,
            devices: Vec::new(),
            created_at,
        };
        let item = to_item(&key(username), &account)?;
        let outcome = retry_conflicts(|| async {
            let put =
                self.table.client().put_item().table_name(self.table.name()).set_item(Some(item.clone()));
            let put = put
                .condition_expression("attribute_not_exists(pk) OR (demo = :demo AND user_id = :user_id)")
                .expression_attribute_values(":demo", AttributeValue::Bool(true))
                .expression_attribute_values(":user_id", AttributeValue::S(user_id.to_string()));
            put.send().await?;
            Ok(())
        });
        match outcome.await {
            Err(DbError::ConditionFailed) => Err(DemoAccountError::Taken),
            outcome => Ok(outcome?),
        }
    }

    /// Gives a registered user a role, and returns the account as it is then. Granting it again changes nothing.
    pub async fn grant_role(&self, username: &Username, role: &str) -> Result<Account, GrantError> {
        let outcome = retry_conflicts(|| async {
            let update = self
                .table
                .client()
                .update_item()
                .table_name(self.table.name())
                .set_key(Some(key(username).attributes()))
                .update_expression("SET #roles = list_append(#roles, :roles)")
                .condition_expression("attribute_exists(pk) AND demo = :no AND NOT contains(#roles, :role)")
                .expression_attribute_names("#roles", "roles")
                .expression_attribute_values(
                    ":roles",
                    AttributeValue::L(vec![AttributeValue::S(role.to_owned())]),
                )
                .expression_attribute_values(":role", AttributeValue::S(role.to_owned()))
                .expression_attribute_values(":no", AttributeValue::Bool(false))
                .return_values(ReturnValue::AllNew);
            from_item(update.send().await?.attributes.unwrap_or_default())
        });
        match outcome.await {
            Err(DbError::ConditionFailed) => match self.account(username).await? {
                None => Err(GrantError::Unknown),
                Some(account) if account.demo => Err(GrantError::Demo),
                Some(account) => Ok(account), // Has it already.
            },
            outcome => Ok(outcome?),
        }
    }
}

fn key(username: &Username) -> Key {
    Key::new(format!("ACCOUNT#{}", username.folded()), "ACCOUNT")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ADMIN, CUSTOMER};
    use crate::testing::App;

    fn name(name: &str) -> Username {
        name.to_owned().try_into().unwrap()
    }

    #[tokio::test]
    async fn seeding_twice_is_seeding_once_and_takes_nobodys_name() {
        let app = App::new().await;
        app.register("alice").await;
        let (store, id) = (&app.accounts, Uuid::from_u128(7));
        for _ in 0..2 {
            store.put_demo_account(id, &name("demo"), Timestamp::UNIX_EPOCH).await.unwrap();
        }
        let seeded = store.account(&name("DEMO")).await.unwrap().unwrap();
        assert!(seeded.demo && seeded.user_id == id && seeded.password_hash.is_none());

        let alice = store.account(&name("alice")).await.unwrap();
        let stolen = store.put_demo_account(id, &name("Alice"), Timestamp::UNIX_EPOCH).await;
        assert!(matches!(stolen, Err(DemoAccountError::Taken)));
        assert_eq!(store.account(&name("alice")).await.unwrap(), alice);
    }

    #[tokio::test]
    async fn roles_are_granted_once_and_never_to_demo_users() {
        let app = App::new().await;
        app.register("alice").await;
        let store = &app.accounts;
        for _ in 0..2 {
            store.grant_role(&name("Alice"), ADMIN).await.unwrap();
        }
        assert_eq!(store.account(&name("alice")).await.unwrap().unwrap().roles, [CUSTOMER, ADMIN]);

        let unknown = store.grant_role(&name("nobody"), ADMIN).await;
        assert!(matches!(unknown, Err(GrantError::Unknown)));
        assert_eq!(store.account(&name("nobody")).await.unwrap(), None, "an update creates items otherwise");

        app.seed_demo("mahindra", &[]).await;
        let demo = store.grant_role(&name("mahindra"), ADMIN).await;
        assert!(matches!(demo, Err(GrantError::Demo)));
        assert!(store.account(&name("mahindra")).await.unwrap().unwrap().roles == [CUSTOMER]);
    }

    #[tokio::test]
    async fn changes_of_different_attributes_both_stay_and_of_the_same_one_the_second_fails() {
        let app = App::new().await;
        app.register("alice").await;
        let read = || async { app.accounts.account(&name("alice")).await.unwrap().unwrap() };
        let change = |before: &Account, after: &Account, unchanged: &[&str]| {
            let write = app.accounts.change_write(before, after, unchanged, true).unwrap();
            let mut transaction = app.accounts.transaction();
            transaction.add(write);
            transaction.run()
        };
        let before = read().await;
        let activated = Account { activated: true, ..before.clone() };
        let promoted = Account { roles: vec![ADMIN.to_owned()], ..before.clone() };
        change(&before, &activated, &[]).await.unwrap();
        change(&before, &promoted, &[]).await.unwrap();
        let after = read().await;
        assert_eq!(after, Account { session_changes: 2, ..Account { activated: true, ..promoted.clone() } });

        change(&before, &activated, &[]).await.unwrap_err();
        change(&before, &before, &["roles"]).await.unwrap_err();
        // Without a password there is no attribute to be equal to.
        let without = Account { password_hash: None, ..after.clone() };
        change(&after, &without, &[]).await.unwrap();
        change(&without, &without, &["password_hash"]).await.unwrap();
        change(&after, &after, &["password_hash"]).await.unwrap_err();
        assert_eq!(read().await, Account { session_changes: 4, ..without });

        let nobody = Account { username: name("nobody"), ..before };
        change(&nobody, &nobody, &[]).await.unwrap_err();
        assert_eq!(app.accounts.account(&name("nobody")).await.unwrap(), None);
    }
}
