//! The rules of retrying: what becomes of a batch after an invocation. Pure; the feed does what it says.
//! <https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html>

use std::collections::VecDeque;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use template::{REGION, StreamMapping};

use crate::invoke::Failure;

const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// AWS waits up to minutes; whoever mends a worker on a laptop wants to see it soon.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Records that are delivered together.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Batch {
    /// Oldest first.
    pub(super) records: Vec<Value>,
    /// How often an invocation with them failed.
    pub(super) failures: u32,
    /// How often in a row the function could not even be invoked.
    pub(super) refusals: u32,
    /// Why they are not tried again.
    pub(super) given_up: Option<GivenUp>,
}

/// Why records are not tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GivenUp {
    /// As often as allowed; whether the function failed as a whole, and did not just report records.
    Exhausted { function_error: bool },
    /// Older than the mapping allows.
    TooOld,
}

/// What an invocation means for the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// All records are handled.
    Handled,
    /// Those before this index are handled.
    HandledBefore(usize),
    /// None is known to be handled.
    Failed,
    /// The function never saw them.
    NotInvoked,
}

impl Batch {
    pub(super) fn of(records: Vec<Value>) -> Self {
        Self { records, ..Self::default() }
    }
}

/// Reads the function's answer. With `ReportBatchItemFailures`, the lowest sequence number that failed counts; an answer that
/// makes no sense fails the whole batch, as on AWS.
pub(super) fn verdict(batch: &Batch, settings: &StreamMapping, answer: &Result<Value, Failure>) -> Verdict {
    let answer = match answer {
        Ok(answer) => answer,
        Err(failure) if failure.was_invoked() => return Verdict::Failed,
        Err(_) => return Verdict::NotInvoked,
    };
    if !settings.report_batch_item_failures {
        return Verdict::Handled;
    }
    let failures = match &answer["batchItemFailures"] {
        Value::Null => return Verdict::Handled,
        Value::Array(failures) => failures,
        _ => return Verdict::Failed,
    };
    let index_of = |failure: &Value| {
        let failed = failure["itemIdentifier"].as_str()?;
        batch.records.iter().position(|record| sequence_number(record) == Some(failed))
    };
    let indices: Option<Vec<usize>> = failures.iter().map(index_of).collect();
    match indices.map(|indices| indices.into_iter().min()) {
        Some(None) => Verdict::Handled,
        Some(Some(0)) | None => Verdict::Failed,
        Some(Some(lowest)) => Verdict::HandledBefore(lowest),
    }
}

/// Changes the queue, whose first batch was tried, and says how long to wait before the next try.
pub(super) fn settle(
    queue: &mut VecDeque<Batch>,
    settings: &StreamMapping,
    verdict: Verdict,
    function_error: bool,
) -> Duration {
    let Some(mut batch) = queue.pop_front() else {
        return Duration::ZERO;
    };
    let pause = match verdict {
        Verdict::Handled => return Duration::ZERO,
        Verdict::HandledBefore(index) => {
            // What remains is a new batch, whose first record failed once.
            batch = Batch::of(batch.records.split_off(index));
            batch.failures = 1;
            backoff(1)
        }
        Verdict::Failed if settings.bisect && batch.records.len() > 1 => {
            // Halving does not use up a retry.
            let second = batch.records.split_off(batch.records.len().div_ceil(2));
            queue.push_front(Batch::of(second));
            batch = Batch::of(batch.records);
            Duration::ZERO
        }
        Verdict::Failed => {
            batch.failures += 1;
            backoff(batch.failures)
        }
        Verdict::NotInvoked => {
            batch.refusals += 1;
            backoff(batch.refusals)
        }
    };
    let exhausted = settings.retries.is_some_and(|retries| batch.failures > retries);
    if exhausted {
        batch.given_up = Some(GivenUp::Exhausted { function_error });
    }
    queue.push_front(batch);
    if exhausted { Duration::ZERO } else { pause }
}

/// Splits the records that are older than the mapping allows off the first batch, and marks them.
pub(super) fn expire(queue: &mut VecDeque<Batch>, settings: &StreamMapping, now: Timestamp) {
    let Some(limit) = settings.maximum_record_age.and_then(|age| SignedDuration::try_from(age).ok()) else {
        return;
    };
    let Some(front) = queue.front_mut().filter(|batch| batch.given_up.is_none()) else {
        return;
    };
    let too_old = |record: &Value| created(record).is_some_and(|created| now.duration_since(created) > limit);
    let fresh = front.records.iter().position(|record| !too_old(record)).unwrap_or(front.records.len());
    if fresh == 0 {
        return;
    }
    let rest = front.records.split_off(fresh);
    front.given_up = Some(GivenUp::TooOld);
    if !rest.is_empty() {
        let rest = Batch { records: rest, given_up: None, ..*front };
        queue.insert(1, rest);
    }
}

/// The event that brings records of a stream to a function.
pub(super) fn event(arn: &str, records: &[Value]) -> Value {
    let records = records.iter().map(|record| {
        let mut record = record.clone();
        record["eventSource"] = json!("aws:dynamodb");
        record["awsRegion"] = json!(REGION);
        record["eventSourceARN"] = json!(arn);
        record
    });
    json!({ "Records": records.collect::<Vec<_>>() })
}

/// The record's place in its shard.
pub(super) fn sequence_number(record: &Value) -> Option<&str> {
    record["dynamodb"]["SequenceNumber"].as_str()
}

/// When the change was made: seconds since 1970, possibly with a fraction.
pub(super) fn created(record: &Value) -> Option<Timestamp> {
    let seconds = record["dynamodb"]["ApproximateCreationDateTime"].as_f64()?;
    let since_1970 = SignedDuration::try_from_secs_f64(seconds).ok()?;
    Timestamp::from_duration(since_1970).ok()
}

fn backoff(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(10);
    (FIRST_PAUSE * 2_u32.pow(doublings)).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use template::StartingPosition;

    use super::*;

    fn settings() -> StreamMapping {
        StreamMapping {
            id: "Orders".to_owned(),
            table: "OrderTable".to_owned(),
            enabled: true,
            starting_position: StartingPosition::TrimHorizon,
            batch_size: 10,
            batching_window: Duration::ZERO,
            filters: Vec::new(),
            retries: Some(2),
            maximum_record_age: Some(Duration::from_mins(1)),
            bisect: true,
            report_batch_item_failures: true,
            dead_letter_queue: None,
        }
    }

    fn record(number: u64) -> Value {
        json!({ "dynamodb": { "SequenceNumber": number.to_string(), "ApproximateCreationDateTime": number } })
    }

    fn batch(numbers: &[u64]) -> Batch {
        Batch::of(numbers.iter().copied().map(record).collect())
    }

    fn numbers(batch: &Batch) -> Vec<u64> {
        batch.records.iter().filter_map(|record| sequence_number(record)?.parse().ok()).collect()
    }

    /// The queue after one try of its first batch.
    fn after(queue: &[&[u64]], verdict: Verdict, settings: &StreamMapping) -> VecDeque<Batch> {
        let mut queue = queue.iter().map(|numbers| batch(numbers)).collect();
        settle(&mut queue, settings, verdict, true);
        queue
    }

    fn all(queue: &VecDeque<Batch>) -> Vec<Vec<u64>> {
        queue.iter().map(numbers).collect()
    }

    #[test]
    fn the_answer_decides() {
        let batch = batch(&[1, 2, 3]);
        let failed = |ids: &[&str]| json!({ "batchItemFailures": ids.iter().map(|id| json!({ "itemIdentifier": id })).collect::<Vec<_>>() });
        for (answer, expected) in [
            (Value::Null, Verdict::Handled),
            (failed(&[]), Verdict::Handled),
            (failed(&["3", "2"]), Verdict::HandledBefore(1)),
            (failed(&["1"]), Verdict::Failed),
            (failed(&["3", "unknown"]), Verdict::Failed),
            (failed(&[""]), Verdict::Failed),
            (json!({ "batchItemFailures": "x" }), Verdict::Failed),
            (json!({ "batchItemFailures": [{}] }), Verdict::Failed),
        ] {
            assert_eq!(verdict(&batch, &settings(), &Ok(answer.clone())), expected, "{answer}");
        }
        let deaf = StreamMapping { report_batch_item_failures: false, ..settings() };
        assert_eq!(verdict(&batch, &deaf, &Ok(failed(&["1"]))), Verdict::Handled);
        let failure = Failure::Failed("boom".to_owned());
        assert_eq!(verdict(&batch, &settings(), &Err(failure)), Verdict::Failed);
        let failure = Failure::Unreachable("refused".to_owned());
        assert_eq!(verdict(&batch, &settings(), &Err(failure)), Verdict::NotInvoked);
    }

    #[test]
    fn a_handled_batch_makes_way_for_the_next() {
        assert_eq!(all(&after(&[&[1, 2], &[3]], Verdict::Handled, &settings())), [vec![3]]);
    }

    #[test]
    fn a_partial_failure_is_retried_from_the_record_that_failed() {
        let queue = after(&[&[1, 2, 3], &[4]], Verdict::HandledBefore(1), &settings());
        assert_eq!(all(&queue), [vec![2, 3], vec![4]]);
        assert_eq!(queue[0].failures, 1);
    }

    #[test]
    fn a_failure_halves_the_batch_without_using_up_a_retry() {
        let queue = after(&[&[1, 2, 3], &[4]], Verdict::Failed, &settings());
        assert_eq!(all(&queue), [vec![1, 2], vec![3], vec![4]]);
        assert!(queue.iter().all(|batch| batch.failures == 0));
        let whole = StreamMapping { bisect: false, ..settings() };
        let queue = after(&[&[1, 2, 3], &[4]], Verdict::Failed, &whole);
        assert_eq!(all(&queue), [vec![1, 2, 3], vec![4]]);
        assert_eq!(queue[0].failures, 1);
    }

    #[test]
    fn retries_are_bounded_and_wait_longer_each_time() {
        let mut queue = VecDeque::from([batch(&[1])]);
        let mut pauses = Vec::new();
        while queue[0].given_up.is_none() {
            pauses.push(settle(&mut queue, &settings(), Verdict::Failed, true));
        }
        assert_eq!(pauses, [FIRST_PAUSE, FIRST_PAUSE * 2, Duration::ZERO], "one try and two retries");
        assert_eq!(queue[0].given_up, Some(GivenUp::Exhausted { function_error: true }));
        assert_eq!(numbers(&queue[0]), [1], "still there, to be reported");
    }

    #[test]
    fn a_function_that_cannot_be_invoked_uses_up_no_retry() {
        let mut queue = VecDeque::from([batch(&[1, 2])]);
        let pauses: Vec<_> =
            (0..20).map(|_| settle(&mut queue, &settings(), Verdict::NotInvoked, true)).collect();
        assert_eq!(all(&queue), [vec![1, 2]]);
        assert_eq!((queue[0].failures, queue[0].given_up), (0, None));
        assert_eq!(pauses.last(), Some(&LONGEST_PAUSE));
    }

    #[test]
    fn old_records_are_given_up_and_young_ones_stay() {
        let mut queue = VecDeque::from([batch(&[100, 140, 141])]);
        let now = Timestamp::from_second(201).expect("a time");
        expire(&mut queue, &settings(), now);
        assert_eq!(all(&queue), [vec![100, 140], vec![141]]);
        assert_eq!(queue[0].given_up, Some(GivenUp::TooOld));
        assert_eq!(queue[1].given_up, None);
        let forever = StreamMapping { maximum_record_age: None, ..settings() };
        let mut queue = VecDeque::from([batch(&[1])]);
        expire(&mut queue, &forever, now);
        assert_eq!(queue[0].given_up, None);
    }
}
