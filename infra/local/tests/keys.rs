//! The key pair: what is made, what is accepted, what is refused.

#![expect(clippy::unwrap_used, reason = "a test panics")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process;

use auth::keys::{SigningKey, SigningSecret};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use local::keys::Keys;
use pem::Pem;
use shared::token::KeySet;

/// A directory that a test has for itself, deleted afterwards.
struct Scratch(PathBuf);

impl Scratch {
    fn new(test: &str) -> Self {
        let path = std::env::temp_dir().join(format!("local-keys-{test}-{}", process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn keys(&self) -> anyhow::Result<Keys> {
        Keys::load_or_make(&self.0.join("keys"), &self.0.join("state"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join("keys").join(name)
    }

    fn error(&self) -> String {
        format!("{:#}", self.keys().unwrap_err())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// The PKCS#1 key inside a PKCS#8 one: after 26 bytes of version, algorithm and lengths (RFC 5208 §5), for 2048 bits.
fn to_pkcs1(pkcs8: &str) -> String {
    let parsed = pem::parse(pkcs8).unwrap();
    pem::encode(&Pem::new("RSA PRIVATE KEY", &parsed.contents()[26..]))
}

#[test]
fn a_pair_is_made_once_and_is_private() {
    let scratch = Scratch::new("made");
    let keys = scratch.keys().unwrap();
    assert_eq!(mode(&scratch.path("private.pem")), 0o600);
    assert_eq!(mode(&scratch.0.join("state/next.pem")), 0o600);
    assert!(fs::read_to_string(scratch.path("public.pem")).unwrap().contains("BEGIN PUBLIC KEY"));
    assert_eq!(fs::read_dir(scratch.0.join("keys")).unwrap().count(), 2, "no draft is left");
    let again = scratch.keys().unwrap();
    assert_eq!(again.signing_secret(), keys.signing_secret());
    let kids: Vec<_> = keys.verification_secret("http://x")["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key["kid"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(kids.len(), 2);
    assert_ne!(kids[0], kids[1]);
    assert_eq!(kids[0], keys.signing_secret()["current"]["kid"]);
    assert_eq!(kids[1], keys.signing_secret()["next"]["kid"]);
}

#[test]
fn the_functions_accept_both_secrets() {
    let scratch = Scratch::new("accepted");
    let keys = scratch.keys().unwrap();
    let signing = SigningSecret::parse(&keys.signing_secret().to_string()).unwrap();
    let published = KeySet::parse(&keys.verification_secret("http://x").to_string()).unwrap();
    let halves = [signing.current, signing.next.unwrap()];
    let halves = halves.map(|stored| SigningKey::parse(&stored).unwrap().public().clone());
    assert_eq!(published.document().keys, halves);
}

#[test]
fn an_openssl_pair_in_either_format_is_the_same_key() {
    let scratch = Scratch::new("formats");
    let kid = scratch.keys().unwrap().kid().to_owned();
    let pkcs8 = fs::read_to_string(scratch.path("private.pem")).unwrap();
    fs::write(scratch.path("private.pem"), to_pkcs1(&pkcs8)).unwrap();
    fs::set_permissions(scratch.path("private.pem"), Permissions::from_mode(0o644)).unwrap();
    assert_eq!(scratch.keys().unwrap().kid(), kid);
    assert_eq!(mode(&scratch.path("private.pem")), 0o600, "a lax mode is tightened");
}

#[test]
fn a_missing_public_key_is_derived() {
    let scratch = Scratch::new("derived");
    scratch.keys().unwrap();
    let public = fs::read_to_string(scratch.path("public.pem")).unwrap();
    fs::remove_file(scratch.path("public.pem")).unwrap();
    scratch.keys().unwrap();
    assert_eq!(fs::read_to_string(scratch.path("public.pem")).unwrap(), public);
}

#[test]
fn halves_of_different_pairs_are_refused() {
    let (scratch, other) = (Scratch::new("mixed"), Scratch::new("mixed-other"));
    scratch.keys().unwrap();
    other.keys().unwrap();
    fs::copy(other.path("public.pem"), scratch.path("public.pem")).unwrap();
    assert!(scratch.error().contains("does not belong to private.pem"), "{}", scratch.error());
}

#[test]
fn what_is_no_strong_rsa_key_is_refused() {
    let scratch = Scratch::new("refused");
    fs::create_dir_all(scratch.0.join("keys")).unwrap();
    let weak = STANDARD.decode(WEAK.concat()).unwrap();
    let weak = pem::encode(&Pem::new("RSA PRIVATE KEY", weak));
    let cases = [
        (weak.as_str(), "2048"),
        ("not a key", "not a PEM file"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "CERTIFICATE"),
    ];
    for (text, expected) in cases {
        fs::write(scratch.path("private.pem"), text).unwrap();
        let error = scratch.error();
        assert!(error.contains(expected) && error.contains("private.pem"), "{error}");
    }
}

/// A PKCS#1 key of 1024 bits, made for this test.
const WEAK: &[&str] = &[
    "MIICXgIBAAKBgQDTrsTd93uMceBCA/JUyoGUaLO47m5R4lmA0IPp7mdk2MlNFUww",
    "MDBwhLp1xJTxcWuIhFQ8oCAtYhHDfuYDBn3zivSXFK5HZOlhYfMtIEbIlT0JPrEr",
    "pSC0aVdhTmb+OUirb+OfzQEq1mbDhiVq9Wph0NwAWjIPVE7/QuoqLX3YOwIDAQAB",
    "AoGBAMyR/rFgZWbR+l7x/3RQDDBHi0AyNC0wKT0ixgkCG6vLEadL6Mg9GeLzclsz",
    "spku+jQBZoL8YHxbZT1f2pub34UGCA451WQqEWBvAb0pgX1jkZh4eWoG3TK+pv6n",
    "DATHzKW5X0A94jlrvu1RE5uaps24nGIH83fIP61IJnGgenoJAkEA9MCzmF5SKGQl",
    "iaTpUTJK7iRYQnu28AOieTHUMsri8GpeFbezqS37tXW6gqlzFDHQTfHf/DXhJxnI",
    "lO4tImGMnwJBAN1pBxmf2y0AQxlJyin5UBdQhO9pjRqWR3FPT9jeoF9KqXgkodjy",
    "9ggR2RA4jI0wsW3rhLE2PJds+pmdH6a8MuUCQQCHUYt6MJvn7Qa8BUtiMxYueDW7",
    "/D52kOvhaeVSd83k8ko2Y6yXWu8Rspd96kXP4oKytYoLHZbwUVcO0Ghv29MtAkA1",
    "YdI1amZUtkB3Q2Q7tIGL7XzvoDpGE7+L4Tx2JE70SrMLZYGkJggNsAfuskOo8vmE",
    "cAlhFJuNQtg02z47XBrFAkEAnHHNxZszWFePVGTZr0Dzj5OkXsnGx91FbESt+6yO",
    "PBywlV6rPoaWJTGh6dPmjHr12NHgVJ1o4xxiaKA1wqhNqg==",
];
