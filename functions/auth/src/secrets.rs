//! A secret of Secrets Manager with its versions, as bootstrap and rotation change them.
//!
//! A version's content never changes; labels move from version to version, and `AWSCURRENT` is what everybody reads.
//! Moving a label away from the version that one has read is Secrets Manager's compare-and-swap: it fails when somebody
//! else moved the label meanwhile.
//! <https://docs.aws.amazon.com/secretsmanager/latest/userguide/whats-in-a-secret.html#term_version>

use std::collections::HashMap;

use aws_sdk_secretsmanager::Client;
use aws_sdk_secretsmanager::error::{ProvideErrorMetadata, SdkError};

/// The version in use.
pub(crate) const CURRENT: &str = "AWSCURRENT";
/// The version that a rotation is making.
pub(crate) const PENDING: &str = "AWSPENDING";

/// One secret.
#[derive(Debug)]
pub(crate) struct Secret {
    client: Client,
    name: String,
}

/// One version of a secret; not `Debug`, because of what may be in it.
pub(crate) struct Version {
    pub(crate) id: String,
    pub(crate) content: String,
}

/// Which version to read.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Which<'a> {
    /// By its id.
    Id(&'a str),
    /// By its label.
    Label(&'a str),
}

/// Secrets Manager did not do as asked; names the secret, never its content.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} secret {name}")]
pub(crate) struct SecretError {
    action: &'static str,
    name: String,
    /// Secrets Manager's name of what happened, such as `ResourceNotFoundException`; `None` where it did not answer.
    code: Option<String>,
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl SecretError {
    fn is(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }

    /// Somebody else was faster: the label is elsewhere by now, or the version was made with other content.
    pub(crate) fn is_conflict(&self) -> bool {
        [
            "InvalidParameterException",
            "InvalidRequestException",
            "ResourceExistsException",
            "ResourceNotFoundException",
        ]
        .iter()
        .any(|code| self.is(code))
    }
}

impl Secret {
    pub(crate) fn new(client: Client, name: &str) -> Self {
        Self { client, name: name.to_owned() }
    }

    /// The secret's name or ARN, as configured.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The labels of each version that has one.
    pub(crate) async fn labels(&self) -> Result<HashMap<String, Vec<String>>, SecretError> {
        let described = self.client.describe_secret().secret_id(&self.name).send().await;
        let described = described.map_err(|error| self.failed("describe", error))?;
        Ok(described.version_ids_to_stages().cloned().unwrap_or_default())
    }

    /// A version; `None` where there is none, or one without content.
    pub(crate) async fn get(&self, which: Which<'_>) -> Result<Option<Version>, SecretError> {
        let get = self.client.get_secret_value().secret_id(&self.name);
        let get = match which {
            Which::Id(id) => get.version_id(id),
            Which::Label(label) => get.version_stage(label),
        };
        let got = match get.send().await.map_err(|error| self.failed("read", error)) {
            Err(error) if error.is("ResourceNotFoundException") => return Ok(None),
            got => got?,
        };
        let id = got.version_id().unwrap_or_default().to_owned();
        Ok(Some(Version { id, content: got.secret_string().unwrap_or_default().to_owned() }))
    }

    /// Makes a version with this label, and with the id `id` where there is one, and returns its id and whether it is the
    /// current one: the first version of a secret always is.
    pub(crate) async fn put(
        &self,
        content: String,
        label: &str,
        id: Option<&str>,
    ) -> Result<(String, bool), SecretError> {
        let put = self.client.put_secret_value().secret_id(&self.name).secret_string(content);
        let put = put.version_stages(label).set_client_request_token(id.map(str::to_owned));
        let put = put.send().await.map_err(|error| self.failed("write", error))?;
        let current = put.version_stages().iter().any(|label| label == CURRENT);
        Ok((put.version_id().unwrap_or_default().to_owned(), current))
    }

    /// Moves `AWSCURRENT` to version `to`, if it is still on version `from` (`None`: on no version).
    pub(crate) async fn make_current(&self, to: &str, from: Option<&str>) -> Result<(), SecretError> {
        let update = self.client.update_secret_version_stage().secret_id(&self.name).version_stage(CURRENT);
        let update = update.move_to_version_id(to).set_remove_from_version_id(from.map(str::to_owned));
        update.send().await.map(drop).map_err(|error| self.failed("promote a version of", error))
    }

    /// Takes a label from a version.
    pub(crate) async fn remove(&self, label: &str, from: &str) -> Result<(), SecretError> {
        let update = self.client.update_secret_version_stage().secret_id(&self.name).version_stage(label);
        let update = update.remove_from_version_id(from).send().await;
        update.map(drop).map_err(|error| self.failed("change a label of", error))
    }

    fn failed<E, R>(&self, action: &'static str, error: SdkError<E, R>) -> SecretError
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
        R: std::fmt::Debug + Send + Sync + 'static,
    {
        let code = error.as_service_error().and_then(|error| error.code()).map(str::to_owned);
        SecretError { action, name: self.name.clone(), code, source: error.into() }
    }
}
