//! Accounts and passwords: what they are, and what is acceptable.

pub(crate) mod one_time;

use std::fmt;

use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use user::model::Username;
use uuid::Uuid;

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

/// A password hash in the PHC string format, parameters and salt included.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordHash(pub(crate) String);

/// A password that someone tries: at most 128 characters (Unicode scalar values), so that nobody can make us hash
/// megabytes.
#[derive(Clone)]
pub struct Password(String);

/// A password that someone chooses: 8 to 128 characters (ASVS 5 §6.2.1 asks for 8 and recommends 15), any of them (NIST
/// SP 800-63B-4 §3.1.1.2: no rules of composition).
#[derive(Debug, Clone)]
pub struct NewPassword(Password);

const MIN_PASSWORD: usize = 8;
const MAX_PASSWORD: usize = 128;

impl Password {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl TryFrom<String> for Password {
    type Error = &'static str;

    fn try_from(password: String) -> Result<Self, Self::Error> {
        if password.chars().nth(MAX_PASSWORD).is_none() {
            Ok(Self(password))
        } else {
            Err("expected a password of at most 128 characters")
        }
    }
}

impl TryFrom<String> for NewPassword {
    type Error = &'static str;

    fn try_from(password: String) -> Result<Self, Self::Error> {
        let long_enough = password.chars().nth(MIN_PASSWORD - 1).is_some();
        match Password::try_from(password) {
            Ok(password) if long_enough => Ok(Self(password)),
            _ => Err("expected a password of 8 to 128 characters"),
        }
    }
}

impl From<NewPassword> for Password {
    fn from(password: NewPassword) -> Self {
        password.0
    }
}

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        string(deserializer)?.try_into().map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for NewPassword {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        string(deserializer)?.try_into().map_err(D::Error::custom)
    }
}

/// serde's own message about a number or an object would quote it: a password that lacks its quotes.
fn string<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::String(text) => Ok(text),
        _ => Err(D::Error::custom("expected a string")),
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_counted_in_characters_not_bytes() {
        for good in ["8 chars.", &"ä".repeat(8), &"🔑".repeat(128), &" ".repeat(8)] {
            NewPassword::try_from(good.to_owned()).unwrap();
        }
        for bad in ["", "7 chars", &"🔑".repeat(7), &"a".repeat(129)] {
            NewPassword::try_from(bad.to_owned()).unwrap_err();
        }
        Password::try_from(String::new()).unwrap();
        Password::try_from("a".repeat(129)).unwrap_err();
    }

    #[test]
    fn no_secret_is_printed() {
        let password = NewPassword::try_from("open sesame".to_owned()).unwrap();
        let hash = PasswordHash("$argon2id$secret".to_owned());
        let printed = format!("{password:?} {hash:?}");
        assert!(!printed.contains("sesame") && !printed.contains("argon2id"), "{printed}");
        let error = serde_json::from_str::<Password>("12345678").unwrap_err().to_string();
        assert!(!error.contains("12345678"), "{error}");
    }

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
