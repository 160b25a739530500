//! The vectors of Project Wycheproof against the one signature check behind every token.
//!
//! A vector that is valid must be accepted, and every other must be refused, by its key (a small exponent, another curve) or
//! by its signature. Skipped are the sets of RSA for other parameters than ours, each with its reason: what is wrong with a
//! vector there may be that it is just as we want it. The counts make sure that no vector is passed over.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use wycheproof::{HashFunction, TestResult, ecdsa, rsa_pkcs1_verify, rsa_pss_verify};

use super::{Algorithm, Key, PublicKey, PublishedKey};

/// What became of the vectors.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    accepted: usize,
    refused: usize,
    /// Of a key that is never used.
    refused_key: usize,
    /// For another hash function than SHA-256.
    skipped_hash: usize,
    /// For another hash function in MGF1 than SHA-256.
    skipped_mask: usize,
    /// For another length of the salt than 32 bytes.
    skipped_salt: usize,
}

impl Outcome {
    /// Runs one vector, which must be accepted just if it is `good`.
    fn run(&mut self, key: Option<&Key>, message: &[u8], signature: &[u8], good: bool, what: &str) {
        let accepted = key.is_some_and(|key| key.verify(message, &URL_SAFE_NO_PAD.encode(signature)));
        assert_eq!(accepted, good, "{what}");
        match (key, accepted) {
            (None, _) => self.refused_key += 1,
            (Some(_), true) => self.accepted += 1,
            (Some(_), false) => self.refused += 1,
        }
    }
}

fn rsa(algorithm: Algorithm, modulus: &[u8], exponent: &[u8]) -> Option<Key> {
    let stripped = |number: &[u8]| number.iter().copied().skip_while(|byte| *byte == 0).collect::<Vec<_>>();
    PublishedKey::new(algorithm, PublicKey::rsa(&stripped(modulus), &stripped(exponent))).parse().ok()
}

#[test]
fn rs256() {
    let mut outcome = Outcome::default();
    for name in rsa_pkcs1_verify::TestName::all() {
        for group in rsa_pkcs1_verify::TestSet::load(name).unwrap().test_groups {
            if group.hash != HashFunction::Sha2_256 {
                outcome.skipped_hash += group.tests.len();
                continue;
            }
            let key = rsa(Algorithm::Rs256, &group.key.n, &group.key.e);
            // The only keys that are refused: e = 3.
            assert_eq!(key.is_none(), *group.key.e == [3], "{name:?}");
            for test in group.tests {
                // "Acceptable" are encodings without the NULL of RFC 8017 §9.2: RS256 must be exact.
                let good = test.result == TestResult::Valid && key.is_some();
                let what = format!("{name:?} {}: {}", test.tc_id, test.comment);
                outcome.run(key.as_ref(), &test.msg, &test.sig, good, &what);
            }
        }
    }
    let expected =
        Outcome { accepted: 28, refused: 1003, refused_key: 3, skipped_hash: 5168, ..Outcome::default() };
    assert_eq!(outcome, expected);
}

#[test]
fn ps256() {
    let mut outcome = Outcome::default();
    for name in rsa_pss_verify::TestName::all() {
        for group in rsa_pss_verify::TestSet::load(name).unwrap().test_groups {
            // RFC 7518 §3.5: SHA-256 for the message and for MGF1, and a salt as long as the hash.
            let skipped = if group.hash != HashFunction::Sha2_256 {
                &mut outcome.skipped_hash
            } else if group.mgf_hash != Some(HashFunction::Sha2_256) {
                &mut outcome.skipped_mask
            } else if group.salt_size != 32 {
                &mut outcome.skipped_salt
            } else {
                let key = rsa(Algorithm::Ps256, &group.key.n, &group.key.e);
                for test in group.tests {
                    let what = format!("{name:?} {}: {}", test.tc_id, test.comment);
                    outcome.run(key.as_ref(), &test.msg, &test.sig, test.result == TestResult::Valid, &what);
                }
                continue;
            };
            *skipped += group.tests.len();
        }
    }
    let expected = Outcome {
        accepted: 317,
        refused: 225,
        skipped_hash: 2583,
        skipped_mask: 156,
        skipped_salt: 216,
        ..Outcome::default()
    };
    assert_eq!(outcome, expected);
}

#[test]
fn es256() {
    let mut outcome = Outcome::default();
    for name in ecdsa::TestName::all() {
        // RFC 7518 §3.4: r and s, 32 bytes each, which Wycheproof calls P1363; the other sets have DER, curves or hashes.
        let fits = name == ecdsa::TestName::EcdsaSecp256r1Sha256P1363;
        for group in ecdsa::TestSet::load(name).unwrap().test_groups {
            let key = PublicKey::p256(&group.key.key);
            let key = key.and_then(|key| PublishedKey::new(Algorithm::Es256, key).parse().ok());
            for test in group.tests {
                let good = fits && test.result == TestResult::Valid;
                let what = format!("{name:?} {}: {}", test.tc_id, test.comment);
                outcome.run(key.as_ref(), &test.msg, &test.sig, good, &what);
            }
        }
    }
    assert_eq!(outcome, Outcome { accepted: 173, refused: 3227, refused_key: 26503, ..Outcome::default() });
}
