//! The service over an embedded database, and a Secrets Manager of one test's own.

pub(crate) mod authenticator;
pub(crate) mod log;
pub(crate) mod mailbox;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::extract::State as Shared;
use axum::response::{IntoResponse, Response};
use axum::routing::{post, put};
use http::{HeaderMap, Method, StatusCode};
use jiff::Timestamp;
use serde_json::{Value, json};
use shared::aws::Aws;
use shared::clock::Clock;
use shared::config::Env;
use shared::db::Key;
use shared::id::Generator;
use shared::routes::Service;
use shared::testing::{Answer, Database, Issuer, call, issuer};
use shared::token::{RevocationLog, Verifier};
use tokio::net::TcpListener;
use user::model::Username;
use user::store::UserStore;
use uuid::Uuid;

use crate::State;
use crate::model::Account;
use crate::operator::{Command, Operator};
use crate::passwords::Passwords;
use crate::signing::Signer;
use crate::store::AuthStore;
use crate::throttle::Throttle;

/// The name of the signing-key secret.
pub(crate) const SIGNING: &str = "signing-secret";
/// The name of the verification-keys secret.
pub(crate) const VERIFICATION: &str = "verification-secret";
/// The password of whom [`App::register`] registers.
pub(crate) const PASSWORD: &str = "correct horse battery";
/// An RSA key of 512 bits (PKCS#1, base64url), made for this test: shorter than anyone may use.
pub(crate) const WEAK_PKCS1: &str = "MIIBOwIBAAJBALT_CaFjEfRq0JyGZ84EY00BxbFZdP7BM9zxQlFqZGth2YsFib0OMuGmII_uCiRXbmIp\
    YORE0UD40Kqhbie5p5ECAwEAAQJAGLLArqwlNBQrWWCh46QHpOd8AaJya50Tpa-qXA_HmjtqMR5w5vFloSeGZalTLH3ddt1XpyTIMzOLFqzNStOc\
    nQIhAOJD2zZYCakYbom5hNADo5aqLVUCYDyXDXq49DECp2DPAiEAzMg4frHBOQRafy_112ce53h4NcbM7Q99ojJfv_meyZ8CIEfXtd3-fCrFyCtQ\
    zZvi2-l15WjtlTMH307NNTPunMi_AiEAr2Axcd9NeUUPM6mhQy4fO2Diojt1OPhxQb0eX0yp_kUCIQCYN4AVdeEoiWh9Kk6m0JpFbMHlWAh7n3la\
    900LuLl3Tw";

/// The content of a signing-key secret whose current key is `issuer`'s.
pub(crate) fn signing_secret(issuer: &Issuer) -> Value {
    let key =
        json!({"kid": issuer.public().kid, "alg": issuer.public().alg, "private_key": issuer.private_pem()});
    json!({"current": key, "next": key})
}

/// What Lambda puts into the environment, and `vars`, which win.
pub(crate) fn aws_env<'a>(vars: impl IntoIterator<Item = (&'a str, &'a str)>) -> Env {
    let base =
        [("AWS_REGION", "eu-west-1"), ("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")];
    Env::of(base.into_iter().chain(vars))
}

/// The service under test.
pub(crate) struct App {
    pub(crate) router: Router,
    pub(crate) state: State,
    pub(crate) accounts: AuthStore,
    pub(crate) users: UserStore,
    pub(crate) database: Database,
    pub(crate) clock: Clock,
    pub(crate) passwords: Passwords,
    pub(crate) verifier: Arc<Verifier>,
}

impl App {
    /// Without the demo login.
    pub(crate) async fn new() -> Self {
        Self::start(false, false).await
    }

    /// With the demo login.
    pub(crate) async fn with_demo_login() -> Self {
        Self::start(true, false).await
    }

    /// Logging in only users who verified an address.
    pub(crate) async fn requiring_verified_email() -> Self {
        Self::start(false, true).await
    }

    async fn start(demo_login: bool, require_verified_email: bool) -> Self {
        let clock = Clock::fixed("2026-01-01T00:00:00Z".parse().unwrap());
        let database = Database::new(&["AuthTable", "AuthOutboxTable", "RevocationTable", "UserTable"]).await;
        let revocations = RevocationLog::new(database.table("RevocationTable"));
        let accounts =
            AuthStore::new(database.table("AuthTable"), database.table("AuthOutboxTable"), revocations);
        let users = UserStore::new(database.table("UserTable"));
        let passwords = Passwords::default();
        let verifier = issuer().verifier(&clock);
        let env = FakeAws::with_good_keys().await.env([]);
        let secrets = Aws::new(&env).unwrap().secrets_manager();
        let signer = Signer::load(&env, secrets, Arc::clone(&verifier), clock.clone()).await.unwrap();
        let state = State {
            accounts: accounts.clone(),
            users: users.clone(),
            verifier: Arc::clone(&verifier),
            clock: clock.clone(),
            ids: Generator::counting(),
            signer: Arc::new(signer),
            passwords: passwords.clone(),
            throttle: Throttle::new(accounts.clone(), clock.clone()),
            demo_login,
            require_verified_email,
        };
        let service = Service { verifier: Arc::clone(&verifier), tables: accounts.tables() };
        let router = crate::router(state.clone(), service);
        Self { router, state, accounts, users, database, clock, passwords, verifier }
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        call(Method::POST, path).json(body).send(&self.router).await
    }

    pub(crate) async fn form(&self, path: &str, parameters: &[(&str, &str)]) -> Answer {
        call(Method::POST, path).form(parameters).send(&self.router).await
    }

    /// What carries out operators' commands on the same tables.
    pub(crate) fn operator(&self) -> Operator {
        Operator::over(self.accounts.clone(), self.clock.clone(), Generator::system())
    }

    /// Makes an OAuth client; its secret.
    pub(crate) async fn client(&self, client_id: &str) -> String {
        let command = Command::CreateClient { client_id: client_id.to_owned().try_into().unwrap() };
        let created = self.operator().run(command).await.unwrap();
        created["client_secret"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        call(Method::GET, path).send(&self.router).await
    }

    /// Registers `username` with [`PASSWORD`].
    pub(crate) async fn register(&self, username: &str) {
        let body = json!({"username": username, "password": PASSWORD, "email": "someone@example.com"});
        let _registered = self.post("/register", &body).await.expect(StatusCode::CREATED);
    }

    /// The id of a user.
    pub(crate) async fn user_id(&self, username: &str) -> Uuid {
        let name = username.to_owned().try_into().unwrap();
        self.accounts.account(&name).await.unwrap().expect("an account").user_id
    }

    /// Logs in whom [`register`](Self::register) registered.
    pub(crate) async fn log_in(&self, username: &str) -> LoggedIn {
        let body = json!({"username": username, "password": PASSWORD});
        LoggedIn::of(&self.post("/login", &body).await.expect(StatusCode::OK))
    }

    /// Logs in whom [`seed_demo`](Self::seed_demo) seeded.
    pub(crate) async fn log_in_demo(&self, username: &str) -> LoggedIn {
        LoggedIn::of(&self.post("/login", &json!({ "username": username })).await.expect(StatusCode::OK))
    }

    /// `method path` with an access token, without a body.
    pub(crate) async fn send(&self, method: Method, path: &str, access: &str) -> Answer {
        call(method, path).token(access).send(&self.router).await
    }

    /// Seeds a demo user; one with roles can only be made behind the store's back.
    pub(crate) async fn seed_demo(&self, username: &str, roles: &[&str]) {
        let name: Username = username.to_owned().try_into().unwrap();
        self.accounts.put_demo_account(Uuid::from_u128(7), &name, Timestamp::UNIX_EPOCH).await.unwrap();
        if !roles.is_empty() {
            let mut account: Account = self.accounts.account(&name).await.unwrap().unwrap();
            account.roles = roles.iter().map(ToString::to_string).collect();
            let key = Key::new(format!("ACCOUNT#{username}"), "ACCOUNT");
            self.database.table("AuthTable").put(&key, &account).await.unwrap();
        }
    }
}

/// The tokens of a session.
pub(crate) struct LoggedIn {
    pub(crate) access: String,
    pub(crate) refresh: String,
}

impl LoggedIn {
    /// Those that a login or a refresh answered.
    pub(crate) fn of(answer: &Answer) -> Self {
        let text = |name: &str| answer.json[name].as_str().unwrap().to_owned();
        Self { access: text("access_token"), refresh: text("refresh_token") }
    }
}

/// Secrets Manager over HTTP, as much of it as Auth calls, and the place where CloudFormation waits for answers.
#[derive(Clone)]
pub(crate) struct FakeAws {
    url: String,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    /// None: the secret is there and has no value yet.
    secrets: BTreeMap<String, Option<String>>,
    refused: Option<String>,
    calls: Vec<String>,
    answers: Vec<(HeaderMap, Value)>,
}

impl FakeAws {
    /// Both secrets are there, without a value, as CloudFormation makes them.
    pub(crate) async fn new() -> Self {
        let secrets = [SIGNING, VERIFICATION].map(|name| (name.to_owned(), None));
        let inner = Arc::new(Mutex::new(Inner { secrets: secrets.into(), ..Inner::default() }));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new()
            .route("/", post(secrets_manager))
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
            ("AUTH_TABLE", "AuthTable"),
            ("AUTH_OUTBOX_TABLE", "AuthOutboxTable"),
            ("REVOCATION_TABLE", "RevocationTable"),
            ("USER_TABLE", "UserTable"),
        ];
        aws_env(base.into_iter().chain(vars))
    }

    pub(crate) fn put(&self, name: &str, value: &Value) {
        self.lock().secrets.insert(name.to_owned(), Some(value.to_string()));
    }

    pub(crate) fn put_empty(&self, name: &str) {
        self.lock().secrets.insert(name.to_owned(), Some(String::new()));
    }

    pub(crate) fn remove(&self, name: &str) {
        self.lock().secrets.remove(name);
    }

    /// A secret's value; null where it has none.
    pub(crate) fn secret(&self, name: &str) -> Value {
        let value = self.lock().secrets[name].clone();
        value.map_or(Value::Null, |text| serde_json::from_str(&text).unwrap())
    }

    /// From now on denies calls of this kind: `Operation`, or `Operation secret`.
    pub(crate) fn refuse(&self, call: &str) {
        self.lock().refused = Some(call.to_owned());
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

async fn take_answer(Shared(inner): Shared<Arc<Mutex<Inner>>>, headers: HeaderMap, body: String) {
    inner.lock().unwrap().answers.push((headers, serde_json::from_str(&body).unwrap()));
}

async fn secrets_manager(
    Shared(inner): Shared<Arc<Mutex<Inner>>>,
    headers: HeaderMap,
    body: String,
) -> Response {
    let body: Value = serde_json::from_str(&body).unwrap();
    let operation = headers["x-amz-target"].to_str().unwrap().replace("secretsmanager.", "");
    let operation = operation.replace("DynamoDB_20120810.", "");
    let name = body["SecretId"].as_str().or(body["TableName"].as_str()).unwrap().to_owned();
    let mut inner = inner.lock().unwrap();
    let call = format!("{operation} {name}");
    inner.calls.push(call.clone());
    let denied = inner.refused.as_ref().is_some_and(|refused| call.starts_with(refused.as_str()));
    let error = |kind: &str| (StatusCode::BAD_REQUEST, json!({"__type": kind, "Message": "no"}).to_string());
    let answer = match (operation.as_str(), inner.secrets.get(&name).cloned()) {
        _ if denied => error("AccessDeniedException"),
        // The table of revocations, empty.
        ("Query", _) => (StatusCode::OK, json!({"Items": []}).to_string()),
        (_, None) | ("GetSecretValue", Some(None)) => error("ResourceNotFoundException"),
        ("GetSecretValue", Some(Some(value))) => {
            (StatusCode::OK, json!({"Name": name, "SecretString": value}).to_string())
        }
        ("DescribeSecret", Some(None)) => (StatusCode::OK, json!({"Name": name}).to_string()),
        ("DescribeSecret", Some(Some(_))) => {
            (StatusCode::OK, json!({"Name": name, "VersionIdsToStages": {"v1": ["AWSCURRENT"]}}).to_string())
        }
        ("PutSecretValue", Some(_)) => {
            let value = body["SecretString"].as_str().unwrap().to_owned();
            inner.secrets.insert(name.clone(), Some(value));
            (StatusCode::OK, json!({"Name": name}).to_string())
        }
        _ => panic!("not wired for {operation}"),
    };
    answer.into_response()
}
