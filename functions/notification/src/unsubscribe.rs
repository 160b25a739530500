//! Links by which whoever has a mail can end mails like it, without logging in (RFC 8058).
//!
//! A link names the user and the topic, and is signed with a secret of this service alone. It does not expire: a mail may be
//! years old when somebody has had enough. All that it opens is to be told less.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;
use aws_sdk_secretsmanager::Client;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::SignedDuration;
use serde::Deserialize;
use shared::clock::Clock;
use shared::refreshed::{PATIENCE, Refreshed, Schedule};
use uuid::Uuid;

use crate::model::Topic;

/// What a link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsubscribe {
    /// Whose mails end.
    pub user_id: Uuid,
    /// Which.
    pub topic: Topic,
}

/// What signs links, in Secrets Manager: `{"current":"…","previous":"…"}`. Who replaces the current value keeps it as the
/// previous one, so that links in mails that were sent go on working.
#[derive(Clone)]
pub struct LinkKeys {
    current: hmac::Key,
    previous: Option<hmac::Key>,
}

/// The keys as a function that runs for long has them: read again every five minutes, so that links signed with a new one are
/// known soon.
#[derive(Debug, Clone)]
pub struct KeptLinkKeys(Arc<Kept>);

#[derive(Debug)]
struct Kept {
    keys: Refreshed<LinkKeys>,
    /// None where they are what they are.
    source: Option<(Client, String)>,
}

const SCHEDULE: Schedule = Schedule {
    what: "the keys of unsubscribe links",
    max_age: SignedDuration::from_mins(5),
    pause: SignedDuration::from_secs(30),
};

impl KeptLinkKeys {
    /// Reads the keys, where a function starts.
    pub async fn load(client: Client, name: &str, clock: &Clock) -> Result<Self, LinkKeysError> {
        let begun = clock.now();
        let keys = LinkKeys::load(&client, name).await?;
        let keys = Refreshed::new(SCHEDULE, clock.clone(), keys, Some(begun));
        Ok(Self(Arc::new(Kept { keys, source: Some((client, name.to_owned())) })))
    }

    /// These, for good.
    pub fn fixed(keys: LinkKeys, clock: &Clock) -> Self {
        let keys = Refreshed::new(SCHEDULE, clock.clone(), keys, Some(clock.now()));
        Self(Arc::new(Kept { keys, source: None }))
    }

    /// What the last part of a link's path says, if we said it.
    pub async fn verify(&self, token: &str) -> Option<Unsubscribe> {
        let keys = match &self.0.source {
            Some((client, name)) => self.0.keys.get(PATIENCE, |_| LinkKeys::load(client, name)).await,
            None => self.0.keys.current(),
        };
        keys.verify(token)
    }
}

/// The keys cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LinkKeysError {
    /// Secrets Manager does not give them.
    #[error("cannot read secret {name}")]
    Read {
        /// The secret.
        name: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// They are not what they should be; never says what they are.
    #[error("secret {0} is not {{\"current\":\"…\"}} with 32 characters or more")]
    Form(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    current: String,
    previous: Option<String>,
}

impl LinkKeys {
    /// Reads the keys, where a function starts.
    pub async fn load(client: &Client, name: &str) -> Result<Self, LinkKeysError> {
        let output = client.get_secret_value().secret_id(name).send().await;
        let output =
            output.map_err(|error| LinkKeysError::Read { name: name.to_owned(), source: error.into() })?;
        output.secret_string().and_then(Self::parse).ok_or_else(|| LinkKeysError::Form(name.to_owned()))
    }

    /// The keys of a secret's content.
    pub fn parse(json: &str) -> Option<Self> {
        let Document { current, previous } = serde_json::from_str(json).ok()?;
        let key = |text: &str| (text.len() >= 32).then(|| hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes()));
        let previous = match previous {
            Some(previous) => Some(key(&previous)?),
            None => None,
        };
        Some(Self { current: key(&current)?, previous })
    }

    /// The last part of the link's path.
    pub fn sign(&self, link: Unsubscribe) -> String {
        let said = link.text();
        let signature = hmac::sign(&self.current, said.as_bytes());
        format!("{said}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// What the last part of a link's path says, if we said it.
    pub fn verify(&self, token: &str) -> Option<Unsubscribe> {
        let (said, signature) = token.rsplit_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let keys = [Some(&self.current), self.previous.as_ref()];
        let good =
            keys.into_iter().flatten().any(|key| hmac::verify(key, said.as_bytes(), &signature).is_ok());
        let (user_id, topic) = said.split_once('.').filter(|_| good)?;
        Some(Unsubscribe { user_id: user_id.parse().ok()?, topic: Topic::parse(topic)? })
    }
}

impl Unsubscribe {
    fn text(self) -> String {
        format!("{}.{}", self.user_id.simple(), self.topic.as_str())
    }
}

impl fmt::Debug for LinkKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("LinkKeys(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(current: &str, previous: Option<&str>) -> LinkKeys {
        let document = serde_json::json!({ "current": current.repeat(32), "previous": previous.map(|key| key.repeat(32)) });
        LinkKeys::parse(&document.to_string()).unwrap()
    }

    const LINK: Unsubscribe = Unsubscribe { user_id: Uuid::from_u128(7), topic: Topic::OrderPaid };

    #[test]
    fn a_link_says_what_we_said_also_after_the_key_was_replaced_once() {
        let token = keys("a", None).sign(LINK);
        assert_eq!(keys("a", None).verify(&token), Some(LINK));
        assert_eq!(keys("b", Some("a")).verify(&token), Some(LINK));
        assert_eq!(keys("c", Some("b")).verify(&token), None);
        assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)), "{token}");
    }

    #[test]
    fn a_link_that_was_changed_anywhere_says_nothing() {
        let keys = keys("a", None);
        let token = keys.sign(LINK);
        for position in 0..token.len() {
            let mut forged = token.clone().into_bytes();
            forged[position] = if forged[position] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).unwrap();
            assert_eq!(keys.verify(&forged), None, "{forged}");
        }
        let (said, _) = token.rsplit_once('.').unwrap();
        for forged in ["", ".", "..", said, &format!("{said}."), &format!("{token}."), &format!("{token}=")] {
            assert_eq!(keys.verify(forged), None, "{forged}");
        }
    }

    #[test]
    fn a_secret_that_is_too_short_or_none_is_no_key() {
        for bad in ["", "{}", "[]", r#"{"current":"short"}"#, r#"{"current":""}"#] {
            assert!(LinkKeys::parse(bad).is_none(), "{bad}");
        }
        let good = "x".repeat(32);
        assert!(LinkKeys::parse(&format!(r#"{{"current":"{good}","previous":""}}"#)).is_none());
        assert!(LinkKeys::parse(&format!(r#"{{"current":"{good}","older":"{good}"}}"#)).is_none());
    }
}
