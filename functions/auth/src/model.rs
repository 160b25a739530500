//! Accounts and passwords: what they are, and what is acceptable.

pub(crate) mod one_time;
mod password;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use user::model::Username;
use uuid::Uuid;

pub(crate) use password::Guessable;
pub use password::{NewPassword, Password, PasswordHash};

/// The role that [`Access::Admin`](shared::routes::Access::Admin) asks for.
pub const ADMIN: &str = "admin";

/// Someone who can log in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The user's id, `sub` of the access tokens.
    pub user_id: Uuid,
    /// The name as it was registered.
    pub username: Username,
    /// None for demo users: no password opens their accounts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_hash: Option<PasswordHash>,
    /// What the user may do beyond every customer.
    pub roles: Vec<String>,
    /// Whether the account was seeded for the demo login.
    pub demo: bool,
    /// When the user registered.
    pub created_at: Timestamp,
}

impl Account {
    /// Whether the demo login, which asks for no password, may open the account: never an admin's.
    pub fn opens_without_password(&self) -> bool {
        self.demo && !self.roles.iter().any(|role| role == ADMIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_demo_login_opens_demo_accounts_and_never_an_admins() {
        let account = |demo, roles: &[&str]| Account {
            user_id: Uuid::nil(),
            username: "mahindra".to_owned().try_into().unwrap(),
            password_hash: None,
            roles: roles.iter().map(ToString::to_string).collect(),
            demo,
            created_at: Timestamp::UNIX_EPOCH,
        };
        assert!(account(true, &[]).opens_without_password());
        assert!(!account(false, &[]).opens_without_password());
        assert!(!account(true, &["support", "admin"]).opens_without_password());
    }
}
