//! Functions, and the events that invoke them.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::policy::Statement;
use crate::resource::Resource;
use crate::value;

/// A Lambda function.
#[derive(Debug, Clone, PartialEq)]
pub struct Function {
    /// Its logical id.
    pub logical_id: String,
    /// Its name, which is its binary's and what `cargo lambda watch` calls it.
    pub name: String,
    /// `CodeUri`: where its source is, relative to the template.
    pub code_uri: String,
    /// Its environment variables, globals included.
    pub environment: BTreeMap<String, String>,
    /// How long an invocation may take.
    pub timeout: Duration,
    /// Method (`ANY` for all) and path (with `{parameters}`) of each HTTP API event; the catch-all is `("ANY", "$default")`.
    pub routes: Vec<(String, String)>,
    /// The streams it is fed from.
    pub streams: Vec<StreamMapping>,
    /// The schedules it is invoked by.
    pub schedules: Vec<Schedule>,
    /// ARNs of the SNS topics that invoke it.
    pub topics: Vec<String>,
    /// The port on which it answers on a laptop: `LocalPort` in its metadata.
    pub local_port: Option<u16>,
    /// Its policy statements.
    pub policies: Vec<Statement>,
    /// Names of managed policies and SAM policy templates it has besides.
    pub managed_policies: Vec<String>,
}

/// A DynamoDB stream that feeds a function: an event source mapping.
#[derive(Debug, Clone, PartialEq)]
pub struct StreamMapping {
    /// The event's logical id within the function.
    pub id: String,
    /// Logical id of the table.
    pub table: String,
    /// Whether it delivers at all.
    pub enabled: bool,
    /// Where it starts in a stream it never read.
    pub starting_position: StartingPosition,
    /// Most records in one invocation.
    pub batch_size: usize,
    /// How long to wait for a batch to fill.
    pub batching_window: Duration,
    /// Filter patterns; a record is delivered when any matches, or when there are none.
    pub filters: Vec<Value>,
    /// How often a failed batch is tried again; `None`: until it expires.
    pub retries: Option<u32>,
    /// The age at which a record is given up; `None`: never.
    pub maximum_record_age: Option<Duration>,
    /// Whether a failed batch is halved.
    pub bisect: bool,
    /// Whether the function's `batchItemFailures` count.
    pub report_batch_item_failures: bool,
    /// Logical id of the queue that learns of batches given up.
    pub dead_letter_queue: Option<String>,
}

/// Where an event source mapping starts in a stream it never read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartingPosition {
    /// At the oldest record still there.
    TrimHorizon,
    /// After the newest record.
    Latest,
}

/// A schedule that invokes a function.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// The event's logical id within the function.
    pub id: String,
    /// EventBridge rule or scheduler: their events differ.
    pub kind: ScheduleKind,
    /// `rate(...)` or `cron(...)`.
    pub expression: String,
    /// Whether it fires at all.
    pub enabled: bool,
    /// The event to send instead of the service's own.
    pub input: Option<Value>,
}

/// Which service runs a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScheduleKind {
    /// SAM's `Schedule`: an EventBridge rule.
    Rule,
    /// SAM's `ScheduleV2`: EventBridge Scheduler.
    Scheduler,
}

impl Function {
    pub(crate) fn read(id: &str, resource: &Resource) -> Result<Self> {
        let (properties, metadata) = (&resource.properties, &resource.metadata);
        if properties.get("Role").is_some() {
            bail!("has a Role: say Policies, from which tests and readers see what it may do");
        }
        let name = value::text(&metadata["BuildProperties"]["Binary"])
            .or_else(|| value::text(&properties["FunctionName"]))
            .context("no name: give Metadata.BuildProperties.Binary")?;
        let mut environment = BTreeMap::new();
        for (key, variable) in value::object(&properties["Environment"], "Variables")? {
            let text = value::text(variable).with_context(|| format!("variable {key} is not text"))?;
            environment.insert(key.clone(), text);
        }
        let (policies, managed_policies) = Statement::read(&properties["Policies"])?;
        let mut function = Self {
            logical_id: id.to_owned(),
            name,
            code_uri: value::text(&properties["CodeUri"]).unwrap_or_else(|| ".".to_owned()),
            environment,
            timeout: seconds(properties, "Timeout")?.unwrap_or(Duration::from_secs(3)),
            routes: Vec::new(),
            streams: Vec::new(),
            schedules: Vec::new(),
            topics: Vec::new(),
            local_port: positive(metadata, "LocalPort")?
                .map(|port| u16::try_from(port).context("LocalPort is not a port"))
                .transpose()?,
            policies,
            managed_policies,
        };
        for (id, event) in value::object(properties, "Events")? {
            function.add_event(id, event).with_context(|| format!("event {id}"))?;
        }
        Ok(function)
    }

    fn add_event(&mut self, id: &str, event: &Value) -> Result<()> {
        let properties = &event["Properties"];
        match value::required(event, "Type")?.as_str() {
            "HttpApi" => self.routes.push(route(properties)?),
            "DynamoDB" => self.streams.push(StreamMapping::read(id, properties)?),
            "Schedule" => self.schedules.push(Schedule::read(id, ScheduleKind::Rule, properties)?),
            "ScheduleV2" => self.schedules.push(Schedule::read(id, ScheduleKind::Scheduler, properties)?),
            "SNS" => self.topics.push(value::required(properties, "Topic")?),
            kind => bail!("type {kind} is not understood by infra/template"),
        }
        Ok(())
    }
}

fn route(properties: &Value) -> Result<(String, String)> {
    match (value::text(&properties["Method"]), value::text(&properties["Path"])) {
        (Some(method), Some(path)) => Ok((method.to_ascii_uppercase(), path)),
        (None, None) => Ok(("ANY".to_owned(), "$default".to_owned())),
        _ => bail!("needs both Method and Path, or neither"),
    }
}

/// What an event source mapping may say. Another property, such as a tumbling window, would change what the function gets.
const STREAM_PROPERTIES: [&str; 12] = [
    "Stream",
    "StartingPosition",
    "Enabled",
    "BatchSize",
    "MaximumBatchingWindowInSeconds",
    "FilterCriteria",
    "FunctionResponseTypes",
    "BisectBatchOnFunctionError",
    "MaximumRetryAttempts",
    "MaximumRecordAgeInSeconds",
    "DestinationConfig",
    "MetricsConfig",
];
/// What a schedule may say. Another property, such as a time zone, would change when the function is invoked.
const SCHEDULE_PROPERTIES: [&str; 9] = [
    "Schedule",
    "ScheduleExpression",
    "Name",
    "Description",
    "Enabled",
    "State",
    "Input",
    "RetryPolicy",
    "DeadLetterConfig",
];

impl StreamMapping {
    fn read(id: &str, properties: &Value) -> Result<Self> {
        only(properties, &STREAM_PROPERTIES)?;
        let stream = value::required(properties, "Stream")?;
        let table = stream
            .split_once(":table/")
            .and_then(|(_, rest)| rest.split_once("/stream/"))
            .map(|(table, _)| table.to_owned())
            .with_context(|| format!("Stream is not the StreamArn of a table here: {stream}"))?;
        let filters = value::list(&properties["FilterCriteria"]["Filters"]).iter().map(|filter| {
            let pattern = value::required(filter, "Pattern")?;
            serde_json::from_str(&pattern).with_context(|| format!("filter pattern is not JSON: {pattern}"))
        });
        let starting_position = match value::required(properties, "StartingPosition")?.as_str() {
            "TRIM_HORIZON" => StartingPosition::TrimHorizon,
            "LATEST" => StartingPosition::Latest,
            other => bail!("StartingPosition {other} is not for DynamoDB streams"),
        };
        let destination = value::text(&properties["DestinationConfig"]["OnFailure"]["Destination"]);
        let dead_letter_queue = destination
            .map(|arn| {
                let queue = arn.starts_with("arn:aws:sqs:").then(|| arn.rsplit(':').next()).flatten();
                queue
                    .map(str::to_owned)
                    .with_context(|| format!("OnFailure destination is not a queue: {arn}"))
            })
            .transpose()?;
        let response_types = value::list(&properties["FunctionResponseTypes"]);
        Ok(Self {
            id: id.to_owned(),
            table,
            enabled: value::flag(properties, "Enabled")?.unwrap_or(true),
            starting_position,
            batch_size: usize::try_from(positive(properties, "BatchSize")?.unwrap_or(100))?,
            batching_window: seconds(properties, "MaximumBatchingWindowInSeconds")?.unwrap_or_default(),
            filters: filters.collect::<Result<_>>()?,
            // AWS writes -1 for "no limit".
            retries: value::number(properties, "MaximumRetryAttempts")?
                .and_then(|times| u32::try_from(times).ok()),
            maximum_record_age: value::number(properties, "MaximumRecordAgeInSeconds")?
                .and_then(|age| u64::try_from(age).ok())
                .map(Duration::from_secs),
            bisect: value::flag(properties, "BisectBatchOnFunctionError")?.unwrap_or(false),
            report_batch_item_failures: response_types.iter().any(|kind| kind == "ReportBatchItemFailures"),
            dead_letter_queue,
        })
    }
}

impl Schedule {
    fn read(id: &str, kind: ScheduleKind, properties: &Value) -> Result<Self> {
        only(properties, &SCHEDULE_PROPERTIES)?;
        let expression = match kind {
            ScheduleKind::Rule => value::required(properties, "Schedule")?,
            ScheduleKind::Scheduler => value::required(properties, "ScheduleExpression")?,
        };
        let disabled =
            value::flag(properties, "Enabled")? == Some(false) || properties["State"] == "DISABLED";
        let input = value::text(&properties["Input"])
            .map(|text| serde_json::from_str(&text).with_context(|| format!("Input is not JSON: {text}")))
            .transpose()?;
        Ok(Self { id: id.to_owned(), kind, expression, enabled: !disabled, input })
    }
}

fn positive(properties: &Value, key: &str) -> Result<Option<u32>> {
    let number = value::number(properties, key)?;
    number
        .map(|number| {
            let positive = u32::try_from(number).ok().filter(|number| *number > 0);
            positive.with_context(|| format!("{key} is not positive: {number}"))
        })
        .transpose()
}

fn seconds(properties: &Value, key: &str) -> Result<Option<Duration>> {
    let number = value::number(properties, key)?;
    number
        .map(|number| {
            Ok(Duration::from_secs(u64::try_from(number).with_context(|| format!("{key} is negative"))?))
        })
        .transpose()
}

/// Refuses properties that nobody here understands.
fn only(properties: &Value, known: &[&str]) -> Result<()> {
    let named = properties.as_object().into_iter().flat_map(|properties| properties.keys());
    match named.into_iter().find(|name| !known.contains(&name.as_str())) {
        Some(name) => bail!("{name} is not understood by infra/template"),
        None => Ok(()),
    }
}
