//! The service over an embedded database, and a Secrets Manager of one test's own.

pub(crate) mod authenticator;
mod fake_aws;
pub(crate) mod log;
pub(crate) mod mailbox;

use std::sync::Arc;

use axum::Router;
use http::{Method, StatusCode};
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

pub(crate) use fake_aws::FakeAws;

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
        let verifier = issuer().verifier(&clock);
        let fake = FakeAws::with_good_keys().await;
        Self::build(&fake, clock, verifier, demo_login, require_verified_email).await
    }

    /// With the demo login, at `clock`, and with the secrets in `fake`.
    pub(crate) async fn over(fake: &FakeAws, clock: &Clock) -> Self {
        let env = fake.env([]);
        let verifier = Verifier::load(&env, &Aws::new(&env).unwrap(), clock.clone()).await.unwrap();
        Self::build(fake, clock.clone(), Arc::new(verifier), true, false).await
    }

    async fn build(
        fake: &FakeAws,
        clock: Clock,
        verifier: Arc<Verifier>,
        demo_login: bool,
        require_verified_email: bool,
    ) -> Self {
        let database = Database::new(&["AuthTable", "AuthOutboxTable", "RevocationTable", "UserTable"]).await;
        let revocations = RevocationLog::new(database.table("RevocationTable"));
        let accounts =
            AuthStore::new(database.table("AuthTable"), database.table("AuthOutboxTable"), revocations);
        let users = UserStore::new(database.table("UserTable"));
        let passwords = Passwords::default();
        let env = fake.env([]);
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
        let service = Service::new(Arc::clone(&verifier), accounts.tables());
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
