//! Changes of a profile.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use jiff::Timestamp;
use shared::db::{DbError, Item, Transaction, TransactionError, from_item, retry_conflicts};
use shared::text::Text;
use uuid::Uuid;

use super::{UserStore, profile_key, text};
use crate::model::{Email, Locale, Phone, Profile};

/// What a change of a profile may change, but for the address for mail; `Some(None)` removes.
#[derive(Debug, Clone, Default)]
pub struct ProfileChange {
    /// Another number, or none.
    pub phone: Option<Option<Phone>>,
    /// Another name, or none.
    pub name: Option<Option<Text<100>>>,
    /// Another language, or none.
    pub locale: Option<Option<Locale>>,
}

impl UserStore {
    /// Changes just what `change` names, so that two changes at once both last; the profile after it, none where the
    /// user has no profile.
    pub async fn change_profile(
        &self,
        user_id: Uuid,
        change: &ProfileChange,
        at: Timestamp,
    ) -> Result<Option<Profile>, DbError> {
        let expression = Expression::of(change, at);
        let outcome = retry_conflicts(|| async {
            let call = self
                .table
                .client()
                .update_item()
                .table_name(self.table.name())
                .set_key(Some(profile_key(user_id).attributes()))
                .update_expression(expression.update())
                .condition_expression("attribute_exists(pk)")
                .set_expression_attribute_names(Some(expression.names.clone()))
                .set_expression_attribute_values(Some(expression.values.clone()))
                .return_values(ReturnValue::AllNew);
            Ok(call.send().await?.attributes)
        })
        .await;
        match outcome {
            Ok(item) => item.map(from_item).transpose(),
            Err(DbError::ConditionFailed) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Gives `before`, the profile as it was read, another address, and whatever else `change` names. The address is not
    /// verified then, and the claim of the one of before is free, in one transaction. False where the profile's address
    /// is not the one of `before` any more: nothing is changed.
    pub async fn change_email(
        &self,
        before: &Profile,
        email: &Email,
        change: &ProfileChange,
        at: Timestamp,
    ) -> Result<bool, DbError> {
        let mut transaction = Transaction::new(self.table.client());
        let mut expression = Expression::of(change, at);
        expression.set("email", text(email.as_str()));
        expression.set("email_verified", AttributeValue::Bool(false));
        if before.email_verified {
            expression.set("former_email", text(before.email.as_str()));
            transaction.add(self.release_write(&before.email, before.user_id)?);
        }
        let condition = if before.email_verified {
            "#email = :before AND #email_verified = :yes"
        } else {
            "#email = :before AND NOT #email_verified = :yes"
        };
        expression.values.insert(":before".to_owned(), text(before.email.as_str()));
        expression.values.insert(":yes".to_owned(), AttributeValue::Bool(true));
        transaction.add(self.table.update_write(&profile_key(before.user_id), |update| {
            update
                .update_expression(expression.update())
                .condition_expression(condition)
                .set_expression_attribute_names(Some(expression.names))
                .set_expression_attribute_values(Some(expression.values))
        })?);
        match transaction.run().await {
            Ok(()) => Ok(true),
            Err(TransactionError::Cancelled(_)) => Ok(false),
            Err(TransactionError::Db(error)) => Err(error),
        }
    }
}

/// What to set and what to remove. Every attribute has a placeholder, because `name` is a reserved word.
#[derive(Default)]
struct Expression {
    set: Vec<String>,
    remove: Vec<String>,
    names: HashMap<String, String>,
    values: Item,
}

impl Expression {
    fn of(change: &ProfileChange, at: Timestamp) -> Self {
        let mut expression = Self::default();
        expression.set("updated_at", text(at.to_string()));
        if let Some(phone) = &change.phone {
            expression.change("phone", phone.as_ref().map(Phone::as_str));
        }
        if let Some(name) = &change.name {
            expression.change("name", name.as_ref().map(Text::as_str));
        }
        if let Some(locale) = &change.locale {
            expression.change("locale", locale.as_ref().map(Locale::as_str));
        }
        expression
    }

    fn change(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.set(name, text(value));
        } else {
            self.remove.push(format!("#{name}"));
            self.names.insert(format!("#{name}"), name.to_owned());
        }
    }

    fn set(&mut self, name: &str, value: AttributeValue) {
        self.set.push(format!("#{name} = :{name}"));
        self.names.insert(format!("#{name}"), name.to_owned());
        self.values.insert(format!(":{name}"), value);
    }

    fn update(&self) -> String {
        let set = format!("SET {}", self.set.join(", "));
        if self.remove.is_empty() { set } else { format!("{set} REMOVE {}", self.remove.join(", ")) }
    }
}
