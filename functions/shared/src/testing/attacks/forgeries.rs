//! Not signed with the right key.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Header, crypto};
use serde_json::{Value, json};

use super::{B64, Cases, admin, encode, with};
use crate::testing::Issuer;
use crate::token::{Algorithm, Claims, PublicKey};

impl Issuer {
    pub(super) fn forgeries(&self, claims: &Claims) -> Cases {
        let valid = self.sign(&self.header(), claims);
        let signature = valid.rsplit('.').next().expect("three parts");
        let payload = encode(&admin(claims));
        let good = self.good_header();
        let alg = |alg: &str| encode(&with(&good, "alg", json!(alg)));
        let mut cases = Cases::new();
        let mut case = |what: String, token: String| cases.push((what, token));

        // Unsigned (RFC 8725 §2.1), in all casings.
        for name in casings("none")
            .into_iter()
            .chain(["none ", "\u{ff4e}one", "n\u{43e}ne", "none\0"].map(str::to_owned))
        {
            case(format!("alg {name}"), format!("{}.{payload}.", alg(&name)));
        }
        for (what, signature) in [("a signature", signature), ("AA", "AA"), ("null", "bnVsbA")] {
            case(format!("alg none, signed with {what}"), format!("{}.{payload}.{signature}", alg("none")));
        }
        case("alg none, two parts".to_owned(), format!("{}.{payload}", alg("none")));
        // No signature, under an algorithm that needs one; and the one of another token.
        for name in ["RS256", "PS256", "ES256", "HS256"] {
            for (what, signature) in [("nothing", ""), ("another token's", signature)] {
                case(
                    format!("alg {name}, signed with {what}"),
                    format!("{}.{payload}.{signature}", alg(name)),
                );
            }
            // ECDSA with r = s = 0 (CVE-2022-21449), in both encodings.
            for (what, zeros) in [("zeros", vec![0; 64]), ("zeros in DER", vec![0x30, 6, 2, 1, 0, 2, 1, 0])] {
                case(
                    format!("alg {name}, signed with {what}"),
                    format!("{}.{payload}.{}", alg(name), B64.encode(zeros)),
                );
            }
        }
        // HMAC with a blank key, and with the public key in each form in which it lies around (RFC 8725 §2.1).
        for (form, secret) in self.secrets() {
            let algorithms =
                [("HS256", hmac::HMAC_SHA256), ("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)];
            // Each form once, the likeliest forms in every way.
            let likely = ["a blank key", "the key's PEM"].contains(&form);
            for (name, algorithm) in algorithms.into_iter().take(if likely { 3 } else { 1 }) {
                for header in [name, self.public().alg.name()] {
                    let message = format!("{}.{payload}", alg(header));
                    let tag = hmac::sign(&hmac::Key::new(algorithm, &secret), message.as_bytes());
                    let what = format!("{name} under alg {header} with {form}");
                    case(what, format!("{message}.{}", B64.encode(tag)));
                }
            }
        }
        // Other keys: as ours, brought along, or of another kind (RFC 8725 §2.5, §2.10).
        for algorithm in [Algorithm::Rs256, Algorithm::Ps256, Algorithm::Es256] {
            let attacker = Self::generate_for(algorithm);
            let own = attacker.public();
            for (what, changes) in [
                ("our kid", json!({})),
                ("our kid and our alg", json!({"alg": self.public().alg})),
                ("our kid, embedded", json!({"jwk": own})),
                ("its own kid", json!({"kid": own.kid})),
                ("its own kid, embedded", json!({"kid": own.kid, "jwk": own})),
                ("its own kid, at jku", json!({"kid": own.kid, "jku": "https://evil.example/jwks.json"})),
                ("its own kid, at x5u", json!({"kid": own.kid, "x5u": "https://evil.example/cert.pem"})),
                ("its own kid, in x5c", json!({"kid": own.kid, "x5c": [STANDARD.encode(spki(&attacker))]})),
            ] {
                let mut header = with(&good, "alg", json!(algorithm));
                for (name, value) in changes.as_object().expect("an object") {
                    header[name] = value.clone();
                }
                let message = format!("{}.{payload}", encode(&header));
                let signed = crypto::sign(message.as_bytes(), &attacker.private, algorithm.into())
                    .expect("a signature");
                case(format!("another {algorithm} key with {what}"), format!("{message}.{signed}"));
            }
            let header = Header { kid: Some(self.public().kid.clone()), ..attacker.header() };
            case(format!("a good token of another issuer, {algorithm}"), attacker.sign(&header, claims));
        }
        // Our own key, by another algorithm of its kind.
        if let PublicKey::Rsa { .. } = self.public().key {
            for other in [
                jsonwebtoken::Algorithm::RS512,
                jsonwebtoken::Algorithm::PS256,
                jsonwebtoken::Algorithm::RS256,
            ] {
                if other != self.public().alg.into() {
                    for header in [alg(&format!("{other:?}")), alg(self.public().alg.name())] {
                        let message = format!("{header}.{payload}");
                        let signed =
                            crypto::sign(message.as_bytes(), &self.private, other).expect("a signature");
                        case(format!("our key by {other:?}"), format!("{message}.{signed}"));
                    }
                }
            }
        }
        cases
    }

    /// What a confused verifier could take for an HMAC key.
    fn secrets(&self) -> Vec<(&'static str, Vec<u8>)> {
        let (jwk, pem, der) = (json!(self.public()), self.public_pem(), spki(self));
        let bare: Value = json!(self.public().key);
        let number = match &self.public().key {
            PublicKey::Rsa { n, .. } => n.clone(),
            PublicKey::Ec { x, .. } => x.clone(),
        };
        let mut secrets = vec![
            ("a blank key", Vec::new()),
            ("a zero byte", vec![0]),
            ("32 zero bytes", vec![0; 32]),
            ("the key's JWK", jwk.to_string().into_bytes()),
            ("the key's bare JWK", bare.to_string().into_bytes()),
            ("the key's PEM", pem.clone().into_bytes()),
            ("the key's PEM, trimmed", pem.trim_end().as_bytes().to_vec()),
            ("the key's PEM with line feeds", pem.replace("\r\n", "\n").into_bytes()),
            (
                "the key's PEM with line feeds, trimmed",
                pem.replace("\r\n", "\n").trim_end().as_bytes().to_vec(),
            ),
            ("the key's DER", der.clone()),
            ("the key's DER in base64", STANDARD.encode(&der).into_bytes()),
            ("the key's number in base64url", number.clone().into_bytes()),
            ("the key's number", B64.decode(number).expect("base64url")),
            ("the key id", self.public().kid.clone().into_bytes()),
        ];
        for guess in ["secret", "null", "undefined", "your-256-bit-secret"] {
            secrets.push(("a guessed secret", guess.as_bytes().to_vec()));
        }
        secrets
    }
}

/// The public key, SPKI in DER.
fn spki(issuer: &Issuer) -> Vec<u8> {
    pem::parse(issuer.public_pem()).expect("a PEM file").into_contents()
}

/// The word with each letter in each case.
fn casings(word: &str) -> Vec<String> {
    (0..1_u32 << word.len())
        .map(|mask| {
            let letter = |(place, letter): (usize, char)| {
                if mask >> place & 1 == 1 { letter.to_ascii_uppercase() } else { letter }
            };
            word.chars().enumerate().map(letter).collect()
        })
        .collect()
}
