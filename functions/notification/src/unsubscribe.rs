//! Links by which whoever has a mail can end mails like it, without logging in (RFC 8058).
//!
//! A link names the user and the topic, and is signed with a secret of this service alone. It does not expire: a mail may be
//! years old when somebody has had enough. All that it opens is to be told less.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use shared::secret::Values;
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

impl Unsubscribe {
    /// The last part of the link's path.
    pub fn sign(self, keys: &Values) -> String {
        let said = format!("{}.{}", self.user_id.simple(), self.topic.as_str());
        let signature = hmac::sign(&key(&keys.current), said.as_bytes());
        format!("{said}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    /// What the last part of a link's path says, if we said it.
    pub fn verify(token: &str, keys: &Values) -> Option<Self> {
        let (said, signature) = token.rsplit_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let good = keys.iter().any(|value| hmac::verify(&key(value), said.as_bytes(), &signature).is_ok());
        let (user_id, topic) = said.split_once('.').filter(|_| good)?;
        Some(Self { user_id: user_id.parse().ok()?, topic: Topic::parse(topic)? })
    }
}

fn key(value: &str) -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, value.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(current: &str, previous: Option<&str>) -> Values {
        Values { current: current.repeat(32), previous: previous.map(|key| key.repeat(32)) }
    }

    const LINK: Unsubscribe = Unsubscribe { user_id: Uuid::from_u128(7), topic: Topic::OrderPaid };

    #[test]
    fn a_link_says_what_we_said_also_after_the_key_was_replaced_once() {
        let token = LINK.sign(&keys("a", None));
        assert_eq!(Unsubscribe::verify(&token, &keys("a", None)), Some(LINK));
        assert_eq!(Unsubscribe::verify(&token, &keys("b", Some("a"))), Some(LINK));
        assert_eq!(Unsubscribe::verify(&token, &keys("c", Some("b"))), None);
        assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)), "{token}");
    }

    #[test]
    fn a_link_that_was_changed_anywhere_says_nothing() {
        let keys = keys("a", None);
        let token = LINK.sign(&keys);
        for position in 0..token.len() {
            let mut forged = token.clone().into_bytes();
            forged[position] = if forged[position] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).unwrap();
            assert_eq!(Unsubscribe::verify(&forged, &keys), None, "{forged}");
        }
        let (said, _) = token.rsplit_once('.').unwrap();
        for forged in ["", ".", "..", said, &format!("{said}."), &format!("{token}."), &format!("{token}=")] {
            assert_eq!(Unsubscribe::verify(forged, &keys), None, "{forged}");
        }
    }
}
