//! Makes the first key pairs when the stack is created: the CloudFormation custom resource `KeyPair`.
//!
//! CloudFormation invokes the function with a request and waits until an answer is put to the request's `ResponseURL`.
//! <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/crpg-ref.html>
//!
//! Running it twice is running it once. The verification keys are written first and the signing keys last, so that a run
//! that ends in between leaves no signing keys, and the next one starts over; no token exists by then. Signing keys that
//! are there stay, unread: this function may write private keys but not read them.

use std::time::Duration;

use aws_lc_rs::error::Unspecified;
use aws_sdk_secretsmanager::Client;
use aws_smithy_http_client::Connector;
use aws_smithy_runtime_api::client::http::HttpConnector as _;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::http::HttpError;
use aws_smithy_types::body::SdkBody;
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use shared::clock::Clock;
use shared::config::{ConfigError, Env};
use shared::problem::Chain;
use shared::token::VerificationKeys;
use tokio::time::timeout;

use crate::keys::{KeyKind, SigningKey, SigningSecret};
use crate::published::{PublishError, Published, with_more};
use crate::secrets::{CURRENT, Secret, SecretError, Which};

/// How much of an error CloudFormation gets to see, in characters; its limit is 4096 bytes for the whole answer.
const MAX_REASON: usize = 1000;
/// How long the answer may take to arrive.
const PATIENCE: Duration = Duration::from_secs(10);

/// What CloudFormation asks for.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Event {
    request_type: String,
    #[serde(rename = "ResponseURL")]
    response_url: String,
    stack_id: String,
    request_id: String,
    logical_resource_id: String,
    physical_resource_id: Option<String>,
    /// Looked at only where the request is not a deletion.
    #[serde(default)]
    resource_properties: Value,
}

/// What the template says about the keys.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Properties {
    issuer: String,
    audience: String,
}

/// The custom resource.
#[derive(Debug)]
pub struct Bootstrap {
    signing: Secret,
    verification: Secret,
    published: Published,
    kind: KeyKind,
    clock: Clock,
    answers: Connector,
}

/// CloudFormation could not be answered; Lambda runs the function again.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// `ResponseURL` is none.
    #[error("ResponseURL is not a URL")]
    Url(#[source] HttpError),
    /// The answer did not arrive.
    #[error("the answer to CloudFormation did not arrive")]
    Lost(#[source] ConnectorError),
    /// The answer did not arrive in time.
    #[error("the answer to CloudFormation takes too long")]
    Late,
    /// The answer was refused.
    #[error("the answer to CloudFormation was refused with status {0}")]
    Refused(u16),
}

/// The keys could not be made; goes to CloudFormation as the reason.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("RequestType is not Create, Update or Delete")]
    RequestType,
    #[error("ResourceProperties need Issuer and Audience")]
    Properties,
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error(transparent)]
    Published(#[from] PublishError),
    #[error(
        "there are signing keys, but secret {0} is empty: publish their public halves there, see keys/README.md"
    )]
    Unpublished(String),
    #[error("cannot generate a key pair")]
    Generate(#[from] Unspecified),
    #[error("cannot encode the keys")]
    Encode(#[from] serde_json::Error),
}

impl Bootstrap {
    /// Works on the secrets that `SIGNING_KEY_SECRET` and `VERIFICATION_KEYS_SECRET` name, and makes keys as
    /// `SIGNING_ALGORITHM` and `SIGNING_KEY_BITS` say; answers through `answers`.
    pub fn new(env: &Env, client: &Client, clock: Clock, answers: Connector) -> Result<Self, ConfigError> {
        let secret = |name| Ok::<_, ConfigError>(Secret::new(client.clone(), env.required(name)?));
        Ok(Self {
            signing: secret("SIGNING_KEY_SECRET")?,
            verification: secret("VERIFICATION_KEYS_SECRET")?,
            published: Published::new(secret("VERIFICATION_KEYS_SECRET")?),
            kind: KeyKind::from_env(env)?,
            clock,
            answers,
        })
    }

    /// Does what the request asks for and answers it, whatever comes of it.
    pub async fn handle(&self, event: &Event) -> Result<(), AnswerError> {
        let outcome = self.act(event).await;
        let (status, reason) = match &outcome {
            Ok(()) => ("SUCCESS", String::new()),
            Err(error) => {
                tracing::error!(error = %Chain(error), "the keys were not made");
                ("FAILED", Chain(error).to_string().chars().take(MAX_REASON).collect())
            }
        };
        let answer = json!({
            "Status": status,
            "Reason": reason,
            // Another id would be another resource: CloudFormation would delete the first.
            "PhysicalResourceId": event.physical_resource_id.as_ref().unwrap_or(&event.logical_resource_id),
            "StackId": event.stack_id,
            "RequestId": event.request_id,
            "LogicalResourceId": event.logical_resource_id,
        });
        self.answer(&event.response_url, &answer).await
    }

    async fn act(&self, event: &Event) -> Result<(), Failed> {
        match event.request_type.as_str() {
            "Create" | "Update" => {
                let properties = Properties::deserialize(&event.resource_properties);
                self.ensure_keys(properties.map_err(|_| Failed::Properties)?).await
            }
            // The secrets are resources of the stack: CloudFormation deletes them.
            "Delete" => Ok(()),
            _ => Err(Failed::RequestType),
        }
    }

    async fn ensure_keys(&self, properties: Properties) -> Result<(), Failed> {
        let Properties { issuer, audience } = &properties;
        let addressed = |keys| VerificationKeys { issuer: issuer.clone(), audience: audience.clone(), keys };
        let has_keys = self.signing.labels().await?.values().flatten().any(|label| label == CURRENT);
        if has_keys && self.published.read().await?.is_some() {
            let readdress = async |before: Option<&VerificationKeys>| {
                Ok::<_, Failed>(addressed(before.map(|before| before.keys.clone()).unwrap_or_default()))
            };
            return self.published.update(readdress).await;
        }
        // Not what a run of this function leaves, which publishes first: somebody's own keys. An empty value, which only
        // emulators of CloudFormation give to both secrets, is none of that.
        if has_keys && self.verification.get(Which::Label(CURRENT)).await?.is_none() {
            return Err(Failed::Unpublished(self.verification.name().to_owned()));
        }
        let generate = || SigningKey::generate(self.kind);
        let ((current_key, current), (next_key, next)) = (generate()?, generate()?);
        let made = [current_key.public().clone(), next_key.public().clone()];
        // Beside what is there: perhaps this function runs twice at once, and the other run's signing keys are written last.
        let publish = async |before: Option<&VerificationKeys>| {
            let keys = before.map(|before| before.keys.as_slice()).unwrap_or_default();
            Ok::<_, Failed>(addressed(with_more(keys, &made, self.clock.now())))
        };
        self.published.update(publish).await?;
        let secret = serde_json::to_string(&SigningSecret { current, next: Some(next) })?;
        self.signing.put(secret, CURRENT, None).await?;
        Ok(())
    }

    /// Puts the answer to the presigned URL: without a content type, which is not in its signature.
    async fn answer(&self, url: &str, answer: &Value) -> Result<(), AnswerError> {
        let mut request = HttpRequest::new(SdkBody::from(answer.to_string()));
        request
            .set_method(Method::PUT.as_str())
            .and_then(|()| request.set_uri(url))
            .map_err(AnswerError::Url)?;
        let response = timeout(PATIENCE, self.answers.call(request)).await.map_err(|_| AnswerError::Late)?;
        let status = response.map_err(AnswerError::Lost)?.status();
        if status.is_success() { Ok(()) } else { Err(AnswerError::Refused(status.as_u16())) }
    }
}

#[cfg(test)]
mod tests {
    use shared::aws::Aws;

    use super::*;
    use crate::State;
    use crate::testing::{FakeAws, SIGNING, VERIFICATION};

    const API: &str = "https://api.example.com";

    fn request(fake: &FakeAws, kind: &str, issuer: &str) -> Value {
        json!({
            "RequestType": kind,
            "ResponseURL": fake.response_url(),
            "StackId": "arn:stack",
            "RequestId": "42",
            "ResourceType": "Custom::KeyPair",
            "LogicalResourceId": "KeyPair",
            "ResourceProperties": {"ServiceToken": "arn", "ServiceTimeout": "120", "Issuer": issuer, "Audience": issuer},
        })
    }

    /// The answer to `request`, without its content type.
    async fn run(fake: &FakeAws, request: Value) -> Value {
        let env = fake.env([]);
        let secrets = Aws::new(&env).unwrap().secrets_manager();
        let answers = Connector::builder().build_http();
        let bootstrap = Bootstrap::new(&env, &secrets, Clock::system(), answers).unwrap();
        bootstrap.handle(&serde_json::from_value(request).unwrap()).await.unwrap();
        let (headers, answer) = fake.answer();
        assert!(headers.get("content-type").is_none_or(http::HeaderValue::is_empty), "{headers:?}");
        assert!(headers.contains_key("content-length"), "S3 takes no chunked upload");
        assert_eq!((&answer["StackId"], &answer["RequestId"]), (&json!("arn:stack"), &json!("42")));
        assert_eq!(answer["LogicalResourceId"], "KeyPair");
        answer
    }

    #[tokio::test]
    async fn a_new_stack_gets_keys_that_auth_starts_with() {
        let fake = FakeAws::new().await;
        let answer = run(&fake, request(&fake, "Create", API)).await;
        assert_eq!(
            (&answer["Status"], &answer["PhysicalResourceId"]),
            (&json!("SUCCESS"), &json!("KeyPair"))
        );
        // Verification keys first: what is signed can be verified at any time.
        assert_eq!(
            fake.calls(),
            [
                format!("DescribeSecret {SIGNING}"),
                format!("GetSecretValue {VERIFICATION}"),
                format!("PutSecretValue {VERIFICATION}"),
                format!("PutSecretValue {SIGNING}")
            ]
        );

        let env = fake.env([]);
        let state = State::new(&env, &Aws::new(&env).unwrap()).await.unwrap();
        let keys = state.verifier.keys().await;
        assert_eq!((keys.document().issuer.as_str(), keys.document().audience.as_str()), (API, API));
        let signing = fake.secret(SIGNING);
        let published: Vec<_> = keys.document().keys.iter().map(|key| json!(key.kid)).collect();
        assert_eq!(published, [signing["current"]["kid"].clone(), signing["next"]["kid"].clone()]);
        assert_ne!(published[0], published[1]);
        assert!(!fake.secret(VERIFICATION).to_string().contains("PRIVATE"));
    }

    #[tokio::test]
    async fn empty_secrets_are_none() {
        let fake = FakeAws::new().await;
        fake.put_empty(SIGNING);
        fake.put_empty(VERIFICATION);
        assert_eq!(run(&fake, request(&fake, "Create", API)).await["Status"], "SUCCESS");
        assert!(fake.secret(SIGNING)["current"]["kid"].is_string());
    }

    #[tokio::test]
    async fn signing_keys_that_nobody_published_stay_and_the_answer_says_what_to_do() {
        let fake = FakeAws::new().await;
        fake.put_empty(SIGNING);
        let answer = run(&fake, request(&fake, "Create", API)).await;
        assert_eq!(answer["Status"], "FAILED");
        let reason = answer["Reason"].as_str().unwrap();
        assert!(reason.contains(VERIFICATION) && reason.contains("keys/README.md"), "{reason}");
        assert!(!fake.calls().iter().any(|call| call.starts_with("Put")), "{:?}", fake.calls());
    }

    #[tokio::test]
    async fn keys_that_are_there_stay_and_are_not_read_while_the_issuer_follows_the_template() {
        let fake = FakeAws::with_good_keys().await;
        let (signing, verification) = (fake.secret(SIGNING), fake.secret(VERIFICATION));
        fake.refuse(&format!("GetSecretValue {SIGNING}"));
        let mut update = request(&fake, "Update", API);
        update["PhysicalResourceId"] = json!("an-older-name");
        let answer = run(&fake, update.clone()).await;
        assert_eq!(
            (&answer["Status"], &answer["PhysicalResourceId"]),
            (&json!("SUCCESS"), &json!("an-older-name"))
        );
        let mut expected = verification;
        (expected["issuer"], expected["audience"]) = (json!(API), json!(API));
        assert_eq!((fake.secret(SIGNING), fake.secret(VERIFICATION)), (signing, expected));

        let writes = |fake: &FakeAws| fake.calls().iter().filter(|call| call.starts_with("Put")).count();
        assert_eq!(writes(&fake), 1);
        run(&fake, update).await;
        assert_eq!(writes(&fake), 1, "nothing differs, nothing is written");
    }

    #[tokio::test]
    async fn a_run_that_ended_halfway_is_made_good_by_the_next() {
        let fake = FakeAws::new().await;
        fake.refuse(&format!("PutSecretValue {SIGNING}"));
        let answer = run(&fake, request(&fake, "Create", API)).await;
        assert_eq!(answer["Status"], "FAILED");
        let reason = answer["Reason"].as_str().unwrap();
        assert!(reason.contains(SIGNING) && !reason.contains("PRIVATE"), "{reason}");
        assert!(fake.secret(SIGNING).is_null() && !fake.secret(VERIFICATION).is_null());

        fake.refuse("nothing");
        assert_eq!(run(&fake, request(&fake, "Create", API)).await["Status"], "SUCCESS");
        let env = fake.env([]);
        State::new(&env, &Aws::new(&env).unwrap()).await.unwrap();
    }

    #[tokio::test]
    async fn two_runs_at_once_leave_keys_that_auth_starts_with() {
        let fake = FakeAws::new().await;
        let env = fake.env([]);
        let run = || async {
            let secrets = Aws::new(&env).unwrap().secrets_manager();
            let answers = Connector::builder().build_http();
            let bootstrap = Bootstrap::new(&env, &secrets, Clock::system(), answers).unwrap();
            let event = serde_json::from_value(request(&fake, "Create", API)).unwrap();
            bootstrap.act(&event).await.unwrap();
        };
        tokio::join!(run(), run(), run());
        State::new(&env, &Aws::new(&env).unwrap()).await.unwrap();
        let published = fake.secret(VERIFICATION)["keys"].as_array().unwrap().len();
        assert!(published >= 4, "only {published} keys: the runs were not at once");
    }

    #[tokio::test]
    async fn deleting_touches_nothing() {
        let fake = FakeAws::with_good_keys().await;
        let mut delete = request(&fake, "Delete", API);
        delete["ResourceProperties"] = json!({});
        assert_eq!(run(&fake, delete).await["Status"], "SUCCESS");
        assert!(fake.calls().is_empty());
    }

    #[tokio::test]
    async fn a_request_that_cannot_be_met_is_answered_too() {
        let fake = FakeAws::new().await;
        let mut without_issuer = request(&fake, "Create", API);
        without_issuer["ResourceProperties"] = json!({"Audience": API});
        for (request, reason) in [
            (without_issuer, "Issuer"),
            (request(&fake, "Create", ""), "issuer"),
            (request(&fake, "Rename", API), "RequestType"),
        ] {
            let answer = run(&fake, request).await;
            assert_eq!(answer["Status"], "FAILED");
            assert!(answer["Reason"].as_str().unwrap().contains(reason), "{answer}");
        }
        assert!(fake.secret(SIGNING).is_null() && fake.secret(VERIFICATION).is_null());
    }
}
