//! What is measured, and how often.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bench::sandbox::Sandbox;
use bench::statistics::Sample;

use crate::subjects::{Subject, Subjects, ask};

/// How often.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// Everything is measured so many times.
    pub(crate) rounds: usize,
    /// Events that are not measured, in each round.
    pub(crate) warm_up: u32,
    /// Events that are, in each round.
    pub(crate) events: u32,
    /// Starts, in each round.
    pub(crate) starts: usize,
}

impl Plan {
    pub(crate) const FULL: Self = Self { rounds: 15, warm_up: 500, events: 1000, starts: 5 };
    pub(crate) const SHORT: Self = Self { rounds: 3, warm_up: 50, events: 100, starts: 1 };
}

/// What came out, by the case's name and the subject's.
#[derive(Debug, Default)]
pub(crate) struct Results {
    /// The rounds there were.
    pub(crate) rounds: usize,
    /// How subjects start.
    pub(crate) starts: Vec<(String, Started)>,
    /// How they handle events.
    pub(crate) cases: Vec<(String, Vec<(String, Handled)>)>,
    /// Our routes.
    pub(crate) routes: Vec<Route>,
}

/// A route of ours.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) service: String,
    /// Method and path.
    pub(crate) name: String,
    /// How often it asks DynamoDB.
    pub(crate) calls: usize,
    pub(crate) handled: Handled,
}

/// Times in microseconds.
#[derive(Debug, Default)]
pub(crate) struct Started {
    pub(crate) wall: Sample,
    pub(crate) cpu: Sample,
    /// The first event: from its first byte to the answer's last.
    pub(crate) first: Sample,
    /// Of the processor, from the process's start to that answer.
    pub(crate) first_cpu: Sample,
    /// Of the binary and of its zip, in bytes.
    pub(crate) size: Option<(u64, u64)>,
}

/// Times in microseconds.
#[derive(Debug, Default)]
pub(crate) struct Handled {
    /// Each event's.
    pub(crate) latency: Sample,
    /// The medians of the rounds, of which the spread is told.
    pub(crate) medians: Sample,
    /// Of the processor per event, of each round.
    pub(crate) cpu: Sample,
    /// Per second, of each round.
    pub(crate) rate: Sample,
    /// The most memory, in bytes, of each round.
    pub(crate) memory: Sample,
}

/// Measures everything in rounds.
pub(crate) async fn run(subjects: &Subjects, plan: &Plan) -> Result<Results> {
    let mut results = Results { rounds: plan.rounds, ..Results::default() };
    for case in &subjects.cases {
        let subjects = case.subjects.iter().map(|subject| (subject.name.clone(), Handled::default()));
        results.cases.push((case.name.to_owned(), subjects.collect()));
    }
    for subject in &subjects.starts {
        let size = subjects.sizes.get(&subject.program.name).copied();
        results.starts.push((subject.name.clone(), Started { size, ..Started::default() }));
    }
    for step in &subjects.steps {
        let (service, name) = (step.service.clone(), step.route.clone());
        results.routes.push(Route { service, name, calls: step.tape.calls(), handled: Handled::default() });
    }
    for round in 0..plan.rounds {
        eprintln!("round {} of {}", round + 1, plan.rounds);
        for (case, (_, results)) in subjects.cases.iter().zip(&mut results.cases) {
            for (subject, (_, handled)) in case.subjects.iter().zip(results) {
                subjects.cloud.replay(case.tape.clone());
                let what = || format!("{}: {}", case.name, subject.name);
                handle(subject, plan, handled).await.with_context(what)?;
            }
        }
        routes(subjects, plan, &mut results.routes).await?;
        subjects.cloud.live();
        for (subject, (_, started)) in subjects.starts.iter().zip(&mut results.starts) {
            for _ in 0..plan.starts {
                start(subject, started).await.with_context(|| subject.name.clone())?;
            }
        }
    }
    Ok(results)
}

async fn start(subject: &Subject, results: &mut Started) -> Result<()> {
    let (mut sandbox, start) = Sandbox::start(&subject.program).await?;
    results.wall.push(micros(start.wall));
    results.cpu.push(micros(start.cpu));
    let first = sandbox.invoke(&subject.event).await?;
    results.first.push(micros(first.latency));
    results.first_cpu.push(micros(sandbox.cpu()?));
    Ok(())
}

async fn handle(subject: &Subject, plan: &Plan, results: &mut Handled) -> Result<()> {
    let (mut sandbox, _) = Sandbox::start(&subject.program).await?;
    for _ in 0..plan.warm_up {
        ask(&mut sandbox, &subject.event, subject.status).await?;
    }
    events(&mut sandbox, &subject.event, plan.events, results).await
}

/// Each route of ours, in functions that serve all of theirs.
async fn routes(subjects: &Subjects, plan: &Plan, results: &mut [Route]) -> Result<()> {
    let mut running = HashMap::new();
    for (step, route) in subjects.steps.iter().zip(results) {
        let what = || format!("{} of {}", step.route, step.service);
        subjects.cloud.replay(step.tape.clone());
        if !running.contains_key(&step.service) {
            let program = subjects.programs.get(&step.service).with_context(what)?;
            running.insert(step.service.clone(), Sandbox::start(program).await?.0);
        }
        let sandbox = running.get_mut(&step.service).with_context(what)?;
        let warm_up = Instant::now();
        let mut warmed_up = 0;
        while warmed_up < 1 || (warmed_up < plan.warm_up && warm_up.elapsed() < PER_ROUTE) {
            ask(sandbox, &step.event, step.status).await.with_context(what)?;
            warmed_up += 1;
        }
        let each = warm_up.elapsed().as_secs_f64() / f64::from(warmed_up);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few hundred")]
        let fitting = (PER_ROUTE.as_secs_f64() / each) as u32;
        events(sandbox, &step.event, plan.events.min(fitting.max(3)), &mut route.handled)
            .await
            .with_context(what)?;
    }
    Ok(())
}

/// How long a route may take in one round: those that hash a password are slow on purpose.
const PER_ROUTE: Duration = Duration::from_millis(200);

async fn events(sandbox: &mut Sandbox, event: &[u8], events: u32, results: &mut Handled) -> Result<()> {
    let mut round = Sample::default();
    let (begun, cpu) = (Instant::now(), micros(sandbox.cpu()?));
    for _ in 0..events {
        let latency = micros(sandbox.invoke(event).await?.latency);
        round.push(latency);
        results.latency.push(latency);
    }
    let events = f64::from(events);
    results.cpu.push((micros(sandbox.cpu()?) - cpu) / events);
    results.rate.push(events / begun.elapsed().as_secs_f64());
    results.medians.push(round.median());
    #[expect(clippy::cast_precision_loss, reason = "no process has that much memory")]
    results.memory.push(sandbox.peak_memory()? as f64);
    Ok(())
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}
