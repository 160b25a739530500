//! Password hashing: argon2id, off the async runtime.

use std::sync::Arc;

use argon2::password_hash::phc::{self, Output, Salt};
use argon2::password_hash::{self, PasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use http::StatusCode;
use shared::problem::Problem;
use tokio::sync::{AcquireError, Semaphore};
use tokio::task::{JoinError, spawn_blocking};

use crate::model::{Guessable, NewPassword, Password, PasswordHash};

/// The parameters of new hashes: 19 MiB, two passes, one lane. One of those that OWASP ASVS 5.0 (appendix C) and the
/// password storage cheat sheet approve. A hash carries its own, so these can be raised at any time: a login renews older ones.
const PARAMS: (u32, u32, u32) = (19 * 1024, 2, 1);

/// How many hashes are computed at once. A Lambda sandbox has one request and one core at most; where one process serves
/// more, this bounds their memory.
const AT_ONCE: usize = 2;

/// Hashes and verifies passwords.
#[derive(Debug, Clone)]
pub(crate) struct Passwords {
    slots: Arc<Semaphore>,
    /// The parameters of every hash that was computed: tests compare work, which is what a clock would see.
    #[cfg(test)]
    pub(crate) computed: Arc<std::sync::Mutex<Vec<String>>>,
}

/// A hash could not be computed, or a stored one not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HashingFailed {
    #[error("argon2 failed")]
    Argon2(#[from] password_hash::Error),
    #[error("the hashing thread failed")]
    Thread(#[from] JoinError),
    #[error("no hashes are computed any more")]
    Closed(#[from] AcquireError),
}

impl Default for Passwords {
    fn default() -> Self {
        Self {
            slots: Arc::new(Semaphore::new(AT_ONCE)),
            #[cfg(test)]
            computed: Arc::default(),
        }
    }
}

impl Passwords {
    /// The hash of a password that someone chooses in the body's `field`, with a salt that is like no other; a 422 where it
    /// is easy to guess, given what is known `about` the user: name, e-mail address.
    pub(crate) async fn choose(
        &self,
        field: &'static str,
        password: NewPassword,
        about: Vec<String>,
        salt: [u8; 16],
    ) -> Result<PasswordHash, Problem> {
        let checked = self.run(move || {
            let guessable = password.guessable(&about);
            guessable.map_or(Ok(password), Err)
        });
        match checked.await? {
            Ok(password) => Ok(self.hash(password.into(), salt).await?),
            Err(guessable) => Err(weak(field, guessable)),
        }
    }

    /// The hash of a password, with a salt that is like no other.
    pub(crate) async fn hash(
        &self,
        password: Password,
        salt: [u8; 16],
    ) -> Result<PasswordHash, HashingFailed> {
        let argon2 = argon2()?;
        #[cfg(test)]
        self.computed.lock().unwrap().push(argon2.params().to_string());
        let hash = self.run(move || argon2.hash_password_with_salt(password.as_bytes(), &salt)).await??;
        Ok(PasswordHash(hash.to_string()))
    }

    /// Whether `password` is the one of the stored hash. Where there is none (no such user, or a demo user), the same
    /// work is done for nothing, so that the time does not tell who exists.
    pub(crate) async fn verify(
        &self,
        password: Password,
        stored: Option<PasswordHash>,
    ) -> Result<bool, HashingFailed> {
        let argon2 = argon2()?;
        let (hash, exists) = match stored {
            Some(stored) => (phc::PasswordHash::new(&stored.0).map_err(password_hash::Error::from)?, true),
            None => (nobodys_hash(&argon2)?, false),
        };
        #[cfg(test)]
        self.computed.lock().unwrap().push(hash.params.to_string());
        match self.run(move || argon2.verify_password(password.as_bytes(), &hash)).await? {
            Ok(()) => Ok(exists),
            Err(password_hash::Error::PasswordInvalid) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, HashingFailed> {
        let slot = Arc::clone(&self.slots).acquire_owned().await?;
        let work = spawn_blocking(move || {
            // Held by the work, which goes on when the request is given up.
            let _slot = slot;
            work()
        });
        Ok(work.await?)
    }
}

impl PasswordHash {
    /// Whether it was made with other parameters than new hashes are.
    pub(crate) fn is_outdated(&self) -> bool {
        let (memory, passes, lanes) = PARAMS;
        !self.0.starts_with(&format!("$argon2id$v=19$m={memory},t={passes},p={lanes}$"))
    }
}

/// What is wrong with a password that is easy to guess.
fn weak(field: &'static str, guessable: Guessable) -> Problem {
    let problem = Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "weak-password",
        "The password is too easy to guess",
    )
    .detail("Choose a longer one: 15 characters or more are recommended, such as several words that do not belong together")
    .with("field", field)
    .with("suggestions", guessable.suggestions);
    match guessable.warning {
        Some(warning) => problem.with("warning", warning),
        None => problem,
    }
}

fn argon2() -> Result<Argon2<'static>, password_hash::Error> {
    let (memory, passes, lanes) = PARAMS;
    let params = Params::new(memory, passes, lanes, Some(Params::DEFAULT_OUTPUT_LEN))?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

/// A hash with the current parameters that no known password has.
fn nobodys_hash(argon2: &Argon2<'_>) -> Result<phc::PasswordHash, password_hash::Error> {
    Ok(phc::PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: argon2.params().try_into()?,
        salt: Some(Salt::new(&[0; 16])?),
        hash: Some(Output::new(&[0; Params::DEFAULT_OUTPUT_LEN])?),
    })
}

impl From<HashingFailed> for Problem {
    fn from(error: HashingFailed) -> Self {
        Self::internal(&error)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn password(text: &str) -> Password {
        text.to_owned().try_into().unwrap()
    }

    #[tokio::test]
    async fn a_hash_is_argon2id_with_its_parameters_and_opens_to_its_password_only() {
        let passwords = Passwords::default();
        let hash = passwords.hash(password("open sesame"), [7; 16]).await.unwrap();
        assert!(hash.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.0);
        assert!(passwords.verify(password("open sesame"), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify(password("open Sesame"), Some(hash)).await.unwrap());
    }

    #[tokio::test]
    async fn a_hash_with_older_parameters_still_opens_and_is_known_to_be_outdated() {
        let older = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(64, 1, 1, None).unwrap());
        let hash = older.hash_password_with_salt(b"open sesame", &[7; 16]).unwrap();
        let stored = PasswordHash(hash.to_string());
        assert!(stored.is_outdated());
        let passwords = Passwords::default();
        assert!(passwords.verify(password("open sesame"), Some(stored)).await.unwrap());
        assert!(!passwords.hash(password("open sesame"), [7; 16]).await.unwrap().is_outdated());
    }

    #[tokio::test]
    async fn no_more_than_two_are_worked_on_at_once() {
        let passwords = Passwords::default();
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let (passwords, now, most) = (passwords.clone(), Arc::clone(&now), Arc::clone(&most));
            tasks.spawn(async move {
                let work = move || {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    (0..10_000).for_each(|_| std::thread::yield_now());
                    now.fetch_sub(1, Ordering::SeqCst);
                };
                passwords.run(work).await.unwrap();
            });
        }
        tasks.join_all().await;
        assert!(most.load(Ordering::SeqCst) <= 2, "{most:?}");
    }

    #[tokio::test]
    async fn nobody_is_as_much_work_as_somebody() {
        let passwords = Passwords::default();
        let hash = passwords.hash(password("open sesame"), [7; 16]).await.unwrap();
        let work = |stored: Option<PasswordHash>| async {
            passwords.computed.lock().unwrap().clear();
            assert!(!passwords.verify(password("guess"), stored).await.unwrap());
            passwords.computed.lock().unwrap().clone()
        };
        assert_eq!(work(None).await, work(Some(hash)).await);
    }
}
