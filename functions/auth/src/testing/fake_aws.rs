//! Secrets Manager over HTTP, as much of it as Auth calls, and the place where CloudFormation waits for answers.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::extract::State as Shared;
use axum::response::{IntoResponse, Response};
use axum::routing::{post, put};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use shared::config::Env;
use shared::testing::issuer;
use tokio::net::TcpListener;

use super::{SIGNING, VERIFICATION, aws_env, signing_secret};

/// When all versions were made, in seconds since the epoch: 2026-01-01T00:00:00Z, when the clocks of tests start.
const MADE: u64 = 1_767_225_600;

/// The two secrets, and what was asked for.
#[derive(Clone)]
pub(crate) struct FakeAws {
    url: String,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    /// The versions of each secret, oldest first.
    secrets: BTreeMap<String, Vec<Version>>,
    made: usize,
    refused: Option<String>,
    /// How many calls are still answered; all after them are not even carried out.
    life: Option<usize>,
    calls: Vec<String>,
    answers: Vec<(HeaderMap, Value)>,
}

/// A version of a secret; it may have a label before it has content.
#[derive(Clone)]
struct Version {
    id: String,
    content: Option<String>,
    labels: Vec<String>,
}

impl FakeAws {
    /// Both secrets are there, without a value, as CloudFormation makes them.
    pub(crate) async fn new() -> Self {
        let secrets = [SIGNING, VERIFICATION].map(|name| (name.to_owned(), Vec::new()));
        let inner = Arc::new(Mutex::new(Inner { secrets: secrets.into(), ..Inner::default() }));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new()
            .route("/", post(answer))
            .route("/answer", put(take_answer))
            .with_state(Arc::clone(&inner));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, inner }
    }

    /// With the keys of the tests' [`issuer`].
    pub(crate) async fn with_good_keys() -> Self {
        let fake = Self::new().await;
        fake.put(SIGNING, &signing_secret(issuer()));
        fake.put(VERIFICATION, &json!(issuer().verification_keys()));
        fake
    }

    /// A function's environment that leads here; `vars` win.
    pub(crate) fn env<'a>(&'a self, vars: impl IntoIterator<Item = (&'a str, &'a str)>) -> Env {
        let base = [
            ("AWS_ENDPOINT_URL", self.url.as_str()),
            ("SIGNING_KEY_SECRET", SIGNING),
            ("VERIFICATION_KEYS_SECRET", VERIFICATION),
            ("SIGNING_ALGORITHM", "RS256"),
            ("SIGNING_KEY_BITS", "2048"),
            ("AUTH_TABLE", "AuthTable"),
            ("AUTH_OUTBOX_TABLE", "AuthOutboxTable"),
            ("REVOCATION_TABLE", "RevocationTable"),
            ("USER_TABLE", "UserTable"),
        ];
        aws_env(base.into_iter().chain(vars))
    }

    pub(crate) fn put(&self, name: &str, value: &Value) {
        self.lock().put(name, None, Some(value.to_string()), &["AWSCURRENT"]);
    }

    pub(crate) fn put_empty(&self, name: &str) {
        self.lock().put(name, None, Some(String::new()), &["AWSCURRENT"]);
    }

    pub(crate) fn remove(&self, name: &str) {
        self.lock().secrets.remove(name);
    }

    /// What Secrets Manager does before it invokes the first step of a rotation of the signing keys.
    pub(crate) fn begin_rotation(&self, token: &str) {
        self.lock().put(SIGNING, Some(token), None, &["AWSPENDING"]);
    }

    /// The pending version `token` of the signing keys gets this content.
    pub(crate) fn fill(&self, token: &str, content: &Value) {
        self.lock().put(SIGNING, Some(token), Some(content.to_string()), &["AWSPENDING"]);
    }

    /// The current value of a secret; null where it has none.
    pub(crate) fn secret(&self, name: &str) -> Value {
        let inner = self.lock();
        let current = inner.secrets[name].iter().find(|version| version.has("AWSCURRENT"));
        let content = current.and_then(|version| version.content.as_deref());
        content.map_or(Value::Null, |text| serde_json::from_str(text).unwrap())
    }

    /// The label's version of a secret.
    pub(crate) fn version(&self, name: &str, label: &str) -> Option<String> {
        let inner = self.lock();
        inner.secrets[name].iter().find(|version| version.has(label)).map(|version| version.id.clone())
    }

    /// From now on denies calls of this kind: `Operation`, or `Operation secret`.
    pub(crate) fn refuse(&self, call: &str) {
        self.lock().refused = Some(call.to_owned());
    }

    /// The callers die after so many calls: the last of these is carried out, and its answer does not arrive. `None`: they
    /// live again.
    pub(crate) fn die_after(&self, calls: Option<usize>) {
        self.lock().life = calls;
    }

    /// The calls so far, as `Operation secret`.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.lock().calls.clone()
    }

    /// Where CloudFormation wants the answer.
    pub(crate) fn response_url(&self) -> String {
        format!("{}/answer?signature=abc", self.url)
    }

    /// The one answer to CloudFormation since the last look.
    pub(crate) fn answer(&self) -> (HeaderMap, Value) {
        let answers = std::mem::take(&mut self.lock().answers);
        <[_; 1]>::try_from(answers).expect("exactly one answer").into_iter().next().unwrap()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }
}

impl Version {
    fn has(&self, label: &str) -> bool {
        self.labels.iter().any(|there| there == label)
    }
}

/// An error of Secrets Manager by its name.
type Outcome = Result<Value, &'static str>;

impl Inner {
    /// Makes a version, or fills the one that is there, and gives it the labels; returns its id.
    fn put(&mut self, name: &str, id: Option<&str>, content: Option<String>, labels: &[&str]) -> String {
        self.made += 1;
        let id = id.map_or_else(|| format!("version-{}", self.made), str::to_owned);
        let versions = self.secrets.get_mut(name).unwrap();
        // The first version of a secret with a value is the current one, whatever its labels.
        let first = content.is_some() && versions.iter().all(|version| version.content.is_none());
        match versions.iter_mut().find(|version| version.id == id) {
            Some(version) => version.content = content,
            None => versions.push(Version { id: id.clone(), content, labels: Vec::new() }),
        }
        for label in labels.iter().copied().chain(first.then_some("AWSCURRENT")) {
            self.label(name, label, &id);
        }
        id
    }

    /// Moves a label, which one version has at most; what loses AWSCURRENT becomes AWSPREVIOUS.
    fn label(&mut self, name: &str, label: &str, to: &str) {
        let versions = self.secrets.get_mut(name).unwrap();
        let from = versions.iter().position(|version| version.has(label));
        if from.is_some_and(|from| versions[from].id == to) {
            return;
        }
        for version in versions.iter_mut() {
            version.labels.retain(|there| there != label);
            if version.id == to {
                version.labels.push(label.to_owned());
            }
        }
        if let Some(from) = from.filter(|_| label == "AWSCURRENT") {
            let previous = versions[from].id.clone();
            self.label(name, "AWSPREVIOUS", &previous);
        }
    }

    fn act(&mut self, operation: &str, name: &str, body: &Value) -> Outcome {
        let text = |member: &str| body[member].as_str();
        if operation == "Query" {
            // The table of revocations, empty.
            return Ok(json!({"Items": []}));
        }
        let Some(versions) = self.secrets.get_mut(name) else { return Err("ResourceNotFoundException") };
        let position = |id: &str| versions.iter().position(|version| version.id == id);
        match operation {
            "DescribeSecret" => {
                let labelled = versions.iter().filter(|version| !version.labels.is_empty());
                let stages: BTreeMap<_, _> =
                    labelled.map(|version| (version.id.clone(), version.labels.clone())).collect();
                Ok(json!({"Name": name, "VersionIdsToStages": stages}))
            }
            "GetSecretValue" => {
                let label = text("VersionStage").unwrap_or("AWSCURRENT");
                let wanted = |version: &&Version| match text("VersionId") {
                    Some(id) => version.id == id,
                    None => version.has(label),
                };
                let version = versions.iter().find(wanted).ok_or("ResourceNotFoundException")?;
                let content = version.content.as_ref().ok_or("ResourceNotFoundException")?;
                Ok(
                    json!({"Name": name, "VersionId": version.id, "SecretString": content, "CreatedDate": MADE}),
                )
            }
            "PutSecretValue" => {
                let id = text("ClientRequestToken").unwrap();
                let content = text("SecretString").unwrap();
                if let Some(there) = position(id).and_then(|position| versions[position].content.as_ref())
                    && there != content
                {
                    return Err("ResourceExistsException");
                }
                let labels: Vec<&str> = match body["VersionStages"].as_array() {
                    Some(labels) => labels.iter().map(|label| label.as_str().unwrap()).collect(),
                    None => vec!["AWSCURRENT"],
                };
                self.put(name, Some(id), Some(content.to_owned()), &labels);
                let version = self.secrets[name].iter().find(|version| version.id == id).unwrap();
                Ok(json!({"Name": name, "VersionId": id, "VersionStages": version.labels}))
            }
            "UpdateSecretVersionStage" => {
                let label = text("VersionStage").unwrap();
                let (to, from) = (text("MoveToVersionId"), text("RemoveFromVersionId"));
                let holder =
                    versions.iter().find(|version| version.has(label)).map(|version| version.id.as_str());
                let Some(subject) = to.or(from).and_then(position) else {
                    return Err("ResourceNotFoundException");
                };
                if holder != from && !(to.is_some() && holder == to) {
                    return Err("InvalidParameterException");
                }
                match to {
                    Some(to) => self.label(name, label, to),
                    None => versions[subject].labels.retain(|there| there != label),
                }
                Ok(json!({"Name": name}))
            }
            _ => panic!("not wired for {operation}"),
        }
    }

    /// Whether this call is carried out, and whether its answer arrives.
    fn fate(&mut self) -> (bool, bool) {
        let Some(life) = &mut self.life else { return (true, true) };
        let left = *life;
        *life = left.saturating_sub(1);
        (left > 0, left > 1)
    }
}

async fn take_answer(Shared(inner): Shared<Arc<Mutex<Inner>>>, headers: HeaderMap, body: String) {
    inner.lock().unwrap().answers.push((headers, serde_json::from_str(&body).unwrap()));
}

async fn answer(Shared(inner): Shared<Arc<Mutex<Inner>>>, headers: HeaderMap, body: String) -> Response {
    let body: Value = serde_json::from_str(&body).unwrap();
    let operation = headers["x-amz-target"].to_str().unwrap().replace("secretsmanager.", "");
    let operation = operation.replace("DynamoDB_20120810.", "");
    let name = body["SecretId"].as_str().or(body["TableName"].as_str()).unwrap();
    let mut inner = inner.lock().unwrap();
    let call = format!("{operation} {name}");
    inner.calls.push(call.clone());
    let denied = inner.refused.as_ref().is_some_and(|refused| call.starts_with(refused.as_str()));
    let (works, arrives) = inner.fate();
    let outcome =
        if denied || !works { Err("AccessDeniedException") } else { inner.act(&operation, name, &body) };
    // A code that the client does not try again by itself.
    match if arrives { outcome } else { Err("AccessDeniedException") } {
        Ok(answer) => answer.to_string().into_response(),
        Err(code) => {
            (StatusCode::BAD_REQUEST, json!({"__type": code, "Message": "no"}).to_string()).into_response()
        }
    }
}
