//! Tokens that every protected route must refuse: the attack classes of RFC 8725 and of the public playbooks for JWT.

mod claims;
mod forgeries;
mod forms;
mod headers;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use jiff::Timestamp;
use jsonwebtoken::crypto;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Issuer;
use crate::token::Claims;

/// What is wrong, and the token.
type Cases = Vec<(String, String)>;

impl Issuer {
    /// Every kind of bad `Authorization` header, each with what is wrong with it, made from a token that would be good
    /// for `user_id` at `now`.
    ///
    /// # Panics
    /// When a token cannot be made.
    pub fn bad_authorizations(&self, user_id: Uuid, now: Timestamp) -> Vec<(String, String)> {
        let claims = self.claims(user_id, "test", now);
        let valid = self.sign(&self.header(), &claims);
        let tokens = [
            self.bad_forms(&claims),
            self.bad_claims(&claims),
            self.bad_headers(&claims),
            self.forgeries(&claims),
        ];
        let cases = tokens.into_iter().flatten().map(|(what, token)| (what, format!("Bearer {token}")));
        let schemes = [
            ("another scheme", format!("Basic {valid}")),
            ("DPoP, which needs a proof", format!("DPoP {valid}")),
            ("no scheme", valid.clone()),
            ("no space", format!("Bearer{valid}")),
            ("two spaces", format!("Bearer  {valid}")),
            ("a tab", format!("Bearer\t{valid}")),
            ("quoted", format!("Bearer \"{valid}\"")),
            ("two credentials", format!("Bearer {valid}, Bearer {valid}")),
            ("a parameter", format!("Bearer token={valid}")),
        ];
        cases.chain(schemes.map(|(what, header)| (what.to_owned(), header))).collect()
    }

    /// The token of these two encoded parts, signed with the right key.
    fn sign_parts(&self, header: &str, payload: &str) -> String {
        let message = format!("{header}.{payload}");
        let signature = crypto::sign(message.as_bytes(), &self.private, self.public().alg.into());
        format!("{message}.{}", signature.expect("a signature"))
    }

    /// The token of this header and this payload, whatever they are, signed with the right key.
    fn sign_bytes(&self, header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
        self.sign_parts(&B64.encode(header), &B64.encode(payload))
    }

    /// The header of a good token.
    fn good_header(&self) -> Value {
        json!({"alg": self.public().alg, "kid": self.public().kid, "typ": "at+jwt"})
    }
}

/// `object` with one member replaced.
fn with(object: &Value, name: &str, value: Value) -> Value {
    let mut object = object.clone();
    object[name] = value;
    object
}

/// `object` without one member.
fn without(object: &Value, name: &str) -> Value {
    let mut object = object.clone();
    object.as_object_mut().expect("an object").remove(name);
    object
}

/// `object` with these members in front of its own.
fn front(members: &str, object: &Value) -> String {
    object.to_string().replacen('{', &format!("{{{members},"), 1)
}

/// `object` with these members behind its own.
fn behind(object: &Value, members: &str) -> String {
    let text = object.to_string();
    format!("{},{members}}}", text.strip_suffix('}').expect("an object"))
}

fn encode(value: &Value) -> String {
    B64.encode(value.to_string())
}

fn admin(claims: &Claims) -> Value {
    json!(Claims { roles: vec!["admin".to_owned()], ..claims.clone() })
}
