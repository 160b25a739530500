//! Not the compact form of a token, or not the one that was signed.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde_json::json;

use super::{B64, Cases, admin, behind, encode, front};
use crate::testing::Issuer;
use crate::token::Claims;

impl Issuer {
    #[expect(clippy::too_many_lines, reason = "a list of attacks")]
    pub(super) fn bad_forms(&self, claims: &Claims) -> Cases {
        let claims = Claims { username: "þÿ>>>???".to_owned(), ..claims.clone() };
        // Its signature is written otherwise in the two alphabets of base64: one in fifteen of ES256 is not.
        let differs = |token: &String| token.rsplit('.').next().is_some_and(|part| part.contains(['-', '_']));
        let mut tries = std::iter::repeat_with(|| self.sign(&self.header(), &claims)).take(100);
        let valid = tries.find(differs).expect("a signature with - or _");
        let [header, payload, signature] = valid.split('.').collect::<Vec<_>>()[..] else {
            panic!("three parts")
        };
        let bytes = B64.decode(signature).expect("base64url");
        let decode = |part: &str| B64.decode(part).expect("base64url");
        let re = |part: &str| STANDARD_NO_PAD.encode(decode(part));
        let signed = |header: &str, payload: &str| format!("{header}.{payload}.{signature}");
        let with_signature = |signature: &[u8]| format!("{header}.{payload}.{}", B64.encode(signature));
        let zeros = vec![0; bytes.len()];
        let recipient = json!({"protected": header, "signature": signature});
        let good_header = self.good_header();
        let payload_json = json!(claims);
        let spaced = payload_json.to_string().replace("\":", "\": ");
        let jwe = B64.encode(r#"{"alg":"RSA-OAEP-256","enc":"A256GCM","typ":"at+jwt"}"#);
        let array: Vec<_> = payload_json.as_object().expect("an object").values().cloned().collect();

        let mut cases = vec![
            ("empty", String::new()),
            ("not a JWT", "abc".to_owned()),
            ("a dot", ".".to_owned()),
            ("two dots", "..".to_owned()),
            ("one part", header.to_owned()),
            ("two parts", format!("{header}.{payload}")),
            ("four parts", format!("{valid}.x")),
            ("a dot behind", format!("{valid}.")),
            ("a dot before", format!(".{valid}")),
            ("two tokens", format!("{valid} {valid}")),
            ("two tokens in one", format!("{valid}.{valid}")),
            ("no header", format!(".{payload}.{signature}")),
            ("no payload", format!("{header}..{signature}")),
            ("detached payload", format!("{header}..{signature}")),
            // Changed after it was signed.
            ("tampered payload", signed(header, &encode(&admin(&claims)))),
            ("re-encoded header", signed(&B64.encode(good_header.to_string() + " "), payload)),
            ("re-encoded payload", signed(header, &B64.encode(&spaced))),
            ("swapped parts", signed(payload, header)),
            // The signature.
            ("no signature", format!("{header}.{payload}.")),
            ("half a signature", with_signature(&bytes[..bytes.len() / 2])),
            ("a signature without its last byte", with_signature(&bytes[..bytes.len() - 1])),
            ("a signature and a byte", with_signature(&[&bytes[..], &[0]].concat())),
            ("a byte and a signature", with_signature(&[&[0], &bytes[..]].concat())),
            ("zeros for a signature", with_signature(&zeros)),
            ("ones for a signature", with_signature(&vec![0xff; bytes.len()])),
            ("one as the signature", with_signature(&[&zeros[1..], &[1]].concat())),
            ("a signature of one zero byte", with_signature(&[0])),
            // Other encodings of the very same token.
            ("padded signature", format!("{valid}==")),
            ("padded header", signed(&format!("{header}="), payload)),
            ("padded payload", signed(header, &format!("{payload}="))),
            ("standard base64 in the signature", format!("{header}.{payload}.{}", re(signature))),
            ("standard base64 in the payload", signed(header, &re(payload))),
            ("padded standard base64", format!("{header}.{payload}.{}", STANDARD.encode(&bytes))),
            ("hexadecimal signature", format!("{header}.{payload}.{}", hex(&bytes))),
            ("percent-encoded", valid.replace('.', "%2E")),
            ("upper case", valid.to_uppercase()),
            (
                "a space in the signature",
                format!("{header}.{payload}.{} {}", &signature[..4], &signature[4..]),
            ),
            ("a tab in the payload", signed(header, &format!("{}\t{}", &payload[..4], &payload[4..]))),
            ("spaces around a dot", format!("{header} . {payload}.{signature}")),
            ("other bits behind the last byte", format!("{header}.{payload}.{}", with_stray_bits(signature))),
            // Other serialisations (RFC 7515 §7.2), and encryption (RFC 7516), which nobody here expects.
            (
                "JSON, flattened",
                json!({"protected": header, "payload": payload, "signature": signature}).to_string(),
            ),
            ("JSON, general", json!({"payload": payload, "signatures": [recipient]}).to_string()),
            ("JWE", format!("{jwe}.AAAA.AAAA.AAAA.AAAA")),
            ("JWE with our parts", format!("{jwe}.{header}.{payload}.{signature}.AAAA")),
            ("nested", self.sign_bytes(good_header.to_string(), &valid)),
            ("oversized", format!("{valid}{}", "A".repeat(10_000))),
        ];
        // Signed with the right key, and not the JSON that it should be.
        let sign = |header: &[u8], payload: &[u8]| self.sign_bytes(header, payload);
        let (header, payload) = (good_header.to_string(), payload_json.to_string());
        let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
        let bom = |text: &str| [b"\xef\xbb\xbf", text.as_bytes()].concat();
        let deep = format!("{}1{}", "[".repeat(1000), "]".repeat(1000));
        for (what, bad) in [
            ("an array for header or payload", json!(array).to_string().into_bytes()),
            ("text for header or payload", json!(payload).to_string().into_bytes()),
            ("a number for header or payload", b"1".to_vec()),
            ("null for header or payload", b"null".to_vec()),
            ("nothing for header or payload", Vec::new()),
            ("no JSON for header or payload", b"{".to_vec()),
            ("no UTF-8 for header or payload", b"{\"a\":\"\xff\"}".to_vec()),
        ] {
            cases.push((what, sign(header.as_bytes(), &bad)));
            cases.push((what, sign(&bad, payload.as_bytes())));
        }
        cases.extend([
            ("the header in UTF-16", sign(&utf16(&header), payload.as_bytes())),
            ("the payload in UTF-16", sign(header.as_bytes(), &utf16(&payload))),
            ("a byte order mark before the header", sign(&bom(&header), payload.as_bytes())),
            ("a byte order mark before the payload", sign(header.as_bytes(), &bom(&payload))),
            ("data behind the header", sign(format!("{header}x").as_bytes(), payload.as_bytes())),
            ("two headers", sign(format!("{header}{header}").as_bytes(), payload.as_bytes())),
            ("data behind the payload", sign(header.as_bytes(), format!("{payload}x").as_bytes())),
            ("a zero byte behind the payload", sign(header.as_bytes(), format!("{payload}\0").as_bytes())),
            ("two payloads", sign(header.as_bytes(), format!("{payload}{payload}").as_bytes())),
            (
                "a deep payload",
                sign(header.as_bytes(), behind(&payload_json, &format!("\"x\":{deep}")).as_bytes()),
            ),
            (
                "a deep header",
                sign(behind(&good_header, &format!("\"x\":{deep}")).as_bytes(), payload.as_bytes()),
            ),
        ]);
        // A member twice: two readers could take different ones (RFC 8725 §2.4, RFC 7515 §4).
        for member in [
            r#""sub":"00000000-0000-0000-0000-000000000001""#,
            r#""\u0073ub":"00000000-0000-0000-0000-000000000001""#,
            r#""exp":99999999999"#,
            r#""roles":["admin"]"#,
            r#""r\u006fles":["admin"]"#,
            r#""iss":"https://evil.example""#,
            r#""x":{"y":1,"y":2}"#,
            r#""x":[{"y":1,"\u0079":2}]"#,
        ] {
            cases.push((
                "a claim twice, the other one first",
                sign(header.as_bytes(), front(member, &payload_json).as_bytes()),
            ));
            cases.push((
                "a claim twice, the other one last",
                sign(header.as_bytes(), behind(&payload_json, member).as_bytes()),
            ));
        }
        let kid = format!("\"kid\":\"{}\"", self.public().kid);
        for member in [r#""alg":"none""#, r#""\u0061lg":"none""#, r#""alg":"HS256""#, r#""typ":"JWT""#, &kid]
        {
            cases.push((
                "a header twice, the other one first",
                sign(front(member, &good_header).as_bytes(), payload.as_bytes()),
            ));
            cases.push((
                "a header twice, the other one last",
                sign(behind(&good_header, member).as_bytes(), payload.as_bytes()),
            ));
        }
        cases.into_iter().map(|(what, token)| (what.to_owned(), token)).collect()
    }
}

/// The same bytes for a decoder that does not look at the bits behind the last one.
fn with_stray_bits(part: &str) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (rest, last) = part.split_at(part.len() - 1);
    let value = ALPHABET.iter().position(|letter| [*letter] == last.as_bytes()).expect("base64url");
    format!("{rest}{}", char::from(ALPHABET[value ^ 1]))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;

    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes all");
        text
    })
}
