//! What a delivery needs of the world: the streams, the functions, the dead-letter queues and time.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::ambient;
use crate::invoke::{Failure, Functions};
use crate::provision::Wire;

/// A table's stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stream {
    pub(super) arn: String,
    /// Parents before their children.
    pub(super) shards: Vec<String>,
}

/// Where to start reading a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start<'a> {
    /// The oldest record.
    Horizon,
    /// The record with this sequence number.
    At(&'a str),
    /// The record after the one with this sequence number.
    After(&'a str),
}

/// Some records of a shard, oldest first.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) records: Vec<Value>,
    /// Where to read on; `None`: the shard is closed and read to its end.
    pub(super) next: Option<String>,
}

/// The seam at which tests put a world of their own.
pub(super) trait World: Send + Sync + 'static {
    /// The table's stream.
    fn stream(&self, table: &str) -> impl Future<Output = Result<Stream>> + Send;
    /// An iterator of the shard; `None` when the stream does not have the record to start after (any more).
    fn iterator(
        &self,
        arn: &str,
        shard: &str,
        start: Start<'_>,
    ) -> impl Future<Output = Result<Option<String>>> + Send;
    /// The records at an iterator.
    fn read(&self, iterator: &str) -> impl Future<Output = Result<Page>> + Send;
    /// Invokes a function.
    fn invoke(
        &self,
        function: &str,
        event: &Value,
        timeout: Duration,
    ) -> impl Future<Output = Result<Value, Failure>> + Send;
    /// Sends a message to a queue.
    fn send(&self, queue: &str, message: &Value) -> impl Future<Output = Result<()>> + Send;
    /// The current time.
    fn now(&self) -> Timestamp;
    /// Waits.
    fn pause(&self, duration: Duration) -> impl Future<Output = ()> + Send;
}

/// The emulator, and the functions that `cargo lambda watch` runs.
pub(super) struct Aws {
    wire: Wire,
    functions: Functions,
}

impl Aws {
    pub(super) fn new(emulator_url: &str, functions: Functions) -> Result<Self> {
        Ok(Self { wire: Wire::new(emulator_url)?, functions })
    }

    async fn streams(&self, operation: &str, body: &Value) -> Result<Value> {
        self.wire.call("dynamodb", &format!("DynamoDBStreams_20120810.{operation}"), body).await
    }

    async fn sqs(&self, operation: &str, body: &Value) -> Result<Value> {
        self.wire.call("sqs", &format!("AmazonSQS.{operation}"), body).await
    }

    async fn queue_url(&self, queue: &str) -> Result<String> {
        let found = self.sqs("GetQueueUrl", &json!({ "QueueName": queue })).await?;
        let url = found["QueueUrl"].as_str().map(str::to_owned);
        url.with_context(|| format!("queue {queue} has no URL"))
    }

    /// The next messages of a queue, which nobody else receives for `hidden`; none: there are no more.
    pub(super) async fn receive(&self, queue: &str, hidden: Duration) -> Result<Vec<Message>> {
        let body = json!({
            "QueueUrl": self.queue_url(queue).await?,
            "MaxNumberOfMessages": 10,
            "VisibilityTimeout": hidden.as_secs(),
        });
        let mut answer = self.sqs("ReceiveMessage", &body).await?;
        let Value::Array(messages) = answer["Messages"].take() else {
            return Ok(Vec::new());
        };
        let text = |message: &Value, field: &str| message[field].as_str().unwrap_or_default().to_owned();
        let messages = messages.iter().map(|message| Message {
            id: text(message, "MessageId"),
            receipt: text(message, "ReceiptHandle"),
            body: text(message, "Body"),
        });
        Ok(messages.collect())
    }

    /// Deletes a received message.
    pub(super) async fn delete(&self, queue: &str, message: &Message) -> Result<()> {
        let body = json!({ "QueueUrl": self.queue_url(queue).await?, "ReceiptHandle": message.receipt });
        self.sqs("DeleteMessage", &body).await.map(drop)
    }

    /// Puts a received message back, for whoever receives next.
    pub(super) async fn put_back(&self, queue: &str, message: &Message) -> Result<()> {
        let body = json!({
            "QueueUrl": self.queue_url(queue).await?,
            "ReceiptHandle": message.receipt,
            "VisibilityTimeout": 0,
        });
        self.sqs("ChangeMessageVisibility", &body).await.map(drop)
    }
}

/// A received message of a queue.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) id: String,
    /// What it is deleted or put back by.
    receipt: String,
    pub(super) body: String,
}

impl World for Arc<Aws> {
    async fn stream(&self, table: &str) -> Result<Stream> {
        let found = self.streams("ListStreams", &json!({ "TableName": table })).await?;
        let arn = found["Streams"][0]["StreamArn"].as_str();
        let arn = arn.with_context(|| format!("table {table} has no stream"))?.to_owned();
        let mut shards = Vec::new();
        let mut body = json!({ "StreamArn": arn });
        loop {
            let page = &self.streams("DescribeStream", &body).await?["StreamDescription"];
            let listed = page["Shards"].as_array().into_iter().flatten();
            shards.extend(listed.filter_map(|shard| shard["ShardId"].as_str().map(str::to_owned)));
            let last = &page["LastEvaluatedShardId"];
            if last.is_null() {
                return Ok(Stream { arn, shards });
            }
            body["ExclusiveStartShardId"] = last.clone();
        }
    }

    async fn iterator(&self, arn: &str, shard: &str, start: Start<'_>) -> Result<Option<String>> {
        let mut body = json!({ "StreamArn": arn, "ShardId": shard });
        match start {
            Start::Horizon => body["ShardIteratorType"] = json!("TRIM_HORIZON"),
            Start::At(sequence) => {
                body["ShardIteratorType"] = json!("AT_SEQUENCE_NUMBER");
                body["SequenceNumber"] = json!(sequence);
            }
            Start::After(sequence) => {
                body["ShardIteratorType"] = json!("AFTER_SEQUENCE_NUMBER");
                body["SequenceNumber"] = json!(sequence);
            }
        }
        match self.streams("GetShardIterator", &body).await {
            Ok(answer) => Ok(answer["ShardIterator"].as_str().map(str::to_owned)),
            Err(error) if error.to_string().contains("TrimmedDataAccessException") => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn read(&self, iterator: &str) -> Result<Page> {
        let mut answer = self.streams("GetRecords", &json!({ "ShardIterator": iterator })).await?;
        let records = match answer["Records"].take() {
            Value::Array(records) => records,
            _ => Vec::new(),
        };
        Ok(Page { records, next: answer["NextShardIterator"].as_str().map(str::to_owned) })
    }

    async fn invoke(&self, function: &str, event: &Value, timeout: Duration) -> Result<Value, Failure> {
        self.functions.invoke(function, event, timeout).await
    }

    async fn send(&self, queue: &str, message: &Value) -> Result<()> {
        let body = json!({ "QueueUrl": self.queue_url(queue).await?, "MessageBody": message.to_string() });
        self.sqs("SendMessage", &body).await.map(drop)
    }

    fn now(&self) -> Timestamp {
        ambient::now()
    }

    async fn pause(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}
