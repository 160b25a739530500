//! Profiles and addresses: what they are made of, and what is acceptable in them.

mod locale;

use std::fmt;

use email_address::{EmailAddress, Options};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use shared::text::Text;
use uuid::Uuid;

pub use locale::Locale;

/// How many addresses a user may keep.
pub const MAX_ADDRESSES: usize = 20;

/// Who a user is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Profile {
    /// The user's id, `sub` of the access token.
    pub user_id: Uuid,
    /// The name to log in with.
    pub username: Username,
    /// Where mail goes.
    pub email: Email,
    /// Whether the user has shown to receive mail at `email`.
    #[serde(default)]
    pub email_verified: bool,
    /// The verified address of before, until `email` is verified: where the user is told of what an attacker may have done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub former_email: Option<Email>,
    /// Where SMS go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<Phone>,
    /// What to call the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Text<100>>,
    /// Which language to write in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<Locale>,
    /// When the user registered.
    pub created_at: Timestamp,
    /// When the profile last changed.
    pub updated_at: Timestamp,
}

impl Profile {
    /// The address that the user last proved to be theirs, if any: security notices go there.
    pub fn proven_email(&self) -> Option<&Email> {
        if self.email_verified { Some(&self.email) } else { self.former_email.as_ref() }
    }
}

/// Where parcels go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Address {
    /// The address's id.
    pub id: Uuid,
    /// What is on the label.
    #[serde(flatten)]
    pub label: Label,
}

/// What is on a parcel's label.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Label {
    /// The recipient.
    pub name: Text<100>,
    /// Street and number.
    pub line1: Text<200>,
    /// Flat, floor, care of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line2: Option<Text<200>>,
    /// Town or city.
    pub city: Text<100>,
    /// State, province, county.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<Text<100>>,
    /// Postal code.
    pub postal_code: Text<20>,
    /// Country.
    pub country: Country,
}

/// The name that a user logs in with: 3 to 32 of `a-z A-Z 0-9 . _ -`, beginning with a letter or digit. Two names that
/// differ in case only are one.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(inline, extend("pattern" = "^[A-Za-z0-9][A-Za-z0-9._-]{2,31}$")))]
pub struct Username(String);

/// An e-mail address (RFC 5321, RFC 5322), without a display name; at most 254 characters. Never printed for debugging.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(inline, extend("format" = "email", "maxLength" = 254)))]
pub struct Email(String);

/// A telephone number in E.164 form, `+` and 8 to 15 digits. Never printed for debugging.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(inline, extend("pattern" = "^\\+[1-9][0-9]{7,14}$")))]
pub struct Phone(String);

/// A country's ISO 3166-1 alpha-2 code. Its form is checked, two capital letters, and not whether a country has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(inline, extend("pattern" = "^[A-Z]{2}$")))]
pub struct Country(String);

impl Username {
    /// The form in which names are compared.
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl Email {
    /// The form in which addresses are compared. A local part may in theory depend on its case (RFC 5321 §2.4), and no
    /// provider that matters lets it: two people whose addresses differ in case only are one, or one of them an impostor.
    pub fn folded(&self) -> String {
        self.0.to_lowercase()
    }
}

impl PartialEq for Username {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Username {}

impl TryFrom<String> for Username {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let good = (3..=32).contains(&name.len())
            && name.chars().all(allowed)
            && name.starts_with(|c: char| c.is_ascii_alphanumeric());
        if good {
            Ok(Self(name))
        } else {
            Err(
                "expected 3 to 32 of a-z, A-Z, 0-9, dots, underscores and hyphens, beginning with a letter or digit",
            )
        }
    }
}

impl TryFrom<String> for Email {
    type Error = &'static str;

    fn try_from(address: String) -> Result<Self, Self::Error> {
        let bad = "expected an e-mail address such as name@example.com";
        // A domain of two parts, no display name, no address literal; a quoted local part is legal and always a mistake.
        let options =
            Options { minimum_sub_domains: 2, allow_domain_literal: false, allow_display_text: false };
        let parsed = EmailAddress::parse_with_options(&address, options).map_err(|_| bad)?;
        if parsed.local_part().starts_with('"') || address.len() > 254 { Err(bad) } else { Ok(Self(address)) }
    }
}

impl TryFrom<String> for Phone {
    type Error = &'static str;

    fn try_from(number: String) -> Result<Self, Self::Error> {
        let digits = number.strip_prefix('+').unwrap_or_default();
        let good = (8..=15).contains(&digits.len())
            && digits.bytes().all(|digit| digit.is_ascii_digit())
            && !digits.starts_with('0');
        if good {
            Ok(Self(number))
        } else {
            Err("expected a telephone number in E.164 form, such as +4930123456")
        }
    }
}

impl TryFrom<String> for Country {
    type Error = &'static str;

    fn try_from(code: String) -> Result<Self, Self::Error> {
        if code.len() == 2 && code.bytes().all(|letter| letter.is_ascii_uppercase()) {
            Ok(Self(code))
        } else {
            Err("expected an ISO 3166-1 alpha-2 code, such as DE")
        }
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(..)")
    }
}

impl fmt::Debug for Phone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Phone(..)")
    }
}

macro_rules! text {
    ($($name:ident),+) => {$(
        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.0
            }
        }
    )+};
}

text!(Username, Email, Phone, Country);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usernames() {
        for good in ["mahindra", "a-1", "A.b_c-9"] {
            Username::try_from(good.to_owned()).unwrap();
        }
        for bad in ["", "ab", "-abc", "a b c", "änna", "a#b", &"a".repeat(33)] {
            Username::try_from(bad.to_owned()).unwrap_err();
        }
        let name = |name: &str| Username::try_from(name.to_owned()).unwrap();
        assert_eq!(name("Mahindra").folded(), name("mahindra").folded());
    }

    #[test]
    fn emails() {
        for good in ["a@example.com", "first.last+tag@sub.example.org"] {
            Email::try_from(good.to_owned()).unwrap();
        }
        for bad in
            ["", "a", "a@b", "@example.com", "Name <a@example.com>", "a@example.com\nBcc: b@example.com"]
        {
            Email::try_from(bad.to_owned()).unwrap_err();
        }
    }

    #[test]
    fn where_a_user_is_reached_is_not_printed() {
        let profile = Profile {
            user_id: Uuid::nil(),
            username: "ann".to_owned().try_into().unwrap(),
            email: "ann@example.com".to_owned().try_into().unwrap(),
            email_verified: false,
            former_email: Some("ann@example.com".to_owned().try_into().unwrap()),
            phone: Some("+4930123456".to_owned().try_into().unwrap()),
            name: None,
            locale: None,
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
        };
        let printed = format!("{profile:?}");
        assert!(!printed.contains("example.com") && !printed.contains("30123456"), "{printed}");
    }

    #[test]
    fn phones() {
        Phone::try_from("+4930123456".to_owned()).unwrap();
        for bad in ["4930123456", "+0301234567", "+49 30 123456", "+1234567", "+1234567890123456", ""] {
            Phone::try_from(bad.to_owned()).unwrap_err();
        }
    }
}
