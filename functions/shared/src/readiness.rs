//! What must answer before a function counts as ready: tables, the secrets that it reads, and the revocations.
//!
//! Anybody may ask, so the answer does not say what is missing (the log does), and the secrets, which cost per call, are not
//! read again for each question.

use std::error::Error;
use std::sync::Arc;

use aws_sdk_secretsmanager::Client;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Mutex;

use crate::aws::Aws;
use crate::clock::Clock;
use crate::problem::{Chain, Problem};
use crate::routes::Service;

/// For so long the secrets are as they were.
const KEPT: SignedDuration = SignedDuration::from_secs(10);

/// When a client may ask again, in seconds.
const RETRY_AFTER: u64 = 10;

/// The secrets that a function cannot do without.
#[derive(Debug, Clone, Default)]
pub struct Secrets(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    client: Client,
    names: Vec<String>,
    clock: Clock,
    /// When they were read last, and whether they could be. Who reads holds it.
    read: Mutex<Option<(Timestamp, bool)>>,
}

impl Secrets {
    /// The secrets of these names.
    pub fn new<'a>(aws: &Aws, clock: Clock, names: impl IntoIterator<Item = &'a str>) -> Self {
        let names = names.into_iter().map(str::to_owned).collect();
        let client = aws.secrets_manager();
        Self(Some(Arc::new(Inner { client, names, clock, read: Mutex::default() })))
    }

    async fn can_be_read(&self) -> bool {
        let Some(inner) = &self.0 else { return true };
        let mut read = inner.read.lock().await;
        let now = inner.clock.now();
        match *read {
            Some((at, could)) if (SignedDuration::ZERO..KEPT).contains(&now.duration_since(at)) => could,
            _ => read.insert((now, inner.read().await)).1,
        }
    }
}

impl Inner {
    /// Whether we may read each of them; what they hold was looked at when the function started.
    async fn read(&self) -> bool {
        let mut all = true;
        for name in &self.names {
            if let Err(error) = self.client.get_secret_value().secret_id(name).send().await {
                missing("secret", name, &error);
                all = false;
            }
        }
        all
    }
}

/// Ready is: tokens can be verified, each table answers, and each secret can be read.
pub(crate) async fn check(service: &Service) -> Result<(), Problem> {
    let mut ready = true;
    if let Err(error) = service.verifier.ready().await {
        missing("token verification", "", &error);
        ready = false;
    }
    for table in &service.tables {
        if let Err(error) = table.probe().await {
            missing("table", table.name(), &error);
            ready = false;
        }
    }
    ready &= service.secrets.can_be_read().await;
    if ready { Ok(()) } else { Err(Problem::unavailable(RETRY_AFTER)) }
}

fn missing(what: &'static str, name: &str, error: &(dyn Error + 'static)) {
    tracing::error!(what, name, error = %Chain(error), "not ready");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use http::{Method, StatusCode};
    use serde_json::json;

    use crate::config::Env;
    use crate::routes::Routes;
    use crate::testing::{Answer, Database, call, issuer, log};

    use super::*;

    async fn ask(service: &Service) -> Answer {
        let router = Routes::new("demo").into_router((), service.clone());
        call(Method::GET, "/demo/ready").send(&router).await
    }

    /// What is logged as missing, by name.
    fn logged() -> Vec<String> {
        let lines = log::lines().into_iter().filter(|line| line["message"] == "not ready");
        lines.map(|line| line["name"].as_str().unwrap().to_owned()).collect()
    }

    #[tokio::test]
    async fn who_asks_learns_that_something_is_missing_and_the_log_what() {
        log::start();
        let clock = Clock::fixed("2026-01-01T00:00:00Z".parse().unwrap());
        let database = Database::new(&["UserTable"]).await;
        let absent = Database::new(&[]).await.table("UserTable");
        let env = Env::of([
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
        ]);
        let aws = database.aws(&env, BTreeMap::from([("there".to_owned(), json!("hush"))]));
        let secrets = |names: &[&str]| Secrets::new(&aws, clock.clone(), names.iter().copied());
        let table = database.table("UserTable");
        for (tables, secrets, missing) in [
            (vec![table.clone()], secrets(&["there"]), vec![]),
            (vec![table.clone()], secrets(&["gone", "there", "lost"]), vec!["gone", "lost"]),
            (vec![table.clone(), absent.clone()], secrets(&["there"]), vec![absent.name()]),
            (vec![absent.clone()], secrets(&["gone"]), vec![absent.name(), "gone"]),
        ] {
            let before = logged().len();
            let service = Service { secrets, ..Service::new(issuer().verifier(&clock), tables) };
            let answer = ask(&service).await;
            assert_eq!(logged()[before..], missing);
            if missing.is_empty() {
                assert_eq!(answer.expect(StatusCode::OK).json, json!({ "status": "ready" }));
                continue;
            }
            let answer = answer.expect(StatusCode::SERVICE_UNAVAILABLE);
            for name in missing {
                assert!(!answer.json.to_string().contains(name), "{}", answer.json);
            }
        }
    }

    #[tokio::test]
    async fn secrets_are_not_read_again_for_each_question() {
        log::start();
        let clock = Clock::fixed("2026-01-01T00:00:00Z".parse().unwrap());
        let database = Database::new(&[]).await;
        let env = Env::of([
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
        ]);
        let secrets = Secrets::new(&database.aws(&env, BTreeMap::new()), clock.clone(), ["gone"]);
        let service = Service { secrets, ..Service::new(issuer().verifier(&clock), Vec::new()) };
        for (seconds, reads) in [(0, 1), (9, 1), (1, 2), (9, 2)] {
            clock.advance(SignedDuration::from_secs(seconds));
            let _answer = ask(&service).await.expect(StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(logged().len(), reads);
        }
    }
}
