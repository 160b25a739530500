//! Arbitrary `Authorization` headers: the verifier never panics, and accepts the very token that was signed and no other.
#![no_main]

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use shared::clock::Clock;
use shared::token::{KeySet, Verifier};
use tokio::runtime::{Builder, Runtime};

/// Public keys; the private one was forgotten when the token was signed (tests/examples/sign_seeds.rs).
const KEYS: &str = include_str!("../seeds/token.keys.json");
/// `Bearer` and the one good token, which begins in 2026 and is good for 15 minutes.
const GOOD: &str = include_str!("../seeds/token/good");

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().build().expect("a runtime"));

static VERIFIER: LazyLock<Verifier> = LazyLock::new(|| {
    let keys = KeySet::parse(KEYS).expect("good keys");
    let now: Timestamp = "2026-01-01T00:00:00Z".parse().expect("a time");
    let verifier = Verifier::fixed(keys, Clock::fixed(now));
    let good = HeaderValue::from_static(GOOD);
    RUNTIME.block_on(verifier.authenticate(&good)).expect("the good token is accepted, or nothing is tested");
    verifier
});

fuzz_target!(|input: &[u8]| {
    check(input);
    // The token's own header is behind base64url, where few mutations would reach it.
    let (_, signed) = GOOD.split_once('.').expect("a token");
    check(format!("Bearer {}.{signed}", URL_SAFE_NO_PAD.encode(input)).as_bytes());
});

fn check(authorization: &[u8]) {
    let Ok(header) = HeaderValue::from_bytes(authorization) else { return };
    if RUNTIME.block_on(VERIFIER.authenticate(&header)).is_ok() {
        // The scheme may be in any case.
        assert_eq!(authorization["Bearer".len()..], GOOD.as_bytes()["Bearer".len()..]);
    }
}
