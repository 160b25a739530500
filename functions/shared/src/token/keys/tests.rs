//! Which keys are taken, which are refused.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{Algorithm, KeySet, PublicKey, PublishedKey};
use crate::testing::Issuer;

/// The example of RFC 7638 §3.1.
#[test]
fn thumbprint_of_the_rfc() {
    let n = "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRX\
             jBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaS\
             qzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksIN\
             HaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw";
    let key = PublicKey::Rsa { n: n.to_owned(), e: "AQAB".to_owned() };
    assert_eq!(key.thumbprint(), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
}

/// The public key of RFC 7515 §A.3.1; its thumbprint was computed with OpenSSL's SHA-256.
#[test]
fn thumbprint_of_a_point() {
    let key =
        point("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0");
    assert_eq!(key.thumbprint(), "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U");
}

fn point(x: &str, y: &str) -> PublicKey {
    PublicKey::Ec { crv: "P-256".to_owned(), x: x.to_owned(), y: y.to_owned() }
}

fn rsa(bytes: usize, exponent: &[u8]) -> PublishedKey {
    PublishedKey::new(Algorithm::Rs256, PublicKey::rsa(&vec![0xff; bytes], exponent))
}

/// Why the set of these keys is refused.
fn reason(keys: &Value) -> String {
    let document = json!({"issuer": "i", "audience": "a", "keys": keys});
    KeySet::parse(&document.to_string()).unwrap_err().to_string()
}

/// `key` with some members replaced; null takes one away.
fn with(key: &PublishedKey, changes: &Value) -> Value {
    let mut key = json!(key);
    for (name, value) in changes.as_object().unwrap() {
        key[name] = value.clone();
    }
    key.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    key
}

#[test]
fn keys_of_all_algorithms_are_taken() {
    for algorithm in [Algorithm::Rs256, Algorithm::Ps256, Algorithm::Es256] {
        let issuer = Issuer::generate_for(algorithm);
        let key = with(issuer.public(), &json!({"key_ops": ["verify"], "x5t": "of another user"}));
        let document = json!({"issuer": "i", "audience": "a", "keys": [key], "more": 1});
        let set = KeySet::parse(&document.to_string()).unwrap();
        assert_eq!(set.published(&issuer.public().kid).unwrap().key, issuer.public().key);
    }
    for bytes in [2048 / 8, 3072 / 8, 8192 / 8] {
        rsa(bytes, &[1, 0, 1]).parse().unwrap();
    }
}

#[test]
fn weak_rsa_keys_are_refused() {
    for (key, expected) in [
        (rsa(1024 / 8, &[1, 0, 1]), "shorter than 2048"),
        (rsa(2040 / 8, &[1, 0, 1]), "shorter than 2048"),
        (rsa(8200 / 8, &[1, 0, 1]), "longer than 8192"),
        (rsa(256, &[1]), "exponent"),
        (rsa(256, &[3]), "exponent"),
        (rsa(256, &[]), "exponent"),
        (rsa(256, &[0, 1, 0, 1]), "exponent"),
        (PublishedKey::new(Algorithm::Rs256, PublicKey::rsa(&[], &[1, 0, 1])), "zero byte"),
        (
            PublishedKey::new(
                Algorithm::Rs256,
                PublicKey::rsa(&[[0; 1].as_slice(), &[0xff; 256]].concat(), &[1, 0, 1]),
            ),
            "zero byte",
        ),
        (PublishedKey::new(Algorithm::Rs256, PublicKey::rsa(&[0xfe; 256], &[1, 0, 1])), "even"),
    ] {
        let reason = reason(&json!([key]));
        assert!(reason.contains(expected), "{reason}");
    }
    // Not even as a signature's key: 2047 bits.
    let mut modulus = [0xff; 256];
    modulus[0] = 0x7f;
    let short = PublishedKey::new(Algorithm::Rs256, PublicKey::rsa(&modulus, &[1, 0, 1]));
    assert!(reason(&json!([short])).contains("shorter"));
}

#[test]
fn what_is_no_point_of_the_curve_is_refused() {
    let issuer = Issuer::generate_for(Algorithm::Es256);
    let PublicKey::Ec { x, y, .. } = &issuer.public().key else { panic!("an EC key") };
    let zero = URL_SAFE_NO_PAD.encode([0; 32]);
    let short = URL_SAFE_NO_PAD.encode([1; 31]);
    let long = URL_SAFE_NO_PAD.encode([1; 33]);
    for (key, expected) in [
        (point(y, x), "not a point"),
        (point(&zero, &zero), "not a point"),
        (point(x, &short), "32 bytes"),
        (point(&long, &short), "32 bytes"),
        (point("", ""), "not a point"),
        (point("!", y), "base64url"),
        (PublicKey::Ec { crv: "P-384".to_owned(), x: x.clone(), y: y.clone() }, "crv"),
    ] {
        let reason = reason(&json!([PublishedKey::new(Algorithm::Es256, key)]));
        assert!(reason.contains(expected), "{reason}");
    }
}

#[test]
fn keys_for_anything_else_than_verifying_our_tokens_are_refused() {
    let good = rsa(256, &[1, 0, 1]);
    for (changes, expected) in [
        (json!({"kid": "mine"}), "thumbprint"),
        (json!({"use": "enc"}), "use must be sig"),
        (json!({"use": null}), "not all there"),
        (json!({"alg": "HS256"}), "alg is none"),
        (json!({"alg": "none"}), "alg is none"),
        (json!({"alg": "RS512"}), "alg is none"),
        (json!({"alg": null}), "alg is none"),
        (json!({"alg": "ES256"}), "alg is not one of kty"),
        (json!({"kty": "oct", "k": "AAAA"}), "private members"),
        (json!({"kty": "OKP"}), "not all there"),
        (json!({"key_ops": ["sign"]}), "key_ops"),
        (json!({"key_ops": ["verify", "sign"]}), "key_ops"),
        (json!({"key_ops": []}), "key_ops"),
        (json!({"key_ops": "verify"}), "not all there"),
        (json!({"not_after": "soon"}), "not all there"),
        (json!({"n": "a+/="}), "base64url"),
    ] {
        let reason = reason(&json!([with(&good, &changes)]));
        assert!(reason.contains("key number 1") && reason.contains(expected), "{changes}: {reason}");
    }
    let point = Issuer::generate_for(Algorithm::Es256);
    assert!(reason(&json!([with(point.public(), &json!({"alg": "RS256"}))])).contains("not one of kty"));
}

#[test]
fn a_private_key_is_never_taken_for_a_public_one_and_never_shown() {
    for member in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
        let good = rsa(256, &[1, 0, 1]);
        let mut private = with(&good, &json!({}));
        private[member] = json!("c2VjcmV0");
        let reason = reason(&json!([good, private]));
        assert!(reason.contains("key number 2: it holds private members"), "{reason}");
        assert!(!reason.contains("c2VjcmV0"), "{reason}");
    }
}

#[test]
fn a_set_that_is_ambiguous_or_empty_is_refused() {
    let good = json!(rsa(256, &[1, 0, 1]));
    assert_eq!(reason(&json!([good, good])), "key number 2 is there twice");
    assert_eq!(reason(&json!([])), "it holds no key");
    let twice = good.to_string().replacen('{', r#"{"use":"sig","#, 1);
    for text in [
        format!(r#"{{"issuer":"i","audience":"a","keys":[{twice}]}}"#),
        format!(r#"{{"issuer":"evil","issuer":"i","audience":"a","keys":[{good}]}}"#),
        format!(r#"["i","a",[{good}]]"#),
        format!(r#"{{"issuer":"i","audience":"a","keys":{good}}}"#),
        String::new(),
    ] {
        let reason = KeySet::parse(&text).unwrap_err().to_string();
        assert!(reason.contains("not a JSON object"), "{reason}");
    }
    let nobody = format!(r#"{{"issuer":"","audience":"a","keys":[{good}]}}"#);
    assert!(KeySet::parse(&nobody).unwrap_err().to_string().contains("must not be empty"));
}
