//! Tokens that every protected route must refuse.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use jiff::Timestamp;
use jsonwebtoken::Header;
use jsonwebtoken::jwk::Jwk;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Issuer;
use crate::token::Claims;

/// What is wrong, and the token.
type Cases = Vec<(&'static str, String)>;

impl Issuer {
    /// Every kind of bad `Authorization` header, each with what is wrong with it, made from a token that would be good
    /// for `user_id` at `now`.
    ///
    /// # Panics
    /// When a token cannot be made.
    pub fn bad_authorizations(&self, user_id: Uuid, now: Timestamp) -> Cases {
        let claims = self.claims(user_id, "test", now);
        let valid = self.sign(&self.header(), &claims);
        let tokens = [
            self.damaged(&claims),
            self.with_bad_claims(&claims),
            self.with_bad_headers(&claims),
            self.forged(&claims),
        ];
        let cases = tokens.into_iter().flatten().map(|(what, token)| (what, format!("Bearer {token}")));
        let schemes = [
            ("another scheme", format!("Basic {valid}")),
            ("no scheme", valid.clone()),
            ("two spaces", format!("Bearer  {valid}")),
            ("two credentials", format!("Bearer {valid}, Bearer {valid}")),
        ];
        cases.chain(schemes).collect()
    }

    /// Not the compact form of a token, or not the one that was signed.
    fn damaged(&self, claims: &Claims) -> Cases {
        let valid = self.sign(&self.header(), claims);
        let [header, payload, signature] = valid.split('.').collect::<Vec<_>>()[..] else {
            panic!("three parts")
        };
        let admin = encode(&json!(Claims { roles: vec!["admin".to_owned()], ..claims.clone() }));
        vec![
            ("empty", String::new()),
            ("not a JWT", "abc".to_owned()),
            ("two parts", format!("{header}.{payload}")),
            ("four parts", format!("{valid}.x")),
            ("no signature", format!("{header}.{payload}.")),
            ("tampered payload", format!("{header}.{admin}.{signature}")),
            ("padded signature", format!("{valid}==")),
            (
                "JSON serialised",
                json!({"protected": header, "payload": payload, "signature": signature}).to_string(),
            ),
            ("two tokens", format!("{valid} {valid}")),
            ("oversized", format!("{valid}{}", "A".repeat(10_000))),
        ]
    }

    /// Signed with the right key, and saying the wrong thing.
    fn with_bad_claims(&self, good: &Claims) -> Cases {
        let header = self.header();
        let with = |name: &str, value: Value| {
            let mut claims = json!(good);
            claims[name] = value;
            self.sign(&header, &claims)
        };
        let without = |name: &str| {
            let mut claims = json!(good);
            claims.as_object_mut().expect("an object").remove(name);
            self.sign(&header, &claims)
        };
        let now = good.iat;
        let bad = [
            ("expired", "exp", json!(now - 60)),
            ("expired this second", "exp", json!(now)),
            ("not yet valid", "nbf", json!(now + 600)),
            ("issued in the future", "iat", json!(now + 600)),
            ("wrong audience", "aud", json!("https://other.example")),
            ("wrong audiences", "aud", json!(["https://other.example"])),
            ("wrong issuer", "iss", json!("https://other.example")),
            ("empty jti", "jti", json!("")),
            ("sub is no id", "sub", json!("root")),
            ("exp is text", "exp", json!("9999999999")),
            ("exp is out of range", "exp", json!(i64::MAX)),
            ("roles is text", "roles", json!("admin")),
            ("auth_time is text", "auth_time", json!("0")),
            ("auth_time is null", "auth_time", json!(null)),
        ];
        let required = ["iss", "sub", "aud", "exp", "iat", "nbf", "jti", "client_id", "sid", "username"];
        let missing = required.map(|name| ("a claim is missing", without(name)));
        bad.into_iter().map(|(what, name, value)| (what, with(name, value))).chain(missing).collect()
    }

    /// Signed with the right key, under a header that we do not issue.
    fn with_bad_headers(&self, claims: &Claims) -> Cases {
        let with = |change: &dyn Fn(&mut Header)| {
            let mut header = self.header();
            change(&mut header);
            self.sign(&header, claims)
        };
        vec![
            ("ID-style typ", with(&|header| header.typ = Some("JWT".to_owned()))),
            ("no typ", with(&|header| header.typ = None)),
            ("no kid", with(&|header| header.kid = None)),
            ("unknown kid", with(&|header| header.kid = Some("unknown".to_owned()))),
            ("kid path traversal", with(&|header| header.kid = Some("../../../dev/null".to_owned()))),
            ("jku", with(&|header| header.jku = Some("https://evil.example/jwks.json".to_owned()))),
            ("x5u", with(&|header| header.x5u = Some("https://evil.example/cert".to_owned()))),
            ("x5c", with(&|header| header.x5c = Some(vec!["AA==".to_owned()]))),
            ("crit", with(&|header| header.crit = Some(vec!["exp".to_owned()]))),
            ("embedded jwk", with(&|header| header.jwk = Some(self.jwk()))),
        ]
    }

    fn jwk(&self) -> Jwk {
        serde_json::from_value(json!(self.public())).expect("a JWK")
    }

    /// Not signed with the right key.
    fn forged(&self, claims: &Claims) -> Cases {
        let payload = encode(&json!(claims));
        let valid = self.sign(&self.header(), claims);
        let signature = valid.rsplit('.').next().expect("three parts");
        let kid = self.public().kid.as_str();
        let header = |alg: &str| json!({"alg": alg, "typ": "at+jwt", "kid": kid});
        let raw = |header: &Value, signature: &str| format!("{}.{payload}.{signature}", encode(header));

        let attacker = Self::generate();
        let embedded = Header { jwk: Some(attacker.jwk()), ..self.header() };
        let mut cases = vec![
            ("another key with our kid", attacker.sign(&self.header(), claims)),
            ("another key that the token itself brings", attacker.sign(&embedded, claims)),
        ];
        for alg in ["none", "None", "NONE", "nOnE"] {
            cases.push(("unsigned", raw(&header(alg), "")));
            cases.push(("unsigned, with a signature", raw(&header(alg), signature)));
        }
        cases.push(("the algorithm is not the key's", raw(&header("PS256"), signature)));
        // The forms in which the public key lies around, each of which a confused verifier takes for a secret.
        let (jwk, pem) = (json!(self.public()).to_string(), self.public_pem());
        for secret in [jwk.as_str(), &pem, pem.trim_end()] {
            let input = format!("{}.{payload}", encode(&header("HS256")));
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), input.as_bytes());
            cases.push(("HS256 with the public key", format!("{input}.{}", B64.encode(tag))));
        }
        cases
    }
}

fn encode(value: &Value) -> String {
    B64.encode(value.to_string())
}
