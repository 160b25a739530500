//! `cargo local redrive`: brings the records that dead letters name to their functions once more.
//!
//! A letter names a shard and two sequence numbers. Its records are read from the stream, or, when the emulator was restarted
//! since, from what was kept of them; the letter is deleted once all of them are handled. Functions must know events that
//! they have seen, so that doing it twice, or while a feed delivers, does no harm.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::aws::{Aws, Message, Page, Start, World as _};
use super::batch::{self, Batch, Verdict, sequence_number};
use super::{Delivery, Mapping, dead_letter};
use crate::invoke::Functions;
use crate::ports::Ports;
use crate::system;
use crate::workspace::Workspace;

/// How long nobody else receives a letter: longer than any letter takes.
const HIDDEN: Duration = Duration::from_mins(15);
/// Pages without a record after which a stream is taken to have no more.
const EMPTY_PAGES: usize = 3;

/// Replays dead-letter queues.
pub struct Redrive {
    aws: Arc<Aws>,
    delivery: Delivery,
}

/// What became of one dead letter.
#[derive(Debug)]
pub struct Redriven {
    /// The queue it was in.
    pub queue: String,
    /// Its id there.
    pub message: String,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a dead letter. Only of [`Outcome::Delivered`] nothing remains in the queue.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All its records are handled.
    Delivered {
        /// By whom.
        function: String,
        /// How many there were.
        records: usize,
    },
    /// Some records failed again.
    Failed {
        /// At whom.
        function: String,
        /// How many there were.
        records: usize,
        /// The sequence numbers of those that failed, each with what the function said.
        failed: Vec<(String, String)>,
    },
    /// Neither the stream nor this tool has its records any more.
    Gone,
    /// It is no dead letter of a stream that this queue belongs to.
    NotUnderstood(String),
}

impl Redriven {
    /// Whether nothing of it remains in the queue.
    pub fn is_delivered(&self) -> bool {
        matches!(self.outcome, Outcome::Delivered { .. })
    }
}

impl fmt::Display for Redriven {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}: ", self.queue, self.message)?;
        match &self.outcome {
            Outcome::Delivered { function, records } => {
                write!(formatter, "{records} delivered to {function}, deleted from the queue")
            }
            Outcome::Failed { function, records, failed } => {
                write!(
                    formatter,
                    "{} of {records} failed at {function} again, kept in the queue",
                    failed.len()
                )?;
                for (record, why) in failed {
                    write!(formatter, "\n  record {record}: {why}")?;
                }
                Ok(())
            }
            Outcome::Gone => write!(
                formatter,
                "the stream no longer has its records, kept in the queue: only who knows what they said can make up for them"
            ),
            Outcome::NotUnderstood(why) => write!(formatter, "{why}, kept in the queue"),
        }
    }
}

impl Redrive {
    /// Of the system on the documented ports.
    pub fn documented(workspace: &Workspace) -> Result<Self> {
        let template = system::template(workspace, &BTreeMap::new())?;
        let ports = Ports::documented(&template);
        let url = |port| format!("http://127.0.0.1:{port}");
        let remembered = system::remembered(&workspace.local().join("state"));
        Self::new(Delivery::new(&template, &url(ports.emulator), &url(ports.watch), &remembered)?)
    }

    /// Replays to the functions of `delivery`.
    pub fn new(delivery: Delivery) -> Result<Self> {
        let functions = Functions::new(&delivery.watch_url, Arc::default())?;
        Ok(Self { aws: Arc::new(Aws::new(&delivery.emulator_url, functions)?), delivery })
    }

    /// The queues that streams have, each once.
    pub fn queues(&self) -> Vec<String> {
        let queues =
            self.delivery.mappings.iter().filter_map(|mapping| mapping.settings.dead_letter_queue.clone());
        let mut queues: Vec<_> = queues.collect();
        queues.sort();
        queues.dedup();
        queues
    }

    /// Replays every letter of a queue once. What is not `Delivered` is in the queue afterwards, at once.
    pub async fn queue(&self, queue: &str) -> Result<Vec<Redriven>> {
        if !self.queues().iter().any(|known| known == queue) {
            bail!("no stream has the dead-letter queue {queue}: there are {}", self.queues().join(", "));
        }
        let mut redriven = Vec::new();
        let mut kept = Vec::new();
        // Those that stay are hidden until all were received.
        let outcome = self.every_letter(queue, &mut redriven, &mut kept).await;
        for message in &kept {
            self.aws.put_back(queue, message).await?;
        }
        outcome.map(|()| redriven)
    }

    async fn every_letter(
        &self,
        queue: &str,
        redriven: &mut Vec<Redriven>,
        kept: &mut Vec<Message>,
    ) -> Result<()> {
        loop {
            let mut messages: VecDeque<_> = self.aws.receive(queue, HIDDEN).await?.into();
            if messages.is_empty() {
                return Ok(());
            }
            while let Some(message) = messages.pop_front() {
                let outcome = match self.letter(queue, &message.body).await {
                    Ok(outcome) => outcome,
                    Err(error) => {
                        kept.push(message);
                        kept.extend(messages);
                        return Err(error);
                    }
                };
                let letter = Redriven { queue: queue.to_owned(), message: message.id.clone(), outcome };
                let delivered = letter.is_delivered();
                redriven.push(letter);
                if delivered {
                    self.aws.delete(queue, &message).await?;
                    self.forget(queue, &message.body);
                } else {
                    kept.push(message);
                }
            }
        }
    }

    async fn letter(&self, queue: &str, body: &str) -> Result<Outcome> {
        let letter: Value = serde_json::from_str(body).unwrap_or_default();
        let Some(mapping) = self.mapping(queue, &letter) else {
            return Ok(Outcome::NotUnderstood("this is no dead letter of the queue's stream".to_owned()));
        };
        let Some((arn, records)) = self.records(mapping, &letter).await? else {
            return Ok(Outcome::Gone);
        };
        self.deliver(mapping, &arn, records).await
    }

    /// The mapping that gave up the letter's records.
    fn mapping(&self, queue: &str, letter: &Value) -> Option<&Mapping> {
        let function = letter["requestContext"]["functionArn"].as_str()?.rsplit(':').next()?;
        let arn = letter["DDBStreamBatchInfo"]["streamArn"].as_str()?;
        self.delivery.mappings.iter().find(|mapping| {
            mapping.settings.dead_letter_queue.as_deref() == Some(queue)
                && mapping.function == function
                && arn.contains(&format!(":table/{}/stream/", mapping.settings.table))
        })
    }

    /// The stream's ARN and the records that the letter names; `None` when nobody has them any more.
    async fn records(&self, mapping: &Mapping, letter: &Value) -> Result<Option<(String, Vec<Value>)>> {
        let info = &letter["DDBStreamBatchInfo"];
        let text = |field: &str| info[field].as_str().with_context(|| format!("the letter has no {field}"));
        let (arn, shard) = (text("streamArn")?, text("shardId")?);
        let (first, last) = (text("startSequenceNumber")?, text("endSequenceNumber")?);
        let mut records = match self.in_stream(arn, shard, first, last).await {
            Ok(records) => records,
            // A stream that is another since, after `--reset` for example.
            Err(error) if error.to_string().contains("ResourceNotFoundException") => Vec::new(),
            Err(error) => return Err(error),
        };
        records.retain(|record| mapping.wants(record));
        if !records.is_empty() {
            return Ok(Some((arn.to_owned(), records)));
        }
        let kept = dead_letter::kept(&mapping.checkpoint(&self.delivery.state_dir), letter)?;
        Ok(kept.filter(|records| !records.is_empty()).map(|records| (arn.to_owned(), records)))
    }

    /// What the stream has from one sequence number to another; nothing when it does not have the first any more.
    async fn in_stream(&self, arn: &str, shard: &str, first: &str, last: &str) -> Result<Vec<Value>> {
        let mut found = Vec::new();
        let mut next = self.aws.iterator(arn, shard, Start::At(first)).await?;
        let mut empty = 0;
        while let Some(iterator) = next
            && empty < EMPTY_PAGES
        {
            let page = self.aws.read(&iterator).await?;
            empty = if page.records.is_empty() { empty + 1 } else { 0 };
            let Page { records, next: after } = page;
            next = after;
            for record in records {
                let number = sequence_number(&record).unwrap_or_default();
                if beyond(number, last) {
                    return Ok(found);
                }
                let ends = number == last;
                found.push(record);
                if ends {
                    return Ok(found);
                }
            }
        }
        Ok(found)
    }

    /// Invokes the function as the mapping does. Where a batch fails its records are tried one by one, so that one that
    /// cannot be handled does not hold up the others again.
    async fn deliver(&self, mapping: &Mapping, arn: &str, records: Vec<Value>) -> Result<Outcome> {
        let (function, count) = (mapping.function.clone(), records.len());
        let mut size = mapping.settings.batch_size.max(1);
        let mut failed = Vec::new();
        let mut rest = records;
        while !rest.is_empty() {
            let batch = Batch::of(rest[..size.min(rest.len())].to_vec());
            let event = batch::event(arn, &batch.records);
            let answer = self.aws.invoke(&function, &event, mapping.timeout).await;
            let done = match batch::verdict(&batch, &mapping.settings, &answer) {
                Verdict::Handled => batch.records.len(),
                Verdict::HandledBefore(index) => {
                    size = 1;
                    index
                }
                Verdict::Failed if batch.records.len() > 1 => {
                    size = 1;
                    0
                }
                Verdict::Failed => {
                    let why = answer
                        .err()
                        .map_or_else(|| "the function reports it".to_owned(), |error| error.to_string());
                    failed.push((sequence_number(&batch.records[0]).unwrap_or_default().to_owned(), why));
                    1
                }
                Verdict::NotInvoked => {
                    let error = answer.err().map(anyhow::Error::from).context("it was not invoked")?;
                    return Err(error.context("is `cargo local` running?"));
                }
            };
            rest.drain(..done);
        }
        Ok(if failed.is_empty() {
            Outcome::Delivered { function, records: count }
        } else {
            Outcome::Failed { function, records: count, failed }
        })
    }

    fn forget(&self, queue: &str, body: &str) {
        let letter: Value = serde_json::from_str(body).unwrap_or_default();
        if let Some(mapping) = self.mapping(queue, &letter) {
            dead_letter::forget(&mapping.checkpoint(&self.delivery.state_dir), &letter);
        }
    }
}

/// Whether a sequence number, which is a number of many digits, is larger than another.
fn beyond(number: &str, last: &str) -> bool {
    let key = |text: &str| {
        let digits = text.trim_start_matches('0');
        (digits.len(), digits.to_owned())
    };
    key(number) > key(last)
}
