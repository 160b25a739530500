//! An account's second factor: from enrolment to the codes that it accepts.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::recovery_code::{RecoveryCode, RecoveryCodeHash};
use super::totp::{Code, TotpSecret};

/// How long an enrolment waits for its confirmation: time enough to install an app, too short to be found years later.
const ENROLMENT: SignedDuration = SignedDuration::from_mins(15);

/// The second factor of an account that has one, or is about to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Factor {
    /// Not in force: a code has yet to show that an app has the secret.
    Pending(PendingFactor),
    /// In force: no login without a code.
    Enabled(EnabledFactor),
}

/// A second factor that waits for its confirmation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingFactor {
    /// What the app was given.
    pub secret: TotpSecret,
    /// When it is too late to confirm.
    pub until: Timestamp,
}

/// A second factor in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnabledFactor {
    /// What the app was given.
    pub secret: TotpSecret,
    /// The time step of the last code that was accepted: a code counts once (RFC 6238 §5.2), and none of before it.
    pub last_step: u64,
    /// The recovery codes that are left.
    pub recovery_codes: BTreeSet<RecoveryCodeHash>,
}

/// What someone shows to be the owner of the second factor.
#[derive(Debug, Clone)]
pub(crate) enum Proof {
    /// A code of the app.
    Code(Code),
    /// One of the recovery codes.
    RecoveryCode(RecoveryCode),
}

impl PendingFactor {
    /// An enrolment that begins now.
    pub(crate) fn new(secret: TotpSecret, now: Timestamp) -> Self {
        Self { secret, until: now + ENROLMENT }
    }

    /// The factor in force, where `code` is the app's.
    pub(crate) fn confirm(
        &self,
        code: &Code,
        now: Timestamp,
        recovery_codes: &[RecoveryCode],
    ) -> Option<EnabledFactor> {
        let last_step = self.secret.step(code, now)?;
        let recovery_codes = recovery_codes.iter().map(RecoveryCode::hash).collect();
        Some(EnabledFactor { secret: self.secret.clone(), last_step, recovery_codes })
    }
}

impl EnabledFactor {
    /// The factor without what `proof` uses up. Where the proof is none, the reason, for the log.
    ///
    /// It is used up when this is written, on condition that the factor is still what it was; until then it proves nothing.
    pub(crate) fn without(&self, proof: &Proof, now: Timestamp) -> Result<Self, &'static str> {
        let mut factor = self.clone();
        match proof {
            Proof::Code(code) => {
                let step = self.secret.step(code, now).ok_or("wrong_code")?;
                if step <= self.last_step {
                    return Err("used_code");
                }
                factor.last_step = step;
            }
            Proof::RecoveryCode(code) => {
                if !factor.recovery_codes.remove(&code.hash()) {
                    return Err("wrong_recovery_code");
                }
            }
        }
        Ok(factor)
    }
}

#[cfg(test)]
mod tests {
    use totp_rs::{Builder, Totp};

    use super::*;

    const SECRET: [u8; 20] = [7; 20];

    fn app() -> Totp {
        Builder::new().with_secret(SECRET).build().unwrap()
    }

    /// The app's code of this time step.
    fn code(step: u64) -> Code {
        app().generate(step * 30).to_string().try_into().unwrap()
    }

    fn at(step: i64) -> Timestamp {
        Timestamp::from_second(step * 30).unwrap()
    }

    fn enabled(last_step: u64, recovery_codes: &[RecoveryCode]) -> EnabledFactor {
        let pending = PendingFactor::new(TotpSecret::new(SECRET), at(0));
        let now = at(i64::try_from(last_step).unwrap());
        pending.confirm(&code(last_step), now, recovery_codes).unwrap()
    }

    #[test]
    fn a_code_counts_once_and_so_does_the_one_that_confirmed() {
        let factor = enabled(100, &[]);
        let proof = |step| Proof::Code(code(step));
        assert_eq!(factor.without(&proof(100), at(100)), Err("used_code"));
        assert_eq!(factor.without(&proof(99), at(100)), Err("used_code"), "none of before it either");
        let factor = factor.without(&proof(101), at(100)).unwrap();
        assert_eq!(factor.without(&proof(101), at(101)), Err("used_code"));
        assert_eq!(factor.without(&proof(103), at(101)), Err("wrong_code"));
        assert_eq!(factor.without(&proof(102), at(101)).unwrap().last_step, 102);
    }

    #[test]
    fn a_recovery_code_counts_once_and_leaves_the_others() {
        let codes = [1, 2].map(|byte| RecoveryCode::new([byte; 15]));
        let factor = enabled(100, &codes);
        let proof = |at: usize| Proof::RecoveryCode(codes[at].clone());
        let after = factor.without(&proof(0), at(100)).unwrap();
        assert_eq!(after.recovery_codes, BTreeSet::from([codes[1].hash()]));
        assert_eq!(after.without(&proof(0), at(100)), Err("wrong_recovery_code"));
        assert!(after.without(&proof(1), at(100)).unwrap().recovery_codes.is_empty());
    }

    #[test]
    fn a_factor_is_stored_without_its_recovery_codes_and_never_printed() {
        let codes = [RecoveryCode::new([1; 15])];
        let factor = Factor::Enabled(enabled(100, &codes));
        let stored = serde_json::to_string(&factor).unwrap();
        assert_eq!(serde_json::from_str::<Factor>(&stored).unwrap(), factor);
        let code = serde_json::to_string(&codes[0]).unwrap();
        assert!(!stored.contains(code.trim_matches('"')), "{stored}");
        assert!(!format!("{factor:?}").contains("A4DQ"), "{factor:?}");
    }
}
