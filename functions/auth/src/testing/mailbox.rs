//! `auth-mailer` with a sender that keeps what it is given.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use aws_lambda_events::event::dynamodb::EventRecord;
use http::StatusCode;
use serde_json::{Value, json};
use shared::db::Key;
use shared::id::Generator;
use shared::mail::{Mail, Mailer};
use shared::sending::SendError;
use shared::testing::record;

use super::App;
use crate::mailer::Worker;
use crate::model::one_time::OneTimeToken;

/// Keeps the mails, or fails as told.
#[derive(Clone, Default)]
pub(crate) struct Recorder {
    sent: Arc<Mutex<Vec<(String, Mail)>>>,
    /// How the next attempts fail; afterwards, all succeed.
    pub(crate) failures: Arc<Mutex<VecDeque<SendError>>>,
}

impl Mailer for Recorder {
    async fn send(&self, to: &str, mail: &Mail) -> Result<String, SendError> {
        if let Some(failure) = self.failures.lock().unwrap().pop_front() {
            return Err(failure);
        }
        let mut sent = self.sent.lock().unwrap();
        sent.push((to.to_owned(), mail.clone()));
        Ok(format!("message-{}", sent.len()))
    }
}

/// Everybody's mail.
pub(crate) struct Mailbox {
    pub(crate) worker: Worker<Recorder>,
}

impl Mailbox {
    /// Where the mails of this service go.
    pub(crate) fn of(app: &App) -> Self {
        let worker = Worker {
            accounts: app.accounts.clone(),
            users: app.users.clone(),
            mailer: Recorder::default(),
            api: "https://api.example.com".to_owned(),
            clock: app.clock.clone(),
            ids: Generator::system(),
        };
        Self { worker }
    }

    /// Runs the mailer on every event that the outbox holds, oldest first, as the stream would bring them.
    pub(crate) async fn deliver(&self, app: &App) {
        for record in records(app).await {
            self.worker.process(&record).await.unwrap();
        }
    }

    /// Verifies the address of whoever registered with it last.
    pub(crate) async fn verify(&self, app: &App, address: &str) {
        self.deliver(app).await;
        let token = self.tokens(address).pop().expect("a mail to the address");
        let answer = app.post("/email/verify", &json!({"token": token})).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{}", answer.json);
    }

    /// Recipients and mails, in the order of sending.
    pub(crate) fn mails(&self) -> Vec<(String, Mail)> {
        self.worker.mailer.sent.lock().unwrap().clone()
    }

    /// Recipients and subjects, in the order of sending.
    pub(crate) fn sent(&self) -> Vec<(String, String)> {
        let sent = self.worker.mailer.sent.lock().unwrap();
        sent.iter().map(|(to, mail)| (to.clone(), mail.subject.clone())).collect()
    }

    /// The tokens in the mails to an address, in the order of sending.
    pub(crate) fn tokens(&self, to: &str) -> Vec<String> {
        let sent = self.worker.mailer.sent.lock().unwrap();
        let lines =
            sent.iter().filter(|(recipient, _)| recipient == to).flat_map(|(_, mail)| mail.text.lines());
        lines.filter(|line| OneTimeToken::parse(line).is_some()).map(str::to_owned).collect()
    }
}

/// The outbox's stream so far.
pub(crate) async fn records(app: &App) -> Vec<EventRecord> {
    let mut items: Vec<Value> = app.database.items("AuthOutboxTable").await;
    items.sort_by_key(|item| item["pk"].to_string());
    items
        .iter()
        .zip(100..)
        .map(|(item, number)| {
            record(&Key::new(item["pk"].as_str().unwrap(), "EVENT"), None, Some(item), number)
        })
        .collect()
}
