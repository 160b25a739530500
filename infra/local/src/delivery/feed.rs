//! One event source mapping: reads a stream, batches and filters its records, and delivers them in order.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use serde_json::Value;
use tokio::sync::watch;
use tracing::{debug, error, info, warn};

use super::Mapping;
use super::aws::{Page, Start, World};
use super::batch::{self, Batch, GivenUp, Verdict};
use super::checkpoint::{Checkpoint, Position};
use super::dead_letter;

/// Between looks at a stream that had nothing new. Nothing pushes, here or on AWS.
const POLL: Duration = Duration::from_millis(200);
/// Before trying again what the emulator refused.
const TROUBLE: Duration = Duration::from_secs(1);
/// Most pages written down at the end; a thousand records each.
const LAST_PAGES: usize = 100;

/// A running event source mapping.
pub(super) struct Feed<W> {
    world: W,
    mapping: Mapping,
    file: PathBuf,
    /// The stream's ARN, once known.
    arn: String,
    /// Parents before their children.
    shards: Vec<Shard>,
    /// Whether the shards must be listed (again).
    unlisted: bool,
}

#[derive(Debug, Default)]
struct Shard {
    id: String,
    /// Sequence number of the last record read.
    sequence: Option<String>,
    iterator: Option<String>,
    /// Read to its end.
    closed: bool,
    queue: VecDeque<Batch>,
}

impl<W: World> Feed<W> {
    /// Continues where `file` says that it left off.
    pub(super) fn new(world: W, mapping: Mapping, file: PathBuf) -> Result<Self> {
        let Checkpoint { stream: arn, shards } = Checkpoint::load(&file)?.unwrap_or_default();
        let size = mapping.settings.batch_size;
        let shards = shards.into_iter().map(|(id, Position { sequence, mut pending })| {
            // What `drain` added passed no filter yet.
            pending.retain(|record| mapping.wants(record));
            Shard { id, sequence, queue: batches(&pending, size), ..Shard::default() }
        });
        Ok(Self { shards: shards.collect(), world, mapping, file, arn, unlisted: true })
    }

    /// Delivers until told to stop, then writes down what is left.
    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) -> Result<()> {
        let mut trouble = false;
        loop {
            let turn = async {
                let outcome = self.turn().await;
                if let Err(error) = &outcome {
                    if !trouble {
                        warn!(
                            mapping = self.mapping.name(),
                            error = format!("{error:#}"),
                            "cannot read the stream"
                        );
                    }
                    self.unlisted = true;
                    self.shards.iter_mut().for_each(|shard| shard.iterator = None);
                    self.world.pause(TROUBLE).await;
                }
                outcome.is_err()
            };
            // Whatever is cut short here has not changed what `finish` writes down.
            tokio::select! {
                failed = turn => trouble = failed,
                _told_or_dropped = stop.wait_for(|stop| *stop) => break,
            }
        }
        self.finish().await
    }

    /// One step: a try of the first batch in line, or a look at the stream when no batch is.
    async fn turn(&mut self) -> Result<()> {
        if let Some(index) = self.shards.iter().position(|shard| !shard.queue.is_empty()) {
            return self.deliver(index).await;
        }
        if !self.look().await? {
            self.world.pause(POLL).await;
        }
        Ok(())
    }

    /// Reads what is new in the stream; whether anything was.
    async fn look(&mut self) -> Result<bool> {
        if self.unlisted {
            self.list().await?;
        }
        for index in 0..self.shards.len() {
            // A child may only be read after its parent's last record was handled.
            if self.read(index).await? > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn list(&mut self) -> Result<()> {
        let stream = self.world.stream(&self.mapping.settings.table).await?;
        let same = stream.arn == self.arn;
        if !same && !self.arn.is_empty() {
            info!(mapping = self.mapping.name(), "the stream is a new one, starting at its oldest record");
        }
        self.arn = stream.arn;
        let mut old = std::mem::take(&mut self.shards);
        let mut listed = Vec::new();
        for id in stream.shards {
            let known = old.iter().position(|shard| same && shard.id == id).map(|index| old.remove(index));
            listed.push(known.unwrap_or_else(|| Shard { id, ..Shard::default() }));
        }
        // Shards that are gone are done with once their last records are handled.
        old.retain(|shard| !shard.queue.is_empty());
        for shard in &mut old {
            shard.closed = true;
        }
        self.shards = old.into_iter().chain(listed).collect();
        self.unlisted = false;
        // From here on `drain` knows the stream, whatever happens to this process.
        self.save()?;
        Ok(())
    }

    /// Reads a page of a shard and queues what passes the filters; returns how many records it had.
    async fn read(&mut self, index: usize) -> Result<usize> {
        let shard = &self.shards[index];
        if shard.closed {
            return Ok(0);
        }
        let iterator = match &shard.iterator {
            Some(iterator) => iterator.clone(),
            None => self.iterator(shard).await?,
        };
        let Page { records, next } = self.world.read(&iterator).await?;
        let shard = &mut self.shards[index];
        shard.closed = next.is_none();
        self.unlisted |= shard.closed;
        shard.iterator = next.or(Some(iterator));
        let count = records.len();
        if let Some(last) = records.last().and_then(batch::sequence_number) {
            shard.sequence = Some(last.to_owned());
            let wanted: Vec<_> = records.into_iter().filter(|record| self.mapping.wants(record)).collect();
            debug!(mapping = self.mapping.name(), read = count, wanted = wanted.len(), "records");
            let uninteresting = wanted.is_empty();
            shard.queue.extend(batches(&wanted, self.mapping.settings.batch_size));
            if uninteresting {
                self.save()?;
            }
        }
        Ok(count)
    }

    async fn iterator(&self, shard: &Shard) -> Result<String> {
        let start = shard.sequence.as_deref().map_or(Start::Horizon, Start::After);
        if let Some(iterator) = self.world.iterator(&self.arn, &shard.id, start).await? {
            return Ok(iterator);
        }
        // The emulator restarted and forgot its records; what it has now is new.
        debug!(mapping = self.mapping.name(), "the stream no longer has the last record read");
        let iterator = self.world.iterator(&self.arn, &shard.id, Start::Horizon).await?;
        iterator.ok_or_else(|| anyhow::anyhow!("shard {} cannot be read", shard.id))
    }

    /// Tries the first batch of a shard.
    async fn deliver(&mut self, index: usize) -> Result<()> {
        let settings = &self.mapping.settings;
        batch::expire(&mut self.shards[index].queue, settings, self.world.now());
        let Some(batch) = self.shards[index].queue.front() else {
            return Ok(());
        };
        if let Some(given_up) = batch.given_up {
            self.report(&self.shards[index], batch, given_up).await;
            self.shards[index].queue.pop_front();
            return self.save();
        }
        let event = batch::event(&self.arn, &batch.records);
        let answer = self.world.invoke(&self.mapping.function, &event, self.mapping.timeout).await;
        let verdict = batch::verdict(batch, settings, &answer);
        let (mapping, records, failures) = (self.mapping.name(), batch.records.len(), batch.failures);
        match (&answer, verdict) {
            (_, Verdict::Handled) => debug!(mapping, records, "delivered"),
            (Err(failure), _) => warn!(mapping, records, failures, error = %failure, "a delivery failed"),
            (Ok(_), _) => warn!(mapping, records, failures, "the function reports records that failed"),
        }
        let pause = batch::settle(&mut self.shards[index].queue, settings, verdict, answer.is_err());
        self.save()?;
        if !pause.is_zero() {
            self.world.pause(pause).await;
        }
        Ok(())
    }

    /// Tells the dead-letter queue, if there is one, and the log.
    async fn report(&self, shard: &Shard, batch: &Batch, given_up: GivenUp) {
        let Mapping { function, settings, .. } = &self.mapping;
        let message = dead_letter::message(batch, given_up, function, &self.arn, &shard.id, self.world.now());
        let (mapping, records) = (self.mapping.name(), batch.records.len());
        if let Err(error) = dead_letter::keep(&self.file, &message, &batch.records) {
            warn!(mapping, error = format!("{error:#}"), "cannot keep the records for a redrive");
        }
        match &settings.dead_letter_queue {
            None => error!(mapping, records, reason = ?given_up, "records are given up"),
            Some(queue) => match self.world.send(queue, &message).await {
                Ok(()) => {
                    error!(mapping, records, reason = ?given_up, queue, "records are given up, see the queue");
                }
                Err(error) => {
                    error!(mapping, records, reason = ?given_up, queue, error = format!("{error:#}"), "records are given up");
                }
            },
        }
    }

    /// Reads what the stream still has, because the emulator will forget it, and writes it down.
    async fn finish(mut self) -> Result<()> {
        for _ in 0..LAST_PAGES {
            match self.look().await {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    debug!(
                        mapping = self.mapping.name(),
                        error = format!("{error:#}"),
                        "cannot read the stream's end"
                    );
                    break;
                }
            }
        }
        self.save()
    }

    fn save(&self) -> Result<()> {
        let mut shards: BTreeMap<String, Position> = BTreeMap::new();
        for shard in &self.shards {
            // A stream and its successor may name their shards alike.
            let position = shards.entry(shard.id.clone()).or_default();
            position.sequence.clone_from(&shard.sequence);
            position.pending.extend(shard.queue.iter().flat_map(|batch| batch.records.iter().cloned()));
        }
        Checkpoint { stream: self.arn.clone(), shards }.save(&self.file)
    }
}

fn batches(records: &[Value], size: usize) -> VecDeque<Batch> {
    records.chunks(size.max(1)).map(|records| Batch::of(records.to_vec())).collect()
}
