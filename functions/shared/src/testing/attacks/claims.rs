//! Signed with the right key, and saying the wrong thing.

use serde_json::{Value, json};

use super::{Cases, with, without};
use crate::testing::{AUDIENCE, ISSUER, Issuer};
use crate::token::Claims;

impl Issuer {
    pub(super) fn bad_claims(&self, good: &Claims) -> Cases {
        let now = good.iat;
        let claims = json!(good);
        let header = self.good_header().to_string();
        let sign = |claims: &Value| self.sign_bytes(&header, claims.to_string());
        let mut cases = Cases::new();
        let mut bad = |name: &str, values: Vec<Value>| {
            cases.extend(values.into_iter().map(|value| {
                let what = format!("{name} is {value}");
                (what, sign(&with(&claims, name, value)))
            }));
        };
        let hour = f64::from(i32::try_from(now).unwrap_or(i32::MAX)) - 3600.5;
        bad(
            "exp",
            vec![
                json!(now - 60),
                json!(now),
                json!(0),
                json!(-1),
                json!(i64::MAX),
                json!(u64::MAX),
                json!(1e300),
                json!(-1e300),
                json!(hour),
                json!(now * 1000),
                json!("9999999999"),
                json!("NaN"),
                json!("Infinity"),
                json!(true),
                Value::Null,
                json!([now + 900]),
                json!({"$gt": 0}),
            ],
        );
        bad("nbf", vec![json!(now + 600), json!("0"), Value::Null, json!([0]), json!(i64::MAX)]);
        bad("iat", vec![json!(now + 600), json!("0"), Value::Null, json!(false), json!(u64::MAX)]);
        bad(
            "aud",
            vec![
                json!("https://other.example"),
                json!(["https://other.example"]),
                json!([]),
                json!(""),
                Value::Null,
                json!(7),
                json!(format!("{AUDIENCE}/")),
                json!(format!("{AUDIENCE}/admin")),
                json!(format!("{AUDIENCE}.evil.example")),
                json!(AUDIENCE.to_uppercase()),
                json!("http://localhost:800"),
                json!("*"),
                json!([[AUDIENCE]]),
                json!({AUDIENCE: true}),
                json!([AUDIENCE, 7]),
            ],
        );
        bad(
            "iss",
            vec![
                json!("https://other.example"),
                json!(""),
                Value::Null,
                json!([ISSUER]),
                json!(format!("{ISSUER}/")),
                json!(format!("{ISSUER}.evil.example")),
                json!(ISSUER.replace("http:", "https:")),
                json!({"url": ISSUER}),
            ],
        );
        bad(
            "sub",
            vec![
                json!("root"),
                json!(""),
                json!("../admin"),
                Value::Null,
                json!(1),
                json!([good.sub]),
                json!("' OR 1=1--"),
            ],
        );
        bad("sid", vec![json!(""), json!("none"), Value::Null, json!(0)]);
        bad("jti", vec![json!(""), Value::Null, json!(1), json!(["test"])]);
        bad("client_id", vec![Value::Null, json!(1)]);
        bad("username", vec![Value::Null, json!(1), json!({})]);
        bad(
            "roles",
            vec![json!("admin"), json!({"admin": true}), json!([["admin"]]), json!([1]), Value::Null],
        );
        bad("scope", vec![json!(["api"]), Value::Null, json!(1)]);
        for name in ["iss", "sub", "aud", "exp", "iat", "nbf", "jti", "client_id", "sid", "username"] {
            cases.push((format!("{name} is missing"), sign(&without(&claims, name))));
        }
        // What is no JSON number cannot be written as a value above.
        for number in ["NaN", "Infinity", "-Infinity", "1e999", "0x7fffffff", "+1", "01", ".5"] {
            let text = claims.to_string().replace(&good.exp.to_string(), number);
            cases.push((format!("exp is {number}"), self.sign_bytes(&header, text)));
        }
        cases
    }
}
