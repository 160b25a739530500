//! Verified e-mail addresses: one profile each.

use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, TransactWriteItem};
use jiff::Timestamp;
use serde::Deserialize;
use shared::db::{DbError, Key};
use uuid::Uuid;

use super::{UserStore, profile_key, text};
use crate::model::Email;

#[derive(Deserialize)]
struct Claim {
    user_id: Uuid,
}

/// What verifies an address, for one transaction.
#[derive(Debug)]
pub struct VerifyWrites {
    /// Claims the address; fails where it is verified for another user.
    pub claim: TransactWriteItem,
    /// Marks the profile; fails where its address is another one by now.
    pub profile: TransactWriteItem,
}

impl UserStore {
    /// Whose verified address this is, whatever its case.
    pub async fn verified_owner(&self, email: &Email) -> Result<Option<Uuid>, DbError> {
        let claim: Option<Claim> = self.table.get(&claim_key(email)).await?;
        Ok(claim.map(|claim| claim.user_id))
    }

    /// Verifies `email` as the address of a user. Doing it again changes nothing.
    pub fn verify_writes(
        &self,
        user_id: Uuid,
        email: &Email,
        at: Timestamp,
    ) -> Result<VerifyWrites, DbError> {
        let claim = self.table.update_write(&claim_key(email), |update| {
            update
                .update_expression("SET user_id = :user_id")
                .condition_expression("attribute_not_exists(pk) OR user_id = :user_id")
                .expression_attribute_values(":user_id", text(user_id.to_string()))
        })?;
        let profile = self.table.update_write(&profile_key(user_id), |update| {
            update
                .update_expression("SET email_verified = :yes, updated_at = :at REMOVE former_email")
                .condition_expression("email = :email")
                .expression_attribute_values(":email", text(email.as_str()))
                .expression_attribute_values(":yes", AttributeValue::Bool(true))
                .expression_attribute_values(":at", text(at.to_string()))
        })?;
        Ok(VerifyWrites { claim, profile })
    }

    /// Makes a transaction fail unless `email` is the user's address, and verified.
    pub fn verified_check(&self, user_id: Uuid, email: &Email) -> Result<TransactWriteItem, DbError> {
        let check = ConditionCheck::builder()
            .table_name(self.table.name())
            .set_key(Some(profile_key(user_id).attributes()))
            .condition_expression("email = :email AND email_verified = :yes")
            .expression_attribute_values(":email", text(email.as_str()))
            .expression_attribute_values(":yes", AttributeValue::Bool(true))
            .build()
            .map_err(|error| DbError::Refused(error.into()))?;
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }

    /// Frees an address that is no longer the user's.
    pub(super) fn release_write(&self, email: &Email, user_id: Uuid) -> Result<TransactWriteItem, DbError> {
        self.table.delete_write(&claim_key(email), |delete| {
            delete
                .condition_expression("attribute_not_exists(pk) OR user_id = :user_id")
                .expression_attribute_values(":user_id", text(user_id.to_string()))
        })
    }
}

fn claim_key(email: &Email) -> Key {
    Key::new(format!("EMAIL#{}", email.folded()), "EMAIL")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Profile;
    use crate::routes::testing::App;

    const ANN: Uuid = Uuid::from_u128(1);
    const BOB: Uuid = Uuid::from_u128(2);

    /// Two profiles with one address, which is nothing unusual as long as neither has it verified.
    async fn two(app: &App) -> Email {
        let ann = app.users.profile(ANN).await.unwrap().unwrap();
        let email = "Mahindra@Example.com".to_owned().try_into().unwrap();
        app.users.put_profile(&Profile { user_id: BOB, email, ..ann.clone() }).await.unwrap();
        ann.email
    }

    async fn verified(app: &App, user_id: Uuid) -> bool {
        app.users.profile(user_id).await.unwrap().unwrap().email_verified
    }

    #[tokio::test]
    async fn of_two_who_verify_one_address_at_once_one_has_it() {
        let app = App::new().await;
        let email = two(&app).await;
        let (ann, bob) =
            tokio::join!(app.verify(ANN, "mahindra@example.com"), app.verify(BOB, "Mahindra@Example.com"));
        assert!(ann != bob, "exactly one");
        assert_eq!((verified(&app, ANN).await, verified(&app, BOB).await), (ann, bob));
        let owner = if ann { ANN } else { BOB };
        assert_eq!(app.users.verified_owner(&email).await.unwrap(), Some(owner));
        assert!(
            app.verify(owner, if ann { "mahindra@example.com" } else { "Mahindra@Example.com" }).await,
            "twice is once"
        );
    }

    #[tokio::test]
    async fn only_the_address_of_the_profile_can_be_verified() {
        let app = App::new().await;
        assert!(!app.verify(ANN, "other@example.com").await);
        assert!(!app.verify(BOB, "mahindra@example.com").await, "no profile");
        assert!(!verified(&app, ANN).await);
        let email = "mahindra@example.com".to_owned().try_into().unwrap();
        assert_eq!(app.users.verified_owner(&email).await.unwrap(), None);
    }

    #[tokio::test]
    async fn the_check_holds_for_a_verified_address_only() {
        let app = App::new().await;
        let check = |email: &str| {
            let write = app.users.verified_check(ANN, &email.to_owned().try_into().unwrap()).unwrap();
            let mut transaction = shared::db::Transaction::new(app.users.table().client());
            transaction.add(write);
            async { transaction.run().await.is_ok() }
        };
        assert!(!check("mahindra@example.com").await);
        assert!(app.verify(ANN, "mahindra@example.com").await);
        assert!(check("mahindra@example.com").await);
        assert!(!check("other@example.com").await);
    }
}
