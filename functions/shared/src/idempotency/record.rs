//! The item of one key.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure, TransactWriteItem};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::key::Given;
use super::{LEASE, RETENTION, Reply, seconds};
use crate::db::{DbError, Key, Table, Transaction, TransactionError, from_item, retry_conflicts, to_item};

/// How often a key is looked at anew because it changed between the look and the write.
const ATTEMPTS: usize = 4;

/// What is known of a key.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Record {
    fingerprint: String,
    /// Who is at work, or did it: a new one for each request.
    owner: Uuid,
    /// When the owner is certainly dead, in milliseconds since the epoch; 0 where it gave the key up.
    owned_until: i64,
    /// The TTL, in seconds since the epoch.
    expires_at: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    /// The final answer, a [`Reply`] as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answer: Option<String>,
}

/// What became of an attempt to claim a key.
#[derive(Debug)]
pub(super) enum Claim {
    /// It is ours.
    Owned {
        /// What a predecessor noted.
        noted: Option<String>,
    },
    /// It was answered.
    Answered(Reply),
    /// It stands for another request.
    OtherRequest,
    /// Its owner may be at work.
    InProgress,
}

/// The place of one key, and who wants it.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) table: Table,
    pub(super) key: Key,
    pub(super) owner: Uuid,
}

impl Record {
    pub(super) fn claimed(given: &Given, owner: Uuid, now: Timestamp) -> Self {
        Self {
            fingerprint: given.fingerprint.clone(),
            owner,
            owned_until: owned_until(now),
            expires_at: seconds(now).saturating_add(RETENTION.as_secs()),
            note: None,
            answer: None,
        }
    }
}

impl Slot {
    pub(super) async fn claim(&self, record: &Record, now: Timestamp) -> Result<Claim, DbError> {
        for _ in 0..ATTEMPTS {
            let Some(seen) = self.put_or_see(record, now).await? else {
                return Ok(Claim::Owned { noted: None });
            };
            // The SDK asked again because the answer to its first call was lost.
            if seen.owner == self.owner {
                return Ok(Claim::Owned { noted: seen.note });
            }
            if seen.fingerprint != record.fingerprint {
                return Ok(Claim::OtherRequest);
            }
            if let Some(answer) = seen.answer {
                return read(&answer).map(Claim::Answered);
            }
            if seen.owned_until > now.as_millisecond() {
                return Ok(Claim::InProgress);
            }
            if self.take_over(seen.owner, now).await? {
                return Ok(Claim::Owned { noted: seen.note });
            }
        }
        Ok(Claim::InProgress)
    }

    /// Writes the record where there is none, or an expired one; else the one that is there.
    async fn put_or_see(&self, record: &Record, now: Timestamp) -> Result<Option<Record>, DbError> {
        let item = to_item(&self.key, record)?;
        retry_conflicts(|| async {
            let put = self
                .table
                .client()
                .put_item()
                .table_name(self.table.name())
                .set_item(Some(item.clone()))
                .condition_expression("attribute_not_exists(pk) OR expires_at <= :now")
                .expression_attribute_values(":now", number(seconds(now)))
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
            let Err(error) = put.send().await else { return Ok(None) };
            match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(failed)) => {
                    let seen = failed.item().cloned().ok_or(DbError::ConditionFailed)?;
                    from_item(seen).map(Some)
                }
                _ => Err(error.into()),
            }
        })
        .await
    }

    /// Replaces an owner that is dead; whether it was still there to be replaced.
    async fn take_over(&self, predecessor: Uuid, now: Timestamp) -> Result<bool, DbError> {
        let write = self.table.update_write(&self.key, |update| {
            update
                .update_expression("SET #owner = :owner, owned_until = :until")
                .condition_expression("#owner = :predecessor AND attribute_not_exists(answer)")
                .expression_attribute_names("#owner", "owner")
                .expression_attribute_values(":owner", text(self.owner))
                .expression_attribute_values(":until", number(owned_until(now)))
                .expression_attribute_values(":predecessor", text(predecessor))
        })?;
        self.write(write).await
    }

    /// Stores the answer; whether the key was still ours.
    pub(super) async fn answer(&self, reply: &Reply) -> Result<bool, DbError> {
        self.write(self.answer_write(reply)?).await
    }

    pub(super) fn answer_write(&self, reply: &Reply) -> Result<TransactWriteItem, DbError> {
        let answer = serde_json::to_string(reply).map_err(|error| DbError::Refused(error.into()))?;
        self.owned_write("SET answer = :value", AttributeValue::S(answer))
    }

    pub(super) fn note_write(&self, note: &str) -> Result<TransactWriteItem, DbError> {
        self.owned_write("SET note = :value", AttributeValue::S(note.to_owned()))
    }

    /// Gives the key up: another request may have it, and starts anew or from the note.
    pub(super) async fn free(&self) -> Result<(), DbError> {
        let nothing_noted = self.table.delete_write(&self.key, |delete| {
            delete
                .condition_expression(format!("{OWNED} AND attribute_not_exists(note)"))
                .expression_attribute_names("#owner", "owner")
                .expression_attribute_values(":owner", text(self.owner))
        })?;
        if !self.write(nothing_noted).await? {
            // Where this fails too, the answer is stored after all, or somebody else's turn has come.
            self.write(self.owned_write("SET owned_until = :value", number(0))?).await?;
        }
        Ok(())
    }

    fn owned_write(&self, expression: &str, value: AttributeValue) -> Result<TransactWriteItem, DbError> {
        self.table.update_write(&self.key, |update| {
            update
                .update_expression(expression)
                .condition_expression(OWNED)
                .expression_attribute_names("#owner", "owner")
                .expression_attribute_values(":owner", text(self.owner))
                .expression_attribute_values(":value", value)
        })
    }

    /// A transaction of one write, for its `ClientRequestToken`: repeated after a lost answer, a conditional write would
    /// fail on its own success. Whether the condition held.
    async fn write(&self, write: TransactWriteItem) -> Result<bool, DbError> {
        let mut transaction = Transaction::new(self.table.client());
        transaction.add(write);
        match transaction.run().await {
            Ok(()) => Ok(true),
            Err(TransactionError::Cancelled(_)) => Ok(false),
            Err(TransactionError::Db(error)) => Err(error),
        }
    }
}

/// The key is ours and has no answer yet.
const OWNED: &str = "#owner = :owner AND attribute_not_exists(answer)";

fn owned_until(now: Timestamp) -> i64 {
    let lease = i64::try_from(LEASE.as_millis()).unwrap_or(i64::MAX);
    now.as_millisecond().saturating_add(lease)
}

fn read(answer: &str) -> Result<Reply, DbError> {
    serde_json::from_str(answer).map_err(|error| DbError::Refused(error.into()))
}

fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn text(value: Uuid) -> AttributeValue {
    AttributeValue::S(value.to_string())
}
