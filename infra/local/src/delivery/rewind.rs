//! Keeps the checkpoints in step with the emulator's tables, which are those of its last orderly end.
//!
//! Whoever kills the emulator itself takes its tables back to when it was started, what the workers wrote to them included.
//! What was delivered since must then be delivered again, to tables that have never seen it.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// Takes the checkpoints in `state` back to where they were when the emulator started last, if it has not written its
/// tables since, and otherwise remembers them for the next time. Called before the emulator starts.
pub fn rewind(state: &Path) -> Result<bool> {
    let (current, remembered) = (state.join("delivery"), state.join("delivery.started"));
    let (stamp, stamp_file) = (stamp(state), remembered.join("stamp"));
    let killed = fs::read_to_string(&stamp_file).is_ok_and(|remembered| remembered == stamp);
    let (from, to) = if killed { (&remembered, &current) } else { (&current, &remembered) };
    remove(to)?;
    copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
    if !killed {
        // Last: without it the copy does not count.
        fs::write(&stamp_file, stamp).with_context(|| format!("cannot write {}", stamp_file.display()))?;
    }
    Ok(killed)
}

/// What tells one set of saved tables from another.
fn stamp(state: &Path) -> String {
    let saved = fs::metadata(tables(state)).and_then(|file| Ok((file.modified()?, file.len())));
    saved.map_or_else(|_| "none".to_owned(), |saved| format!("{saved:?}"))
}

/// Where the emulator saves its tables.
fn tables(state: &Path) -> PathBuf {
    state.join("emulator").join("dynamodb.json")
}

fn remove(directory: &Path) -> Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot delete {}", directory.display()))
        }
        _ => Ok(()),
    }
}

/// Copies the JSON files of a directory, which need not exist, and of those in it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    let entries = match fs::read_dir(from) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name()))?;
        if path.is_dir() {
            copy(&path, &to.join(name))?;
        } else if path.extension().is_some_and(|extension| extension == "json") {
            fs::copy(&path, to.join(name))?;
        }
    }
    Ok(())
}
