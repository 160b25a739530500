//! Delivers stream records and schedules to the functions, as event source mappings and EventBridge do on AWS.
//!
//! The emulator's own event source mappings ignore `batchItemFailures`, and know nothing of functions that
//! `cargo lambda watch` runs.
//!
//! Unlike AWS it never waits for a batch to fill (`MaximumBatchingWindowInSeconds`), and pauses 10 s at most before a retry.
//! How often a batch was tried is not kept over a restart, which thus gives it all its retries again. Other than that, this
//! follows <https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html>; what of a template it does not
//! understand, it refuses.

mod aws;
mod batch;
mod checkpoint;
mod cron;
mod dead_letter;
mod drain;
mod feed;
mod feedback;
mod filter;
mod redrive;
mod rewind;
mod schedule;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use template::{StartingPosition, StreamMapping, Template};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::invoke::Functions;
use crate::watch::Environment;
use aws::Aws;
pub use drain::drain;
use feed::Feed;
use feedback::Feedback;
pub use filter::Filter;
pub use redrive::{Outcome, Redrive, Redriven};
pub use rewind::rewind;
pub use schedule::Timer;

/// What is delivered, from where and to where.
#[derive(Debug)]
pub struct Delivery {
    /// The streams, each with the function that it feeds.
    pub mappings: Vec<Mapping>,
    /// The schedules, each with the function that it invokes.
    pub schedules: Vec<Timer>,
    /// Who is told what becomes of mails.
    feedback: Vec<Feedback>,
    /// Where the emulator answers, such as `http://127.0.0.1:4566`.
    pub emulator_url: String,
    /// Where `cargo lambda watch` answers, such as `http://127.0.0.1:9000`.
    pub watch_url: String,
    /// Where to remember what was delivered. Whoever deletes the emulator's state deletes this too.
    pub state_dir: PathBuf,
}

/// A stream and the function that it feeds.
#[derive(Debug, Clone)]
pub struct Mapping {
    /// The function's name.
    pub function: String,
    /// How long the function may take.
    pub timeout: Duration,
    /// A record is delivered when any of these matches, or when there are none.
    pub filters: Vec<Filter>,
    /// Everything else that the template says.
    pub settings: StreamMapping,
}

impl Mapping {
    /// What to call it in logs and file names.
    pub fn name(&self) -> String {
        format!("{}.{}", self.function, self.settings.id)
    }

    /// Whether a record passes the filters.
    fn wants(&self, record: &Value) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|filter| filter.matches(record))
    }

    /// Where to remember what was delivered.
    fn checkpoint(&self, state_dir: &Path) -> PathBuf {
        state_dir.join(format!("{}.json", self.name()))
    }
}

impl Delivery {
    /// Everything that the template declares. An error names a filter or schedule that this tool does not understand.
    pub fn new(template: &Template, emulator_url: &str, watch_url: &str, state_dir: &Path) -> Result<Self> {
        let mut mappings = Vec::new();
        let mut schedules = Vec::new();
        for function in template.functions() {
            for settings in function.streams.iter().filter(|stream| stream.enabled) {
                ensure!(
                    settings.starting_position == StartingPosition::TrimHorizon,
                    "infra/local starts streams at TRIM_HORIZON only, see stream {} of {}",
                    settings.id,
                    function.name
                );
                let filters = settings.filters.iter().map(Filter::parse).collect::<Result<_>>();
                mappings.push(Mapping {
                    function: function.name.clone(),
                    timeout: function.timeout,
                    filters: filters
                        .with_context(|| format!("stream {} of {}", settings.id, function.name))?,
                    settings: settings.clone(),
                });
            }
            for schedule in function.schedules.iter().filter(|schedule| schedule.enabled) {
                schedules.push(Timer::new(function, schedule)?);
            }
        }
        let mut delivery = Self {
            mappings,
            schedules,
            feedback: Vec::new(),
            emulator_url: emulator_url.to_owned(),
            watch_url: watch_url.to_owned(),
            state_dir: state_dir.to_owned(),
        };
        for function in template.functions() {
            let feedback = Feedback::of(function, &function.environment, emulator_url, state_dir);
            delivery.feedback.extend(feedback);
        }
        Ok(delivery)
    }

    /// Only what SES reports of mails, for functions that a stack has, whose resources are called as in `environment`.
    pub fn of_reports(
        template: &Template,
        environment: &Environment,
        emulator_url: &str,
        watch_url: &str,
        state_dir: &Path,
    ) -> Self {
        let feedback = |function| Feedback::of(function, environment, emulator_url, state_dir);
        Self {
            mappings: Vec::new(),
            schedules: Vec::new(),
            feedback: template.functions().iter().filter_map(feedback).collect(),
            emulator_url: emulator_url.to_owned(),
            watch_url: watch_url.to_owned(),
            state_dir: state_dir.to_owned(),
        }
    }
}

/// Delivers until `shutdown`; then writes down what is not delivered yet, so that the next run delivers it.
///
/// The emulator forgets its stream records when it ends: stop the functions first, then this, and the emulator last. Whatever
/// is killed instead, no record is lost that a table still has: the emulator's guard reads the streams to their end before
/// it stops the emulator ([`drain`]), and an emulator that was killed itself has its tables, the workers' included, and the
/// checkpoints as they were when it started ([`rewind`]). Only who kills the guard too, and leaves the emulator time to save
/// its tables, loses what was written to them in the last fifth of a second or while a batch was on its way.
pub async fn run(delivery: Delivery, shutdown: impl Future<Output = ()> + Send) -> Result<()> {
    let functions = Functions::new(&delivery.watch_url, Arc::default())?;
    let aws = Arc::new(Aws::new(&delivery.emulator_url, functions.clone())?);
    let (stop, stopped) = watch::channel(false);
    let mut feeds = JoinSet::new();
    for mapping in delivery.mappings {
        let file = mapping.checkpoint(&delivery.state_dir);
        let feed = Feed::new(aws.clone(), mapping, file)?;
        feeds.spawn(feed.run(stopped.clone()));
    }
    let mut timers = JoinSet::new();
    for timer in delivery.schedules {
        timers.spawn(timer.run(functions.clone()));
    }
    for feedback in delivery.feedback {
        timers.spawn(feedback.run(functions.clone()));
    }
    shutdown.await;
    timers.shutdown().await;
    stop.send_replace(true);
    while let Some(ended) = feeds.join_next().await {
        ended.context("a delivery panicked")??;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;

    #[test]
    fn everything_that_the_template_declares_is_understood() {
        let template = Template::load(&template::workspace_root(), &BTreeMap::new()).unwrap();
        let delivery =
            Delivery::new(&template, "http://emulator", "http://watch", Path::new("state")).unwrap();
        let declared =
            |count: fn(&template::Function) -> usize| template.functions().iter().map(count).sum::<usize>();
        assert_eq!(delivery.mappings.len(), declared(|function| function.streams.len()));
        assert_eq!(delivery.schedules.len(), declared(|function| function.schedules.len()));
        assert!(delivery.mappings.iter().any(|mapping| mapping.name() == "notification-worker.Orders"));
    }

    #[test]
    fn more_subscribers_change_nothing_here() {
        let load = |values: &[(&str, &str)]| {
            let values = values.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            Template::load(&template::workspace_root(), &values.collect())
        };
        let template = load(&[("EventBus", "enabled"), ("EventArchive", "enabled")]).unwrap();
        let subscribed = Delivery::new(&template, "", "", Path::new("")).unwrap();
        let alone = Delivery::new(&load(&[]).unwrap(), "", "", Path::new("")).unwrap();
        assert_eq!(subscribed.mappings.len(), alone.mappings.len());
        let error = format!("{:#}", load(&[("EventArchive", "enabled")]).unwrap_err());
        assert!(error.contains("EventBus"), "the archive is filled from the bus: {error}");
    }

    #[test]
    fn the_mailer_gets_new_events_and_whatever_cannot_be_read() {
        let template = Template::load(&template::workspace_root(), &BTreeMap::new()).unwrap();
        let delivery = Delivery::new(&template, "", "", Path::new("")).unwrap();
        let mapping =
            delivery.mappings.iter().find(|mapping| mapping.name() == "auth-mailer.Outbox").unwrap();
        let wanted = |name: &str, image: Value| {
            let record = json!({ "eventName": name, "dynamodb": { "NewImage": image } });
            mapping.filters.iter().any(|filter| filter.matches(&record))
        };
        let event = |kind: &str| json!({ "event": { "M": { "type": { "S": kind } } } });
        assert!(wanted("INSERT", event("password_forgotten")));
        assert!(wanted("INSERT", json!({})), "it ends as a dead letter");
        assert!(wanted("INSERT", event("new_sign_in")));
        for silent in ["nothing", "user_registered"] {
            assert!(!wanted("INSERT", event(silent)), "{silent}");
        }
        assert!(!wanted("MODIFY", event("password_forgotten")), "marked as done");
        assert!(!wanted("REMOVE", json!({})));
    }

    #[test]
    fn what_is_not_understood_is_an_error_that_names_it() {
        let text = |event: &str| {
            format!(
                "Resources: {{F: {{Type: 'AWS::Serverless::Function', Metadata: {{BuildProperties: {{Binary: worker}}}}, \
                 Properties: {{Events: {{Mine: {event}}}}}}}, T: {{Type: 'AWS::DynamoDB::Table'}}}}"
            )
        };
        let stream = "StartingPosition: TRIM_HORIZON, Stream: !GetAtt T.StreamArn";
        for event in [
            "{Type: Schedule, Properties: {Schedule: cron(0 2 L * ? *)}}".to_owned(),
            "{Type: DynamoDB, Properties: {StartingPosition: LATEST, Stream: !GetAtt T.StreamArn}}"
                .to_owned(),
            format!(
                "{{Type: DynamoDB, Properties: {{{stream}, FilterCriteria: {{Filters: [{{Pattern: '{{\"a\":1}}'}}]}}}}}}"
            ),
        ] {
            let template = Template::parse(&text(&event), &BTreeMap::new()).unwrap();
            let error = Delivery::new(&template, "", "", Path::new("")).expect_err(&event);
            let error = format!("{error:#}");
            assert!(error.contains("Mine") && error.contains("worker"), "{error}");
        }
    }
}
