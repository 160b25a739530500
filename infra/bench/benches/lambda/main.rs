//! `cargo local bench`: starts the release binaries of our functions, and those that they are compared with, as Lambda does, and
//! writes what they took as Markdown.
//!
//! Everything runs on one processor, one process at a time, in rounds: each round measures each subject once, so that whatever else
//! the machine does strikes all of them alike. Ratios are between what was measured in the same round.

mod build;
mod callgrind;
mod cloud;
mod event;
mod measure;
mod others;
mod report;
mod story;
mod subjects;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use clap::Parser;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use build::Built;
use measure::{Plan, Results};
use subjects::Subjects;

/// Measures the functions beside what others would write.
#[expect(clippy::struct_excessive_bools, reason = "switches of a command line")]
#[derive(Debug, Parser)]
#[command(name = "cargo local bench", bin_name = "cargo local bench")]
pub(crate) struct Arguments {
    /// Few rounds of few events, and Rust only: enough to see that it works, too few to believe a figure.
    #[arg(long)]
    short: bool,
    /// How often everything is measured.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    rounds: Option<u16>,
    /// Write the report to infra/bench/README.md instead of printing it.
    #[arg(long)]
    write: bool,
    /// Count instructions, under valgrind, instead of measuring times.
    #[arg(long)]
    instructions: bool,
    /// Only these functions, which must have `auth` and `user` among them.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    functions: Vec<String>,
    /// What `cargo bench` adds.
    #[arg(long, hide = true)]
    bench: bool,
}

#[expect(clippy::print_stdout, reason = "the report")]
fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let root = template::workspace_root();
    let built = build::build(&root, &arguments.functions)?;
    let others =
        if arguments.short || arguments.instructions { BTreeMap::new() } else { others::prepare(&root) };
    pin()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    if arguments.instructions {
        println!("{}", runtime.block_on(instructions(&root, &built))?);
        return Ok(());
    }
    let results: Results = runtime.block_on(async {
        let subjects = Subjects::new(&root, &built, &others).await?;
        let mut plan = if arguments.short { Plan::SHORT } else { Plan::FULL };
        plan.rounds = arguments.rounds.map_or(plan.rounds, usize::from);
        measure::run(&subjects, &plan).await
    })?;
    let report = report::markdown(&results, &root)?;
    if arguments.write {
        let path = root.join("infra/bench/README.md");
        fs::write(&path, report).with_context(|| format!("cannot write {}", path.display()))?;
        println!("{}", path.display());
    } else {
        println!("{report}");
    }
    Ok(())
}

/// How many each subject takes.
async fn instructions(root: &Path, built: &Built) -> Result<String> {
    let subjects = Subjects::new(root, built, &BTreeMap::new()).await?;
    let mut text = String::from("| case | function | instructions at start | per event |\n|---|---|---|---|");
    for case in &subjects.cases {
        for subject in &case.subjects {
            subjects.cloud.replay(case.tape.clone());
            let counted = callgrind::count(subject, &root.join("target/bench")).await?;
            let (start, event) = (counted.start, counted.event);
            write!(text, "\n| {} | {} | {start} | {event} |", case.name, subject.name)?;
        }
    }
    Ok(text)
}

/// This process and all that it starts on the first processor: between two of them, what one wakes the other has to be fetched, which
/// takes as long as what is measured.
fn pin() -> Result<()> {
    let mut first = CpuSet::new();
    first.set(0)?;
    sched_setaffinity(Pid::from_raw(0), &first).context("cannot stay on one processor")
}
