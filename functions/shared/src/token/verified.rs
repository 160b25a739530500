//! Tokens that were verified before. A client sends the same token with every request of a quarter of an hour, and checking an RSA
//! signature takes longer than all else that is done with it.
//!
//! # Why that is safe
//!
//! - What is found is what was verified: by SHA-256 over the whole token, signature included. Another token with the same digest would
//!   be a collision, which nobody can make; so no part of a token can be changed and still be found.
//! - Nothing gets in but tokens whose signature, issuer, audience and claims were found good. What anybody can send without a key of
//!   ours takes no place here.
//! - What can change since is checked each time, as it is for every other token: whether the token or its key ended, and whether the
//!   session was revoked.
//! - A set of keys has its tokens to itself. When the keys are read again, it goes with all it knew, so that a key that was taken away
//!   (a leaked one, say) is gone with the tokens that it signed.
//! - It stays in the memory of one function, which holds the tokens themselves anyway while it works; what is kept, digests and
//!   claims, gives nobody access.
//! - There is an upper bound. Beyond it the oldest go, which costs a verification and refuses nobody.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use jiff::Timestamp;

use super::Claims;

/// Tokens in each of the two generations: with their claims, less than a megabyte in all.
const GENERATION: usize = 512;

/// What never changes about a token that a set of keys has verified.
#[derive(Debug)]
pub(super) struct Verified {
    pub(super) claims: Claims,
    /// When its key ends.
    pub(super) key_ends: Option<Timestamp>,
}

/// A token, as it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct TokenDigest([u8; SHA256_OUTPUT_LEN]);

impl TokenDigest {
    pub(super) fn of(token: &str) -> Self {
        let mut bytes = [0; SHA256_OUTPUT_LEN];
        bytes.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        Self(bytes)
    }
}

/// The tokens that a set of keys has verified.
#[derive(Debug, Default)]
pub(super) struct VerifiedTokens(Mutex<Generations>);

/// Whatever is asked for moves to the young. When they are too many, they become the old, and what nobody asked for since the last time
/// goes.
#[derive(Debug, Default)]
struct Generations {
    young: HashMap<TokenDigest, Arc<Verified>>,
    old: HashMap<TokenDigest, Arc<Verified>>,
}

impl VerifiedTokens {
    pub(super) fn get(&self, token: &TokenDigest) -> Option<Arc<Verified>> {
        let mut kept = self.kept();
        if let Some(verified) = kept.young.get(token) {
            return Some(Arc::clone(verified));
        }
        let verified = kept.old.remove(token)?;
        kept.put(*token, &verified);
        Some(verified)
    }

    pub(super) fn put(&self, token: TokenDigest, verified: &Arc<Verified>) {
        self.kept().put(token, verified);
    }

    fn kept(&self) -> MutexGuard<'_, Generations> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Generations {
    fn put(&mut self, token: TokenDigest, verified: &Arc<Verified>) {
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(token, Arc::clone(verified));
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use crate::testing::issuer;

    use super::*;

    fn verified() -> Arc<Verified> {
        let claims = issuer().claims(Uuid::nil(), "mahindra", Timestamp::UNIX_EPOCH);
        Arc::new(Verified { claims, key_ends: None })
    }

    #[test]
    fn what_is_asked_for_stays_and_the_others_go() {
        let (tokens, verified) = (VerifiedTokens::default(), verified());
        let digest = |number: usize| TokenDigest::of(&number.to_string());
        tokens.put(digest(0), &verified);
        for number in 1..10 * GENERATION {
            tokens.put(digest(number), &verified);
            assert!(tokens.get(&digest(0)).is_some(), "after {number}");
            let kept = tokens.kept();
            assert!(kept.young.len() + kept.old.len() <= 2 * GENERATION, "after {number}");
        }
        assert!(tokens.get(&digest(1)).is_none());
        assert!(tokens.get(&digest(10 * GENERATION - 1)).is_some());
    }
}
