//! Tokens that every protected route must refuse.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use jiff::Timestamp;
use jsonwebtoken::Header;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Issuer;
use crate::token::Claims;

impl Issuer {
    /// Every kind of bad `Authorization` header, each with what is wrong with it, made from a token that would be good
    /// for `user_id` at `now`.
    ///
    /// # Panics
    /// When a token cannot be made.
    pub fn bad_authorizations(&self, user_id: Uuid, now: Timestamp) -> Vec<(&'static str, String)> {
        let good = self.claims(user_id, "test", now);
        let header = self.header();
        let valid = self.sign(&header, &good);
        let claims = |change: &dyn Fn(&mut Claims)| {
            let mut claims = good.clone();
            change(&mut claims);
            self.sign(&header, &claims)
        };
        let without = |claim: &str| {
            let mut claims = serde_json::to_value(&good).expect("claims");
            claims.as_object_mut().expect("an object").remove(claim);
            self.sign(&header, &claims)
        };
        let with = |name: &str, value: Value| {
            let mut claims = serde_json::to_value(&good).expect("claims");
            claims[name] = value;
            self.sign(&header, &claims)
        };
        let headed = |change: &dyn Fn(&mut Header)| {
            let mut header = header.clone();
            change(&mut header);
            self.sign(&header, &good)
        };
        let second = now.as_second();
        let parts: Vec<&str> = valid.split('.').collect();
        let payload = B64.encode(serde_json::to_vec(&good).expect("claims"));
        let raw = |header: Value, signature: &str| {
            format!("{}.{payload}.{signature}", B64.encode(header.to_string()))
        };
        let kid = self.public().kid.as_str();
        let mut tampered_claims = good.clone();
        tampered_claims.roles = vec!["admin".to_owned()];
        let tampered = B64.encode(serde_json::to_vec(&tampered_claims).expect("claims"));

        let mut cases = vec![
            ("empty", String::new()),
            ("not a JWT", "abc".to_owned()),
            ("two parts", format!("{}.{}", parts[0], parts[1])),
            ("four parts", format!("{valid}.x")),
            ("no signature", format!("{}.{}.", parts[0], parts[1])),
            ("tampered payload", format!("{}.{tampered}.{}", parts[0], parts[2])),
            ("padded signature", format!("{valid}==")),
            (
                "JSON serialised",
                json!({"protected": parts[0], "payload": parts[1], "signature": parts[2]}).to_string(),
            ),
            ("two tokens", format!("{valid} {valid}")),
            ("oversized", format!("{valid}{}", "A".repeat(10_000))),
            ("expired", claims(&|claims| claims.exp = second - 60)),
            ("expired this second", claims(&|claims| claims.exp = second)),
            ("not yet valid", claims(&|claims| claims.nbf = second + 600)),
            ("issued in the future", claims(&|claims| claims.iat = second + 600)),
            ("wrong audience", claims(&|claims| claims.aud = "https://other.example".into())),
            ("wrong issuer", claims(&|claims| claims.iss = "https://other.example".to_owned())),
            ("empty jti", claims(&|claims| claims.jti = String::new())),
            ("sub is no id", with("sub", json!("root"))),
            ("exp is text", with("exp", json!("9999999999"))),
            ("exp is out of range", with("exp", json!(i64::MAX))),
            ("roles is text", with("roles", json!("admin"))),
            ("ID-style typ", headed(&|header| header.typ = Some("JWT".to_owned()))),
            ("no typ", headed(&|header| header.typ = None)),
            ("no kid", headed(&|header| header.kid = None)),
            ("unknown kid", headed(&|header| header.kid = Some("unknown".to_owned()))),
            ("kid path traversal", headed(&|header| header.kid = Some("../../../dev/null".to_owned()))),
            ("jku", headed(&|header| header.jku = Some("https://evil.example/jwks.json".to_owned()))),
            ("x5u", headed(&|header| header.x5u = Some("https://evil.example/cert".to_owned()))),
            ("x5c", headed(&|header| header.x5c = Some(vec!["AA==".to_owned()]))),
            ("another key with our kid", Self::generate().sign(&header, &good)),
        ];
        for claim in [
            "iss",
            "sub",
            "aud",
            "exp",
            "nbf",
            "iat",
            "jti",
            "client_id",
            "scope",
            "sid",
            "username",
            "roles",
        ] {
            cases.push(("a claim is missing", without(claim)));
        }
        for alg in ["none", "None", "NONE", "nOnE"] {
            let header = json!({"alg": alg, "typ": "at+jwt", "kid": kid});
            cases.push(("unsigned", raw(header.clone(), "")));
            cases.push(("unsigned, with a signature", raw(header, parts[2])));
        }
        let crit = json!({"alg": "RS256", "typ": "at+jwt", "kid": kid, "crit": ["exp"]});
        cases.push(("crit", raw(crit, parts[2])));
        let other_algorithm = json!({"alg": "PS256", "typ": "at+jwt", "kid": kid});
        cases.push(("the algorithm is not the key's", raw(other_algorithm, parts[2])));
        let jwk = json!({"alg": "RS256", "typ": "at+jwt", "kid": kid, "jwk": self.public()});
        cases.push(("embedded jwk", raw(jwk, parts[2])));
        for secret in self.public_material() {
            let input = format!(
                "{}.{payload}",
                B64.encode(json!({"alg": "HS256", "typ": "at+jwt", "kid": kid}).to_string())
            );
            let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), input.as_bytes());
            cases.push(("HS256 with the public key", format!("{input}.{}", B64.encode(tag))));
        }

        let mut authorizations: Vec<_> =
            cases.into_iter().map(|(what, token)| (what, format!("Bearer {token}"))).collect();
        authorizations.push(("another scheme", format!("Basic {valid}")));
        authorizations.push(("no scheme", valid.clone()));
        authorizations.push(("two spaces", format!("Bearer  {valid}")));
        authorizations.push(("two credentials", format!("Bearer {valid}, Bearer {valid}")));
        authorizations
    }

    /// The public key in the forms in which it lies around.
    fn public_material(&self) -> Vec<String> {
        let jwk = serde_json::to_string(self.public()).expect("a JWK");
        vec![jwk, self.public().n.clone(), self.public_pem(), self.public_pem().trim_end().to_owned()]
    }
}
