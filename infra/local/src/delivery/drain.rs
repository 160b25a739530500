//! Reads streams to their end while the emulator still has them: it forgets them when it ends, its tables it keeps.
//!
//! The emulator's guard does so before it stops the emulator, because `cargo local` may have been killed, and with it the
//! feeds.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tracing::debug;

use super::aws::{Aws, Start, World};
use super::batch::sequence_number;
use super::checkpoint::{Checkpoint, Position};
use crate::invoke::Functions;

/// Between two looks at the streams. Functions that were killed with `cargo local` end within one.
const PAUSE: Duration = Duration::from_millis(100);
/// So many looks in a row must find nothing new.
const QUIET: u32 = 2;

/// Adds what the streams have beyond the checkpoints in `directory` to them, until nothing more comes.
pub async fn drain(emulator_url: &str, directory: &Path) -> Result<()> {
    let nobody = Functions::new(emulator_url, std::sync::Arc::default())?;
    let world = std::sync::Arc::new(Aws::new(emulator_url, nobody)?);
    let mut quiet = 0;
    while quiet < QUIET {
        let mut new = 0;
        let files =
            fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
        for file in files {
            let file = file?.path();
            if file.extension().is_some_and(|extension| extension == "json") {
                new += look(&world, &file).await?;
            }
        }
        quiet = if new == 0 { quiet + 1 } else { 0 };
        world.pause(PAUSE).await;
    }
    Ok(())
}

/// How many records it added. The filters come later, when a feed takes them up.
async fn look<W: World>(world: &W, file: &Path) -> Result<usize> {
    let Some(mut checkpoint) = Checkpoint::load(file)? else {
        return Ok(0);
    };
    let mut new = 0;
    for (shard, position) in &mut checkpoint.shards {
        match rest(world, &checkpoint.stream, shard, position).await {
            Ok(count) => new += count,
            // A stream that is no more: its table was made anew.
            Err(error) => debug!(error = format!("{error:#}"), "cannot read the end of a stream"),
        }
    }
    if new > 0 {
        checkpoint.save(file)?;
    }
    Ok(new)
}

async fn rest<W: World>(world: &W, arn: &str, shard: &str, position: &mut Position) -> Result<usize> {
    let start = position.sequence.as_deref().map_or(Start::Horizon, Start::After);
    let mut next = match world.iterator(arn, shard, start).await? {
        None => world.iterator(arn, shard, Start::Horizon).await?,
        found => found,
    };
    let mut count = 0;
    while let Some(iterator) = next {
        let page = world.read(&iterator).await?;
        let Some(last) = page.records.last().and_then(sequence_number) else {
            break;
        };
        position.sequence = Some(last.to_owned());
        count += page.records.len();
        position.pending.extend(page.records);
        next = page.next;
    }
    Ok(count)
}
