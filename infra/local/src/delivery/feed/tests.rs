//! A feed in a world that a test plays: a stream in memory, a worker with a script, time that passes at once.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use anyhow::bail;
use jiff::Timestamp;
use serde_json::json;
use template::{StartingPosition, StreamMapping};

use super::*;
use crate::delivery::Filter;
use crate::delivery::aws::Stream;
use crate::invoke::Failure;

/// Long after every record was made, and within their age limit.
const NOW: i64 = 1_000;

#[derive(Clone, Default)]
struct Fake(Arc<Inner>);

#[derive(Default)]
struct Inner {
    records: Mutex<Vec<Value>>,
    /// The emulator's name for its stream.
    label: Mutex<String>,
    /// Order numbers whose delivery fails.
    poison: Mutex<BTreeSet<u64>>,
    /// Whether the worker says which record failed, or just fails.
    reports: bool,
    down: Mutex<bool>,
    /// The order numbers of each invocation.
    deliveries: Mutex<Vec<Vec<u64>>>,
    letters: Mutex<Vec<(String, Value)>>,
    events: Mutex<Vec<Value>>,
    /// Told when the feed has nothing left to do.
    idle: watch::Sender<()>,
}

impl World for Fake {
    async fn stream(&self, table: &str) -> Result<Stream> {
        assert_eq!(table, "OrderTable");
        Ok(Stream { arn: self.0.label.lock().unwrap().clone(), shards: vec!["shard".to_owned()] })
    }

    async fn iterator(&self, arn: &str, shard: &str, start: Start<'_>) -> Result<Option<String>> {
        assert_eq!((arn, shard), (self.0.label.lock().unwrap().as_str(), "shard"));
        let records = self.0.records.lock().unwrap();
        let index = match start {
            Start::Horizon => Some(0),
            Start::At(_) => unreachable!("a feed reads on"),
            Start::After(sequence) => {
                let found =
                    records.iter().position(|record| batch::sequence_number(record) == Some(sequence));
                found.map(|index| index + 1)
            }
        };
        Ok(index.map(|index| index.to_string()))
    }

    async fn read(&self, iterator: &str) -> Result<Page> {
        let start: usize = iterator.parse()?;
        let records: Vec<_> = self.0.records.lock().unwrap().iter().skip(start).take(4).cloned().collect();
        Ok(Page { next: Some((start + records.len()).to_string()), records })
    }

    async fn invoke(&self, function: &str, event: &Value, _: Duration) -> Result<Value, Failure> {
        assert_eq!(function, "worker");
        if *self.0.down.lock().unwrap() {
            return Err(Failure::Unreachable("refused".to_owned()));
        }
        let records = event["Records"].as_array().expect("Records");
        let numbers: Vec<_> = records.iter().map(number).collect();
        self.0.deliveries.lock().unwrap().push(numbers.clone());
        self.0.events.lock().unwrap().push(event.clone());
        let poison = self.0.poison.lock().unwrap();
        let failed: Vec<_> = numbers.into_iter().filter(|number| poison.contains(number)).collect();
        if !self.0.reports && !failed.is_empty() {
            return Err(Failure::Failed("boom".to_owned()));
        }
        let failures = failed.iter().map(|number| json!({ "itemIdentifier": number.to_string() }));
        Ok(json!({ "batchItemFailures": failures.collect::<Vec<_>>() }))
    }

    async fn send(&self, queue: &str, message: &Value) -> Result<()> {
        if queue == "Missing" {
            bail!("no such queue");
        }
        self.0.letters.lock().unwrap().push((queue.to_owned(), message.clone()));
        Ok(())
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_second(NOW).unwrap()
    }

    async fn pause(&self, duration: Duration) {
        if duration == POLL || *self.0.down.lock().unwrap() {
            self.0.idle.send_replace(());
        }
        tokio::task::yield_now().await;
    }
}

fn number(record: &Value) -> u64 {
    batch::sequence_number(record).and_then(|number| number.parse().ok()).expect("a number")
}

fn record(number: u64) -> Value {
    json!({
        "eventID": number.to_string(),
        "eventName": "INSERT",
        "eventVersion": "1.1",
        "dynamodb": {
            "ApproximateCreationDateTime": NOW - 100,
            "Keys": { "sk": { "S": if number.is_multiple_of(100) { "OPEN#" } else { "ORDER#" } } },
            "SequenceNumber": number.to_string(),
        },
    })
}

/// A worker, its stream and the file in which the feed remembers.
struct Setup {
    world: Fake,
    mapping: Mapping,
    file: PathBuf,
}

impl Drop for Setup {
    fn drop(&mut self) {
        let _never_written = std::fs::remove_file(&self.file);
    }
}

impl Setup {
    fn new(test: &str, reports: bool) -> Self {
        let settings = StreamMapping {
            id: "Orders".to_owned(),
            table: "OrderTable".to_owned(),
            enabled: true,
            starting_position: StartingPosition::TrimHorizon,
            batch_size: 4,
            batching_window: Duration::ZERO,
            filters: Vec::new(),
            retries: Some(2),
            maximum_record_age: Some(Duration::from_secs(500)),
            bisect: true,
            report_batch_item_failures: reports,
            dead_letter_queue: Some("DeadLetters".to_owned()),
        };
        let pattern = json!({ "dynamodb": { "Keys": { "sk": { "S": [{ "prefix": "ORDER#" }] } } } });
        let world = Fake(Arc::new(Inner { reports, ..Inner::default() }));
        "stream 1".clone_into(&mut world.0.label.lock().unwrap());
        Self {
            world,
            mapping: Mapping {
                function: "worker".to_owned(),
                timeout: Duration::from_mins(1),
                filters: vec![Filter::parse(&pattern).unwrap()],
                settings,
            },
            file: std::env::temp_dir().join(format!("feed-{}-{test}.json", std::process::id())),
        }
    }

    fn with_poison(self, numbers: &[u64]) -> Self {
        self.world.0.poison.lock().unwrap().extend(numbers);
        self
    }

    fn add(&self, numbers: impl IntoIterator<Item = u64>) {
        self.world.0.records.lock().unwrap().extend(numbers.into_iter().map(record));
    }

    /// Runs a feed until it has nothing to do (or cannot reach the worker), stops it, and returns what it delivered.
    async fn run(&self) -> Vec<Vec<u64>> {
        let feed = Feed::new(self.world.clone(), self.mapping.clone(), self.file.clone()).unwrap();
        let mut idle = self.world.0.idle.subscribe();
        let (stop, stopped) = watch::channel(false);
        let feed = tokio::spawn(feed.run(stopped));
        idle.changed().await.unwrap();
        stop.send_replace(true);
        feed.await.unwrap().unwrap();
        std::mem::take(&mut self.world.0.deliveries.lock().unwrap())
    }

    fn set_down(&self, down: bool) {
        *self.world.0.down.lock().unwrap() = down;
    }

    fn letters(&self) -> Vec<(String, Value)> {
        self.world.0.letters.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn records_arrive_once_in_order_in_batches_without_the_uninteresting() {
    let setup = Setup::new("order", true);
    setup.add([1, 2, 100, 3, 4, 5, 6, 7, 200]);
    assert_eq!(setup.run().await, [vec![1, 2, 3], vec![4, 5, 6, 7]]);
    let event = setup.world.0.events.lock().unwrap()[0]["Records"][0].clone();
    let mut expected = record(1);
    expected["eventSource"] = json!("aws:dynamodb");
    expected["awsRegion"] = json!("us-east-1");
    expected["eventSourceARN"] = json!("stream 1");
    assert_eq!(event, expected);
    assert_eq!(setup.run().await, Vec::<Vec<u64>>::new(), "nothing again after a restart");
    setup.add([8]);
    assert_eq!(setup.run().await, [vec![8]]);
}

#[tokio::test]
async fn a_reported_record_is_retried_alone_and_the_others_are_not_repeated() {
    let setup = Setup::new("partial", true).with_poison(&[3]);
    setup.add([1, 2, 3, 4]);
    let deliveries = setup.run().await;
    assert_eq!(
        deliveries,
        [vec![1, 2, 3, 4], vec![3, 4], vec![3], vec![3], vec![3], vec![4]],
        "from the failed record on, then halved, then one try and two retries of the culprit, then the rest"
    );
    let letters = setup.letters();
    assert_eq!(letters.len(), 1);
    let (queue, letter) = &letters[0];
    assert_eq!(queue, "DeadLetters");
    assert_eq!(letter["DDBStreamBatchInfo"]["startSequenceNumber"], "3");
    assert_eq!(letter["requestContext"]["condition"], "RetryAttemptsExhausted");
    assert_eq!(letter["requestContext"]["approximateInvokeCount"], 3);
    assert_eq!(letter["responseContext"].get("functionError"), None, "the function worked and reported");
}

#[tokio::test]
async fn a_crashing_worker_loses_only_the_record_that_crashes_it() {
    let setup = Setup::new("crash", false).with_poison(&[2]);
    setup.add([1, 2, 3, 4, 5]);
    let deliveries = setup.run().await;
    assert_eq!(deliveries.first(), Some(&vec![1, 2, 3, 4]));
    assert_eq!(deliveries.last(), Some(&vec![5]), "the stream goes on");
    let handled: Vec<_> = deliveries.iter().filter(|batch| !batch.contains(&2)).flatten().copied().collect();
    assert_eq!(handled, [1, 3, 4, 5]);
    let mut letter = setup.letters()[0].1.clone();
    assert!(letter["requestContext"]["requestId"].take().is_string());
    assert_eq!(
        letter,
        json!({
            "requestContext": {
                "requestId": null,
                "functionArn": "arn:aws:lambda:us-east-1:000000000000:function:worker",
                "condition": "RetryAttemptsExhausted",
                "approximateInvokeCount": 3,
            },
            "responseContext": { "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled" },
            "version": "1.0",
            "timestamp": "1970-01-01T00:16:40.000Z",
            "DDBStreamBatchInfo": {
                "shardId": "shard",
                "startSequenceNumber": "2",
                "endSequenceNumber": "2",
                "approximateArrivalOfFirstRecord": "1970-01-01T00:15:00Z",
                "approximateArrivalOfLastRecord": "1970-01-01T00:15:00Z",
                "batchSize": 1,
                "streamArn": "stream 1",
            },
        })
    );
}

#[tokio::test]
async fn a_missing_queue_does_not_stop_the_stream() {
    let mut setup = Setup::new("missing", false).with_poison(&[1]);
    setup.mapping.settings.dead_letter_queue = Some("Missing".to_owned());
    setup.add([1, 2]);
    assert_eq!(setup.run().await.last(), Some(&vec![2]));
}

#[tokio::test]
async fn too_old_records_are_reported_and_not_delivered() {
    let mut setup = Setup::new("old", true);
    setup.mapping.settings.maximum_record_age = Some(Duration::from_secs(99));
    setup.add([1, 2]);
    assert_eq!(setup.run().await, Vec::<Vec<u64>>::new());
    let letter = &setup.letters()[0].1;
    assert_eq!(letter["requestContext"]["condition"], "RecordAgeExceeded");
    assert_eq!(letter["DDBStreamBatchInfo"]["batchSize"], 2);
    assert_eq!(letter["responseContext"], Value::Null);
}

#[tokio::test]
async fn what_was_not_delivered_survives_an_emulator_that_forgets_its_stream() {
    let setup = Setup::new("restart", true);
    setup.set_down(true);
    setup.add([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    assert_eq!(setup.run().await, Vec::<Vec<u64>>::new());
    // The emulator restarts: its stream is empty and has the same name.
    setup.world.0.records.lock().unwrap().clear();
    setup.add([10]);
    setup.set_down(false);
    assert_eq!(setup.run().await.concat(), [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    assert_eq!(setup.run().await, Vec::<Vec<u64>>::new());
}

#[tokio::test]
async fn a_new_stream_is_read_from_its_beginning() {
    let setup = Setup::new("new", true);
    setup.add([1, 2]);
    setup.run().await;
    *setup.world.0.records.lock().unwrap() = vec![record(1), record(3)];
    "stream 2".clone_into(&mut setup.world.0.label.lock().unwrap());
    assert_eq!(setup.run().await, [vec![1, 3]]);
}

#[tokio::test]
async fn a_damaged_checkpoint_is_named() {
    let setup = Setup::new("damaged", true);
    std::fs::write(&setup.file, "{").unwrap();
    let feed = Feed::new(setup.world.clone(), setup.mapping.clone(), setup.file.clone());
    let error = feed.err().expect("refused").to_string();
    assert!(error.contains("damaged"), "{error}");
}
