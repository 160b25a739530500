//! AWS as the functions find it here: an embedded DynamoDB, and secrets that can be read. It can be told to keep what DynamoDB
//! answered and to answer just that from then on, so that what is measured is the function and not the database.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context as _, Result, bail};
use bench::http::Connection;
use serde_json::{Value, json};
use shared::testing::Database;
use template::Template;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// What listens there, until it is dropped.
#[derive(Debug)]
pub(crate) struct Cloud {
    /// Its endpoint.
    pub(crate) url: String,
    state: Arc<State>,
    _server: JoinSet<()>,
}

#[derive(Debug)]
struct State {
    database: Database,
    secrets: HashMap<String, String>,
    mode: Mutex<Mode>,
}

/// Where DynamoDB's answers come from.
#[derive(Debug, Default)]
enum Mode {
    /// The database.
    #[default]
    Live,
    /// The database; they are kept.
    Record(Tape),
    /// What was kept.
    Replay(Tape),
}

/// Answers, by operation and table, in the order in which they were given.
#[derive(Debug, Default, Clone)]
pub(crate) struct Tape(HashMap<String, VecDeque<(u16, String)>>);

impl Tape {
    /// How many calls there were.
    pub(crate) fn calls(&self) -> usize {
        self.0.values().map(VecDeque::len).sum()
    }
}

impl Cloud {
    /// Starts it with the tables of the template and these secrets.
    pub(crate) async fn start(template: &Template, secrets: HashMap<String, String>) -> Result<Self> {
        let tables: Vec<_> = template.tables().iter().map(|table| table.logical_id.as_str()).collect();
        let state = State { database: Database::new(&tables).await, secrets, mode: Mutex::default() };
        let state = Arc::new(state);
        let listener = TcpListener::bind("127.0.0.1:0").await.context("cannot listen")?;
        let url = format!("http://{}", listener.local_addr()?);
        let mut server = JoinSet::new();
        server.spawn(serve(listener, Arc::clone(&state)));
        Ok(Self { url, state, _server: server })
    }

    /// From now on DynamoDB's answers are kept.
    pub(crate) fn record(&self) {
        *self.state.mode() = Mode::Record(Tape::default());
    }

    /// From now on DynamoDB answers by itself; what was kept until now.
    pub(crate) fn live(&self) -> Tape {
        match std::mem::take(&mut *self.state.mode()) {
            Mode::Record(tape) | Mode::Replay(tape) => tape,
            Mode::Live => Tape::default(),
        }
    }

    /// From now on DynamoDB answers what it answered then, again and again.
    pub(crate) fn replay(&self, tape: Tape) {
        *self.state.mode() = Mode::Replay(tape);
    }
}

impl State {
    fn mode(&self) -> MutexGuard<'_, Mode> {
        self.mode.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn answer(&self, target: &str, body: &[u8]) -> Result<(u16, String)> {
        let operation = target.rsplit('.').next().unwrap_or_default();
        if operation == "GetSecretValue" {
            let request: Value = serde_json::from_slice(body)?;
            let name = request["SecretId"].as_str().unwrap_or_default();
            let Some(secret) = self.secrets.get(name) else { bail!("there is no secret {name}") };
            return Ok((200, json!({"Name": name, "SecretString": secret}).to_string()));
        }
        // Revocations are read again every ten seconds, whatever is measured.
        if matches!(*self.mode(), Mode::Live) || contains(body, b"\"RevocationTable\"") {
            return Ok(self.database.answer(operation, body));
        }
        match &mut *self.mode() {
            Mode::Live => Ok(self.database.answer(operation, body)),
            Mode::Record(tape) => {
                let answer = self.database.answer(operation, body);
                tape.0.entry(key(operation, body)?).or_default().push_back(answer.clone());
                Ok(answer)
            }
            Mode::Replay(tape) => {
                let key = key(operation, body)?;
                let answers = tape.0.get_mut(&key).with_context(|| format!("{key} was not called before"))?;
                answers.rotate_left(1);
                answers.back().cloned().context("an entry has answers")
            }
        }
    }
}

fn contains(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len()).any(|window| window == word)
}

/// The operation, and the table where it names one.
fn key(operation: &str, body: &[u8]) -> Result<String> {
    let request: Value = serde_json::from_slice(body)?;
    Ok(format!("{operation} {}", request["TableName"].as_str().unwrap_or_default()))
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let state = Arc::clone(&state);
        connections.spawn(async move {
            let outcome = async {
                let mut connection = Connection::new(stream)?;
                while let Some(request) = connection.read().await? {
                    let target = request.header("x-amz-target").unwrap_or_default();
                    let (status, body) = state.answer(target, &request.body)?;
                    let headers = [("content-type", "application/x-amz-json-1.0")];
                    connection.write(&format!("{status} -"), &headers, body.as_bytes()).await?;
                }
                anyhow::Ok(())
            };
            if let Err(error) = outcome.await {
                eprintln!("the emulated AWS cannot answer: {error:#}");
            }
        });
    }
}
