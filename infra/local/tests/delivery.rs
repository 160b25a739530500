//! Streams in the real emulator: delivered over any end of either, and dead letters replayed by hand.

#![expect(clippy::unwrap_used, reason = "a test panics")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::{fs, process};

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use local::delivery::{self, Delivery, Outcome, Redrive, Redriven};
use local::emulator::Emulator;
use local::keys::Keys;
use local::logs::Console;
use local::ports::Ports;
use local::process::Guard;
use local::provision::provision;
use local::tools::Tools;
use local::workspace::Workspace;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use template::Template;
use tokio::net::TcpListener;
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

/// One table, one worker that is never tried twice, and a queue for what it does not handle.
const TEMPLATE: &str = r#"
Resources:
  OrderTable:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{ AttributeName: pk, AttributeType: S }]
      KeySchema: [{ AttributeName: pk, KeyType: HASH }]
      StreamSpecification: { StreamViewType: NEW_AND_OLD_IMAGES }
  DeadLetters:
    Type: AWS::SQS::Queue
  Worker:
    Type: AWS::Serverless::Function
    Metadata: { BuildProperties: { Binary: worker } }
    Properties:
      Events:
        Orders:
          Type: DynamoDB
          Properties:
            Stream: !GetAtt OrderTable.StreamArn
            StartingPosition: TRIM_HORIZON
            BatchSize: 10
            FilterCriteria:
              Filters:
                - Pattern: '{"dynamodb":{"Keys":{"pk":{"S":[{"prefix":"ORDER#"}]}}}}'
            FunctionResponseTypes: [ReportBatchItemFailures]
            MaximumRetryAttempts: 0
            DestinationConfig:
              OnFailure: { Type: SQS, Destination: !GetAtt DeadLetters.Arn }
"#;

/// What the worker saw, and which orders it cannot handle.
#[derive(Default)]
struct Worker {
    handled: Mutex<Vec<String>>,
    poison: Mutex<Vec<String>>,
    called: Notify,
}

async fn work(State(worker): State<Arc<Worker>>, Json(event): Json<Value>) -> (StatusCode, Json<Value>) {
    let poison = worker.poison.lock().unwrap().clone();
    let mut failures = Vec::new();
    for record in event["Records"].as_array().unwrap() {
        let order = record["dynamodb"]["Keys"]["pk"]["S"].as_str().unwrap().to_owned();
        if poison.contains(&order) {
            failures.push(json!({ "itemIdentifier": record["dynamodb"]["SequenceNumber"] }));
        } else if failures.is_empty() {
            worker.handled.lock().unwrap().push(order);
        }
    }
    worker.called.notify_one();
    (StatusCode::OK, Json(json!({ "batchItemFailures": failures })))
}

struct Setup {
    directory: PathBuf,
    guard: Guard,
    tools: Tools,
    keys: Keys,
    template: Template,
    port: u16,
    watch: String,
    worker: Arc<Worker>,
}

impl Drop for Setup {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.directory).unwrap();
    }
}

impl Setup {
    async fn new(name: &str) -> Self {
        let directory = std::env::temp_dir().join(format!("local-{name}-{}", process::id()));
        fs::create_dir_all(directory.join("state")).unwrap();
        let workspace = Workspace::find().unwrap();
        let guard = Guard::at(Path::new(env!("CARGO_BIN_EXE_local")).to_owned());
        let console = Console::file(&directory.join("log")).unwrap();
        let tools = Tools::install(&workspace, &guard, &console).await.unwrap();
        let template = Template::parse(TEMPLATE, &BTreeMap::new()).unwrap();
        let port = Ports::free(&template).unwrap().emulator;
        let keys = Keys::load_or_make(&directory.join("keys"), &directory.join("state")).unwrap();
        let worker = Arc::<Worker>::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let watch = format!("http://{}", listener.local_addr().unwrap());
        let path = "/2015-03-31/functions/worker/invocations";
        let router = Router::new().route(path, post(work)).with_state(Arc::clone(&worker));
        tokio::spawn(axum::serve(listener, router).into_future());
        Self { directory, guard, tools, keys, template, port, watch, worker }
    }

    fn state(&self) -> PathBuf {
        self.directory.join("state")
    }

    async fn emulator(&self) -> Emulator {
        let emulator = Emulator::start(&self.guard, &self.tools, self.port, &self.state()).await.unwrap();
        provision(&self.template, &self.keys, "http://localhost", &emulator.url, &self.state())
            .await
            .unwrap();
        emulator
    }

    fn delivery(&self) -> Delivery {
        let url = format!("http://127.0.0.1:{}", self.port);
        Delivery::new(&self.template, &url, &self.watch, &self.state().join("delivery")).unwrap()
    }

    fn deliver(&self) -> (oneshot::Sender<()>, JoinHandle<anyhow::Result<()>>) {
        let (stop, stopped) = oneshot::channel();
        let delivery = delivery::run(self.delivery(), async { stopped.await.unwrap() });
        (stop, tokio::spawn(delivery))
    }

    async fn redrive(&self) -> Vec<Redriven> {
        Redrive::new(self.delivery()).unwrap().queue("DeadLetters").await.unwrap()
    }

    async fn put(&self, order: &str) {
        let item = json!({ "TableName": "OrderTable", "Item": { "pk": { "S": order } } });
        self.call("dynamodb", "DynamoDB_20120810.PutItem", item).await;
    }

    async fn call(&self, service: &str, target: &str, body: Value) -> Value {
        let credential = format!("AWS4-HMAC-SHA256 Credential=t/20260101/us-east-1/{service}/aws4_request");
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = client
            .post(format!("http://127.0.0.1:{}", self.port))
            .header("X-Amz-Target", target)
            .header("Content-Type", "application/x-amz-json-1.0")
            .header("Authorization", format!("{credential}, SignedHeaders=host, Signature=0"))
            .body(body.to_string());
        let answer = answer.send().await.unwrap();
        assert!(answer.status().is_success(), "{target}: {}", answer.status());
        answer.json().await.unwrap_or_default()
    }

    /// Kills the emulator and gives it no time.
    fn kill_emulator(&self) {
        let mine = format!("STATE_DIR={}", self.state().join("emulator").display());
        for process in fs::read_dir("/proc").unwrap() {
            let process = process.unwrap();
            let environment = fs::read(process.path().join("environ")).unwrap_or_default();
            if environment.split(|byte| *byte == 0).any(|variable| variable == mine.as_bytes()) {
                let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
                let pid: i32 = process.file_name().to_str().unwrap().parse().unwrap();
                // The guard has the same environment, and ends by itself.
                if !name.starts_with("local") && !name.starts_with("exe") {
                    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
                }
            }
        }
    }

    /// How many messages are in the queue for whoever receives next.
    async fn letters(&self) -> u32 {
        let queue = self.call("sqs", "AmazonSQS.GetQueueUrl", json!({ "QueueName": "DeadLetters" })).await;
        let body =
            json!({ "QueueUrl": queue["QueueUrl"], "AttributeNames": ["ApproximateNumberOfMessages"] });
        let found = self.call("sqs", "AmazonSQS.GetQueueAttributes", body).await;
        found["Attributes"]["ApproximateNumberOfMessages"].as_str().unwrap().parse().unwrap()
    }

    /// Leaves a dead letter of `ORDER#1`, and delivers `ORDER#2`.
    async fn give_up_one_of_two(&self) {
        self.poison(&["ORDER#1"]);
        self.put("ORDER#1").await;
        let (stop, delivery) = self.deliver();
        self.worker.called.notified().await;
        self.put("ORDER#2").await;
        self.handled(1).await;
        stop.send(()).unwrap();
        delivery.await.unwrap().unwrap();
    }

    /// Until the worker has handled so many.
    async fn handled(&self, count: usize) -> Vec<String> {
        while self.worker.handled.lock().unwrap().len() < count {
            self.worker.called.notified().await;
        }
        self.worker.handled.lock().unwrap().clone()
    }

    /// What the worker handles until it has handled this one; the next call begins after it.
    async fn until(&self, order: &str) -> Vec<String> {
        while !self.worker.handled.lock().unwrap().iter().any(|handled| handled == order) {
            self.worker.called.notified().await;
        }
        std::mem::take(&mut *self.worker.handled.lock().unwrap())
    }

    fn poison(&self, orders: &[&str]) {
        *self.worker.poison.lock().unwrap() = orders.iter().map(|order| (*order).to_owned()).collect();
    }
}

fn delivered(records: usize) -> Outcome {
    Outcome::Delivered { function: "worker".to_owned(), records }
}

#[tokio::test]
async fn a_dead_letter_is_replayed_once_its_cause_is_mended_and_stays_until_then() {
    let setup = Setup::new("redrive").await;
    let _emulator = setup.emulator().await;
    // One batch, whose second record is poison: the third is given up with it.
    setup.poison(&["ORDER#2"]);
    for item in ["ORDER#1", "ORDER#2", "OPEN#2", "ORDER#3"] {
        setup.put(item).await;
    }
    let (stop, delivery) = setup.deliver();
    setup.handled(1).await;
    setup.put("ORDER#4").await;
    assert_eq!(setup.handled(2).await, ["ORDER#1", "ORDER#4"], "the stream goes on");
    stop.send(()).unwrap();
    delivery.await.unwrap().unwrap();
    assert_eq!(setup.letters().await, 1);

    let redriven = setup.redrive().await;
    let [Redriven { outcome: Outcome::Failed { records: 2, failed, .. }, .. }] = redriven.as_slice() else {
        panic!("{redriven:?}");
    };
    assert_eq!(failed.len(), 1);
    assert_eq!(setup.handled(3).await.last().unwrap(), "ORDER#3", "one is not held up by the other");
    assert_eq!(setup.letters().await, 1, "it stays");

    setup.poison(&[]);
    let redriven = setup.redrive().await;
    assert_eq!(redriven.len(), 1);
    assert_eq!(redriven[0].outcome, delivered(2), "without the one that the filter leaves out");
    assert_eq!(setup.handled(5).await[3..], ["ORDER#2", "ORDER#3"]);
    assert_eq!(setup.letters().await, 0);
    assert!(setup.redrive().await.is_empty(), "nothing remains");
    assert_eq!(setup.handled(5).await.len(), 5);
}

#[tokio::test]
async fn a_dead_letter_outlives_the_stream_that_the_emulator_forgets() {
    let setup = Setup::new("redrive-restart").await;
    let emulator = setup.emulator().await;
    setup.give_up_one_of_two().await;
    drop(emulator);

    let _emulator = setup.emulator().await;
    setup.poison(&[]);
    let redriven = setup.redrive().await;
    assert_eq!(redriven.len(), 1);
    assert_eq!(redriven[0].outcome, delivered(1));
    assert_eq!(setup.handled(2).await, ["ORDER#2", "ORDER#1"]);
    assert_eq!(setup.letters().await, 0);
}

#[tokio::test]
async fn a_letter_that_cannot_be_replayed_says_why_and_stays() {
    let setup = Setup::new("redrive-gone").await;
    let emulator = setup.emulator().await;
    setup.give_up_one_of_two().await;
    drop(emulator);
    let _emulator = setup.emulator().await;
    fs::remove_dir_all(setup.state().join("delivery/dead")).unwrap();
    let queue = setup.call("sqs", "AmazonSQS.GetQueueUrl", json!({ "QueueName": "DeadLetters" })).await;
    let body = json!({ "QueueUrl": queue["QueueUrl"], "MessageBody": "hello" });
    setup.call("sqs", "AmazonSQS.SendMessage", body).await;

    let redriven = setup.redrive().await;
    assert_eq!(redriven.len(), 2);
    assert!(redriven.iter().any(|letter| letter.outcome == Outcome::Gone));
    assert!(redriven.iter().any(|letter| matches!(letter.outcome, Outcome::NotUnderstood(_))));
    assert_eq!(setup.letters().await, 2, "both stay");
    let error = Redrive::new(setup.delivery()).unwrap().queue("Letters").await.unwrap_err().to_string();
    assert!(error.contains("DeadLetters"), "names the queues that there are: {error}");
}

#[tokio::test]
async fn what_a_killed_run_had_not_read_is_delivered_by_the_next() {
    let setup = Setup::new("delivery-killed").await;
    let emulator = setup.emulator().await;
    setup.put("ORDER#1").await;
    let (_stop, delivery) = setup.deliver();
    setup.until("ORDER#1").await;
    // No time to write anything down, as with kill -9; the table has the rest.
    delivery.abort();
    assert!(delivery.await.unwrap_err().is_cancelled());
    for item in ["ORDER#2", "OPEN#2", "ORDER#3"] {
        setup.put(item).await;
    }
    drop(emulator);

    let _emulator = setup.emulator().await;
    setup.put("ORDER#4").await;
    let (stop, delivery) = setup.deliver();
    let mut handled = setup.until("ORDER#4").await;
    stop.send(()).unwrap();
    delivery.await.unwrap().unwrap();
    // Nobody wrote down that the first was handled.
    handled.retain(|order| order != "ORDER#1");
    assert_eq!(handled, ["ORDER#2", "ORDER#3", "ORDER#4"]);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_killed_emulator_takes_what_was_delivered_back_with_its_tables() {
    let setup = Setup::new("delivery-rewound").await;
    let emulator = setup.emulator().await;
    let (stop, delivery) = setup.deliver();
    setup.put("ORDER#1").await;
    setup.until("ORDER#1").await;
    stop.send(()).unwrap();
    delivery.await.unwrap().unwrap();
    setup.put("ORDER#2").await;
    drop(emulator);

    // Its tables have the second order. What is written to them from now on is lost.
    let emulator = setup.emulator().await;
    let (stop, delivery) = setup.deliver();
    setup.until("ORDER#2").await;
    setup.put("ORDER#3").await;
    setup.until("ORDER#3").await;
    setup.kill_emulator();
    stop.send(()).unwrap();
    delivery.await.unwrap().unwrap();
    drop(emulator);

    let _emulator = setup.emulator().await;
    let (stop, delivery) = setup.deliver();
    setup.put("ORDER#4").await;
    let handled = setup.until("ORDER#4").await;
    stop.send(()).unwrap();
    delivery.await.unwrap().unwrap();
    assert!(
        handled.contains(&"ORDER#2".to_owned()),
        "what the worker wrote is gone, so once more: {handled:?}"
    );
    assert!(!handled.contains(&"ORDER#3".to_owned()), "the table does not have it: {handled:?}");
}
