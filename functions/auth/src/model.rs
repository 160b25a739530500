//! Accounts, passwords, second factors and sessions: what they are, and what is acceptable.

pub mod client;
pub(crate) mod device;
pub(crate) mod factor;
pub(crate) mod one_time;
mod password;
pub(crate) mod recovery_code;
pub(crate) mod session;
pub(crate) mod totp;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use user::model::Username;
use uuid::Uuid;

pub use factor::{EnabledFactor, Factor, PendingFactor};
pub(crate) use password::Guessable;
pub use password::{NewPassword, Password, PasswordHash};
pub use recovery_code::RecoveryCodeHash;
pub use totp::TotpSecret;

/// The role of everybody.
pub const CUSTOMER: &str = "customer";
/// The role that [`Access::Admin`](shared::routes::Access::Admin) asks for.
pub const ADMIN: &str = "admin";

/// A role that there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// [`CUSTOMER`].
    Customer,
    /// [`ADMIN`].
    Admin,
}

impl Role {
    /// Its name in tokens.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Customer => CUSTOMER,
            Self::Admin => ADMIN,
        }
    }
}

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
    /// What the user may do: [`CUSTOMER`], and for admins [`ADMIN`] too.
    pub roles: Vec<String>,
    /// Whether the account was seeded for the demo login.
    pub demo: bool,
    /// Whether an e-mail address of the account was ever verified; a demo user's counts as such.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub activated: bool,
    /// How often a session was started or several were ended at once: whoever ends several makes sure by it that none was
    /// started meanwhile.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub session_changes: u64,
    /// The second factor: in force, or waiting for its confirmation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factor: Option<Factor>,
    /// The devices that the account was used from, the oldest first: fingerprints, of which
    /// [`note_device`](Self::note_device) keeps a few.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<String>,
    /// When the user registered.
    pub created_at: Timestamp,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Account {
    /// Sets a password that the user chose, and forgets an enrolment under way: it may be of whoever knew the old one.
    pub(crate) fn choose_password(&mut self, hash: PasswordHash) {
        self.password_hash = Some(hash);
        self.factor = self.factor.take().filter(|factor| matches!(factor, Factor::Enabled(_)));
    }

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
            activated: true,
            session_changes: 0,
            factor: None,
            devices: Vec::new(),
            created_at: Timestamp::UNIX_EPOCH,
        };
        assert!(account(true, &[]).opens_without_password());
        assert!(!account(false, &[]).opens_without_password());
        assert!(!account(true, &["support", "admin"]).opens_without_password());
    }
}
