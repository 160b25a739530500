//! The figures as Markdown and pictures.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use shared::clock::Clock;

use crate::measure::{Handled, Results, Route, Started};

/// The report.
pub(crate) fn markdown(results: &Results, root: &Path) -> Result<String> {
    let mut text = format!(
        "# What the functions take\n\nWritten by `cargo local bench -- --write`, never by hand; `cargo local bench -- --help` lists what else there is. {}\n\n{}",
        machine(results, root)?,
        HOW
    );
    starts(&mut text, results)?;
    for (case, subjects) in &results.cases {
        write!(text, "\n## {case}\n\n{HANDLED}")?;
        let (_, reference) = subjects.first().context("a case without subjects")?;
        for (name, handled) in subjects {
            handled_row(&mut text, name, handled, reference)?;
        }
    }
    routes(&mut text, results)?;
    Ok(text)
}

/// Our routes, one after the other.
fn routes(text: &mut String, results: &Results) -> Result<()> {
    text.push_str(
        "\n## Each route\n\nDynamoDB's answers were kept and are given again at once: what is measured is the function.\n\n\
         | service | route | DynamoDB calls | p50 µs | ± % | p99 µs | CPU µs |\n|---|---|---|---|---|---|---|\n",
    );
    for Route { service, name, calls, handled } in &results.routes {
        writeln!(
            text,
            "| {service} | `{name}` | {calls} | {:.0} | {:.0} | {:.0} | {:.0} |",
            handled.medians.median(),
            handled.medians.spread() * 100.0,
            handled.latency.p99(),
            handled.cpu.median(),
        )?;
    }
    Ok(())
}

const HOW: &str = "\
Each function is the release binary, started as Lambda starts it, with a Runtime API of this repository's own that hands it events of an \
API Gateway HTTP API. All of them, the Runtime API and the AWS that they ask share one processor; in each round everything is measured \
once, one process after the other. Times are medians, ± is the distance between the quartiles of the rounds' medians, in percent of the \
median; × is the median of the rounds' ratios to the first row. What the Runtime API takes is in the latencies of all subjects alike, and not in their CPU. Logs go to `/dev/null`. Absolute times \
are of that machine and that hour: compare ratios.
";

const HANDLED: &str = "\
| function | p50 µs | ± % | p99 µs | × | CPU µs | × | per second | MiB at most |
|---|---|---|---|---|---|---|---|---|
";

fn handled_row(text: &mut String, name: &str, handled: &Handled, reference: &Handled) -> Result<()> {
    let (latency, cpu) = (handled.medians.median(), handled.cpu.median());
    writeln!(
        text,
        "| {name} | {latency:.1} | {:.0} | {:.1} | {:.2} | {cpu:.1} | {:.2} | {:.0} | {:.1} |",
        handled.medians.spread() * 100.0,
        handled.latency.p99(),
        handled.medians.ratio_to(&reference.medians),
        handled.cpu.ratio_to(&reference.cpu),
        handled.rate.median(),
        handled.memory.median() / 1024.0 / 1024.0,
    )?;
    Ok(())
}

fn starts(text: &mut String, results: &Results) -> Result<()> {
    text.push_str(
        "\n## Starting\n\nUntil the function asks for its first event, and that event.\n\n\
         | function | ms | ± % | CPU ms | × | first event ms | CPU ms until then | binary MB | zip MB |\n\
         |---|---|---|---|---|---|---|---|---|\n",
    );
    let (_, reference) = results.starts.first().context("nothing was started")?;
    for (name, started) in &results.starts {
        let Started { wall, cpu, first, first_cpu, size } = started;
        let zipped = size
            .map_or_else(|| "| ".to_owned(), |(size, zip)| format!("{:.1} | {:.1}", mega(size), mega(zip)));
        writeln!(
            text,
            "| {name} | {:.2} | {:.0} | {:.2} | {:.2} | {:.2} | {:.2} | {zipped} |",
            wall.median() / 1e3,
            wall.spread() * 100.0,
            cpu.median() / 1e3,
            cpu.ratio_to(&reference.cpu),
            first.median() / 1e3,
            first_cpu.median() / 1e3,
        )?;
    }
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "no file is that large")]
fn mega(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// On which machine, with which versions, how often.
fn machine(results: &Results, root: &Path) -> Result<String> {
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or(": unknown");
    let rust = said(root, "rustc", &["--version"])?;
    let commit = said(root, "git", &["describe", "--always", "--dirty"]).unwrap_or_default();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    Ok(format!(
        "Of {}, at commit {commit}, on {} (Linux {}), {rust}, {} rounds.",
        Clock::system().now().strftime("%F"),
        model.trim_start_matches([':', ' ', '\t']),
        kernel.trim(),
        results.rounds,
    ))
}

fn said(root: &Path, program: &str, arguments: &[&str]) -> Result<String> {
    let output =
        Command::new(program).args(arguments).current_dir(root).output().context(program.to_owned())?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
