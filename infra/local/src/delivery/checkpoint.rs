//! What a feed remembers over a restart.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

/// How far a stream was read, and what of it is not handled yet.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Checkpoint {
    /// The stream's ARN.
    pub(super) stream: String,
    /// By shard id.
    pub(super) shards: BTreeMap<String, Position>,
}

/// How far a shard was read, and what of it is not handled yet.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Position {
    /// Sequence number of the last record read.
    pub(super) sequence: Option<String>,
    /// Records up to there that are not handled. The emulator forgets its streams when it ends, so they are kept here.
    pub(super) pending: Vec<Value>,
}

impl Checkpoint {
    /// `None` when there is none yet.
    pub(super) fn load(file: &Path) -> Result<Option<Self>> {
        let text = match fs::read_to_string(file) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            text => text.with_context(|| format!("cannot read {}", file.display()))?,
        };
        let stored: Value =
            serde_json::from_str(&text).with_context(|| format!("{} is damaged", file.display()))?;
        let shards = stored["shards"].as_object().into_iter().flatten().map(|(id, shard)| {
            let position = Position {
                sequence: shard["sequence"].as_str().map(str::to_owned),
                pending: shard["pending"].as_array().cloned().unwrap_or_default(),
            };
            (id.clone(), position)
        });
        Ok(Some(Self {
            shards: shards.collect(),
            stream: stored["stream"].as_str().unwrap_or_default().to_owned(),
        }))
    }

    /// Replaces the file at once, so that a crash leaves the old or the new one.
    pub(super) fn save(&self, file: &Path) -> Result<()> {
        let shards = self.shards.iter().map(|(id, position)| {
            (id.clone(), json!({ "sequence": position.sequence, "pending": position.pending }))
        });
        let text =
            json!({ "stream": self.stream, "shards": shards.collect::<serde_json::Map<_, _>>() }).to_string();
        let fresh = file.with_extension("new");
        if let Some(directory) = file.parent() {
            fs::create_dir_all(directory)
                .with_context(|| format!("cannot create {}", directory.display()))?;
        }
        fs::write(&fresh, text).with_context(|| format!("cannot write {}", fresh.display()))?;
        fs::rename(&fresh, file).with_context(|| format!("cannot replace {}", file.display()))
    }
}
