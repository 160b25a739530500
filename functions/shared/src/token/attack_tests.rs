//! The verifier under attack; the attacks are in `testing::attacks`.

use std::collections::HashSet;

use http::{HeaderValue, StatusCode};
use jiff::Timestamp;
use uuid::Uuid;

use super::{Algorithm, Verifier};
use crate::clock::Clock;
use crate::testing::{Issuer, issuer};

fn now() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

async fn refuses(verifier: &Verifier, header: &[u8], what: &str) {
    let header = HeaderValue::from_bytes(header).expect(what);
    let problem = verifier.authenticate(&header).await.expect_err(what);
    assert_eq!(problem.status(), StatusCode::UNAUTHORIZED, "{what}");
}

#[tokio::test]
async fn every_attack_is_refused_for_keys_of_every_algorithm() {
    for algorithm in [Algorithm::Rs256, Algorithm::Ps256, Algorithm::Es256] {
        let issuer = Issuer::generate_for(algorithm);
        let verifier = issuer.verifier(&Clock::fixed(now()));
        let valid = issuer.token(Uuid::from_u128(7), now());
        verifier.verify(&valid).await.unwrap();
        let attacks = issuer.bad_authorizations(Uuid::from_u128(7), now());
        let different: HashSet<&String> = attacks.iter().map(|(_, header)| header).collect();
        assert!(different.len() > 300, "only {} attacks", different.len());
        for (what, header) in &attacks {
            refuses(&verifier, header.as_bytes(), &format!("{algorithm}: {what}")).await;
        }
        // What an HTTP server would have trimmed, or refused before we see it.
        for header in [format!("Bearer {valid} "), format!(" Bearer {valid}"), format!("Bearer {valid}\t")] {
            refuses(&verifier, header.as_bytes(), "white space around it").await;
        }
        for token in
            [format!("{valid}\n"), format!("\n{valid}"), valid.replace('.', ".\n"), format!("{valid}\0")]
        {
            verifier.verify(&token).await.expect_err("a line break");
        }
    }
}

/// Each of the eight single-bit changes of each byte of the header field's value, of which some are no text and some
/// cannot even be sent. The token's first letters are the scheme's, whose case does not matter.
#[tokio::test]
async fn every_change_of_a_single_bit_is_refused() {
    for issuer in [issuer(), &Issuer::generate_for(Algorithm::Es256)] {
        let verifier = issuer.verifier(&Clock::fixed(now()));
        let token = issuer.token(Uuid::from_u128(7), now());
        let valid = format!("Bearer {token}").into_bytes();
        verifier.authenticate(&HeaderValue::from_bytes(&valid).unwrap()).await.unwrap();
        let mut refused = 0;
        for (position, bit) in (0..valid.len()).flat_map(|position| (0..8).map(move |bit| (position, bit))) {
            let mut changed = valid.clone();
            changed[position] ^= 1 << bit;
            if changed.eq_ignore_ascii_case(&valid) && position < "Bearer".len() {
                continue;
            }
            if let Ok(header) = HeaderValue::from_bytes(&changed) {
                verifier.authenticate(&header).await.expect_err("a changed bit");
            } else if let Some(text) =
                changed.strip_prefix(b"Bearer ").and_then(|token| str::from_utf8(token).ok())
            {
                verifier.verify(text).await.expect_err("a changed bit");
            }
            refused += 1;
        }
        assert_eq!(refused, valid.len() * 8 - "Bearer".len());
    }
}
