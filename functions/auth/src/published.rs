//! The verification-keys secret as its two writers change it, bootstrap and rotation: none loses what the other wrote.

use jiff::{SignedDuration, Timestamp};
use shared::token::{InvalidKeys, KeySet, LIFETIME, PublishedKey, VerificationKeys};

use crate::secrets::{CURRENT, Secret, SecretError, Which};
use crate::signing;

/// The label of versions that are not current yet.
const DRAFT: &str = "DRAFT";
/// How often a change is tried anew when others change the secret at the same time.
const ATTEMPTS: usize = 5;

/// How long tokens of a retired key are still accepted: until every running function has noticed, the last token that it
/// signed until then has expired, and five minutes more, for clocks that differ and for reads of the secret that failed.
const RETIREMENT: SignedDuration = SignedDuration::from_secs(
    signing::SCHEDULE.max_age.as_secs() + LIFETIME.as_secs() + SignedDuration::from_mins(5).as_secs(),
);

/// The verification-keys secret.
#[derive(Debug)]
pub(crate) struct Published {
    secret: Secret,
}

/// The published keys cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PublishError {
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error("secret {name} does not hold verification keys")]
    Content { name: String, source: InvalidKeys },
    #[error("others change secret {0} all the time")]
    Busy(String),
    #[error("cannot encode the verification keys")]
    Encode(#[from] serde_json::Error),
}

impl Published {
    pub(crate) fn new(secret: Secret) -> Self {
        Self { secret }
    }

    /// The keys; `None` where the secret has no content yet.
    pub(crate) async fn read(&self) -> Result<Option<KeySet>, PublishError> {
        Ok(self.read_version().await?.1)
    }

    /// The id of the current version, and what it holds.
    async fn read_version(&self) -> Result<(Option<String>, Option<KeySet>), PublishError> {
        let Some(version) = self.secret.get(Which::Label(CURRENT)).await? else { return Ok((None, None)) };
        // Emulators of CloudFormation give an empty value to a secret that AWS makes without one.
        if version.content.is_empty() {
            return Ok((Some(version.id), None));
        }
        let keys = KeySet::parse(&version.content).map_err(|source| self.unusable(source))?;
        Ok((Some(version.id), Some(keys)))
    }

    /// Replaces what is published by what `change` makes of it. `change` runs again when somebody else wrote meanwhile:
    /// whatever it looks at besides must be looked at inside it.
    pub(crate) async fn update<E: From<PublishError>>(
        &self,
        change: impl AsyncFn(Option<&VerificationKeys>) -> Result<VerificationKeys, E>,
    ) -> Result<(), E> {
        for _ in 0..ATTEMPTS {
            let (version, before) = self.read_version().await?;
            let before = before.as_ref().map(KeySet::document);
            let after = change(before).await?;
            if before == Some(&after) {
                return Ok(());
            }
            match self.replace(version.as_deref(), after).await {
                Err(PublishError::Secret(error)) if error.is_conflict() => {}
                outcome => return Ok(outcome?),
            }
        }
        Err(PublishError::Busy(self.secret.name().to_owned()).into())
    }

    async fn replace(&self, version: Option<&str>, document: VerificationKeys) -> Result<(), PublishError> {
        // What is written must be readable: no service starts without it.
        let keys = KeySet::new(document).map_err(|source| self.unusable(source))?;
        let (draft, is_current) =
            self.secret.put(serde_json::to_string(keys.document())?, DRAFT, None).await?;
        if !is_current {
            self.secret.make_current(&draft, version).await?;
        }
        Ok(())
    }

    fn unusable(&self, source: InvalidKeys) -> PublishError {
        PublishError::Content { name: self.secret.name().to_owned(), source }
    }
}

/// The keys to publish when `held` are those that sign now or may sign next: all of these, without an end; the others,
/// which nobody holds any more, until [`RETIREMENT`] after it was noticed; and no key whose end has passed.
pub(crate) fn with_held(before: &[PublishedKey], held: &[PublishedKey], now: Timestamp) -> Vec<PublishedKey> {
    let is_held = |key: &PublishedKey| held.iter().any(|held| held.kid == key.kid);
    let mut keys = Vec::new();
    for key in before {
        let not_after = match key.not_after {
            _ if is_held(key) => None,
            Some(not_after) => Some(not_after),
            None => Some(now + RETIREMENT),
        };
        if not_after.is_none_or(|not_after| now <= not_after) {
            keys.push(PublishedKey { not_after, ..key.clone() });
        }
    }
    with_more(&keys, held, now)
}

/// What is published, and those of `more` that are not yet.
pub(crate) fn with_more(before: &[PublishedKey], more: &[PublishedKey], now: Timestamp) -> Vec<PublishedKey> {
    let mut keys = before.to_vec();
    for key in more {
        if !keys.iter().any(|there| there.kid == key.kid) {
            keys.push(PublishedKey { published_at: Some(now), ..key.clone() });
        }
    }
    keys
}
