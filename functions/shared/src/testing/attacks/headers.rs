//! Signed with the right key, under a header that we do not issue.

use serde_json::{Value, json};

use super::{Cases, with, without};
use crate::testing::Issuer;
use crate::token::Claims;

impl Issuer {
    #[expect(clippy::too_many_lines, reason = "a list of attacks")]
    pub(super) fn bad_headers(&self, claims: &Claims) -> Cases {
        let payload = json!(claims).to_string();
        let good = self.good_header();
        let kid = self.public().kid.as_str();
        let sign = |header: &Value| self.sign_bytes(header.to_string(), &payload);
        let mut cases = Cases::new();
        let mut bad = |name: &str, values: Vec<Value>| {
            cases.extend(values.into_iter().map(|value| {
                let shown: String = value.to_string().chars().take(60).collect();
                (format!("{name} is {shown}"), sign(&with(&good, name, value)))
            }));
        };
        let alg = self.public().alg.name();
        let others = [
            "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES256K", "EdDSA",
            "HS256",
        ];
        bad("alg", others.into_iter().filter(|other| *other != alg).map(Value::from).collect());
        bad(
            "alg",
            vec![
                json!("none"),
                json!(""),
                Value::Null,
                json!(alg.to_lowercase()),
                json!(format!("{alg} ")),
                json!([alg]),
                json!({"name": alg}),
                json!(256),
                json!("dir"),
                json!("RSA-OAEP"),
            ],
        );
        // RFC 9068 §4: nothing but an access token, so that no other kind of JWT is taken for one (RFC 8725 §3.11).
        bad(
            "typ",
            vec![
                json!("JWT"),
                json!("jwt"),
                json!("application/jwt"),
                json!("id_token+jwt"),
                json!("logout+jwt"),
                json!("dpop+jwt"),
                json!("rt+jwt"),
                json!("at+jwt "),
                json!("at+jwt;x"),
                json!("application/application/at+jwt"),
                json!("text/at+jwt"),
                json!(""),
                Value::Null,
                json!(["at+jwt"]),
            ],
        );
        bad(
            "kid",
            vec![
                json!("unknown"),
                json!(""),
                Value::Null,
                json!(0),
                json!([kid]),
                json!({"kid": kid}),
                json!(true),
                json!("../../../dev/null"),
                json!("/dev/null"),
                json!("file:///dev/null"),
                json!(format!("./{kid}")),
                json!(format!("{kid}/../{kid}")),
                json!(format!("{kid}\0")),
                json!(format!("{kid} ")),
                json!(format!(" {kid}")),
                json!(kid.to_uppercase()),
                json!(format!("{kid}{kid}")),
                json!(&kid[1..]),
                json!("' UNION SELECT 'key' --"),
                json!("x' OR '1'='1"),
                json!("| id"),
                json!("$(id)"),
                json!("`id`"),
                json!("{{7*7}}"),
                json!("*"),
                json!("__proto__"),
                json!("constructor"),
                json!("http://evil.example/key"),
                json!("k".repeat(4000)),
                json!("\u{202e}kid"),
            ],
        );
        bad(
            "jku",
            vec![
                json!("https://evil.example/jwks.json"),
                json!("http://localhost:8000/.well-known/jwks.json"),
            ],
        );
        bad("x5u", vec![json!("https://evil.example/cert"), json!("http://localhost:8000@evil.example/")]);
        bad("x5c", vec![json!(["AA=="]), json!([])]);
        bad("x5t", vec![json!("AAAA")]);
        bad("x5t#S256", vec![json!("AAAA")]);
        bad("jwk", vec![json!(self.public()), json!({}), Value::Null]);
        // RFC 7515 §4.1.11: what is critical and not understood must be refused, and we understand nothing.
        bad("crit", vec![json!(["exp"]), json!(["b64"]), json!(["x"]), json!([]), Value::Null, json!("b64")]);
        bad("b64", vec![json!(false), json!(true)]);
        bad("zip", vec![json!("DEF")]);
        bad("cty", vec![json!("JWT"), json!("application/json")]);
        bad("enc", vec![json!("A256GCM")]);
        bad("iss", vec![json!("https://evil.example")]);
        bad("x", vec![json!("y".repeat(5000)), json!([[[[]]]])]);
        for name in ["alg", "kid", "typ"] {
            cases.push((format!("no {name}"), sign(&without(&good, name))));
        }
        let unencoded = with(&with(&good, "b64", json!(false)), "crit", json!(["b64"]));
        cases.push(("an unencoded payload (RFC 7797)".to_owned(), sign(&unencoded)));
        cases
    }
}
