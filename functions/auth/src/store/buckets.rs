//! Throttle buckets. `full_at` is the time at which one is full again, in microseconds since the epoch; `expires_at` is the
//! TTL. A bucket that is not there is full, except for that of a known address: being there is what makes the address known.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use shared::db::{DbError, Key, from_item};

use super::AuthStore;
use crate::throttle::{Bucket, Kind};

/// How often one attempt tries to take a token from a bucket that others change at the same time. Each try fails only when
/// the bucket became full, or no longer is, since the last look.
const TRIES: usize = 8;

/// What became of an attempt to take a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Take {
    /// Whether there was one.
    pub(crate) taken: bool,
    /// When the bucket is full again, the token taken included.
    pub(crate) full_at: Timestamp,
}

#[derive(Deserialize)]
struct Stored {
    full_at: i64,
    /// Seconds since the epoch.
    expires_at: i64,
}

/// The bucket after an update, or as it is where the condition did not hold.
type Updated = Result<Stored, Option<Stored>>;

impl AuthStore {
    /// Takes a token, if there is one: one call for a full bucket, which most are, and one more for another.
    ///
    /// The SDK sends an update again whose answer got lost, and that takes a second token: the other way round, a lost
    /// answer would be a free attempt.
    pub(crate) async fn take(&self, bucket: &Bucket, now: Timestamp) -> Result<Take, DbError> {
        self.take_existing(bucket, now).await?.ok_or(DbError::ConditionFailed)
    }

    /// The same for the bucket of a known address: None where the address is not known, or no longer. This never makes it
    /// known.
    pub(crate) async fn take_known(&self, bucket: &Bucket, now: Timestamp) -> Result<Option<Take>, DbError> {
        self.take_existing(bucket, now).await
    }

    async fn take_existing(&self, bucket: &Bucket, now: Timestamp) -> Result<Option<Take>, DbError> {
        let rate = bucket.kind.rate();
        let known = bucket.kind == Kind::KnownLogin;
        let (exists, absent, expiry) = if known {
            ("expires_at > :expiry AND", "", seconds(now))
        } else {
            ("", "attribute_not_exists(full_at) OR", seconds(rate.full_by(now)))
        };
        let set_expiry = if known { "" } else { ", expires_at = :expiry" };
        let mut full = true;
        for _ in 0..TRIES {
            let update = self
                .update(bucket)
                .expression_attribute_values(":now", micros(now))
                .expression_attribute_values(":expiry", expiry.clone());
            let update = if full {
                update
                    .update_expression(format!("SET full_at = :next{set_expiry}"))
                    .condition_expression(format!("{exists}{absent} full_at <= :now"))
                    .expression_attribute_values(":next", micros(now + rate.every()))
            } else {
                update
                    .update_expression(format!("SET full_at = full_at + :every{set_expiry}"))
                    .condition_expression(format!("{exists} full_at BETWEEN :now AND :latest"))
                    .expression_attribute_values(":every", duration(rate.every()))
                    .expression_attribute_values(":latest", micros(rate.latest(now)))
            };
            match run(update).await? {
                Ok(stored) => return stored.take(true).map(Some),
                Err(None) if known => return Ok(None),
                Err(Some(stored)) if known && stored.expires_at <= now.as_second() => return Ok(None),
                Err(Some(stored)) if stored.full_at > rate.latest(now).as_microsecond() => {
                    return stored.take(false).map(Some);
                }
                Err(stored) => {
                    full = stored.is_none_or(|stored| stored.full_at <= now.as_microsecond());
                }
            }
        }
        Err(DbError::Conflict)
    }

    /// The bucket as it is, from which nothing is taken.
    pub(crate) async fn look(&self, bucket: &Bucket, now: Timestamp) -> Result<Take, DbError> {
        let stored: Option<Stored> = self.table.get(&key(bucket)).await?;
        stored.map_or(Ok(Take { taken: false, full_at: now }), |stored| stored.take(false))
    }

    /// Gives back a token that was taken. A lost answer may give back a second one.
    pub(crate) async fn give_back(&self, bucket: &Bucket) -> Result<(), DbError> {
        let update = self
            .update(bucket)
            .update_expression("SET full_at = full_at - :every")
            // One that is gone is full.
            .condition_expression("attribute_exists(full_at)")
            .expression_attribute_values(":every", duration(bucket.kind.rate().every()));
        run(update).await.map(|_| ())
    }

    /// Makes an address known until `until`, and gives back the token where one was taken from its bucket.
    pub(crate) async fn know(
        &self,
        bucket: &Bucket,
        now: Timestamp,
        until: Timestamp,
        taken: bool,
    ) -> Result<(), DbError> {
        let given = if taken { bucket.kind.rate().every() } else { SignedDuration::ZERO };
        let update = self
            .update(bucket)
            .update_expression("SET full_at = if_not_exists(full_at, :used) - :given, expires_at = :until")
            .expression_attribute_values(":used", micros(now + given))
            .expression_attribute_values(":given", duration(given))
            .expression_attribute_values(":until", seconds(until));
        run(update).await.map(|_| ())
    }

    fn update(&self, bucket: &Bucket) -> UpdateItemFluentBuilder {
        self.table
            .client()
            .update_item()
            .table_name(self.table.name())
            .set_key(Some(key(bucket).attributes()))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
    }
}

impl Stored {
    fn take(&self, taken: bool) -> Result<Take, DbError> {
        let full_at = Timestamp::from_microsecond(self.full_at)
            .map_err(|error| DbError::Format(serde::de::Error::custom(error)))?;
        Ok(Take { taken, full_at })
    }
}

async fn run(update: UpdateItemFluentBuilder) -> Result<Updated, DbError> {
    // The SDK's futures are ten kilobytes, and a login waits for three of these at once.
    match Box::pin(update.send()).await {
        Ok(output) => Ok(Ok(from_item(output.attributes.unwrap_or_default())?)),
        Err(error) => match error.as_service_error() {
            Some(UpdateItemError::ConditionalCheckFailedException(failed)) => {
                Ok(Err(failed.item.clone().map(from_item).transpose()?))
            }
            _ => Err(error.into()),
        },
    }
}

fn key(bucket: &Bucket) -> Key {
    Key::new(format!("BUCKET#{}#{}", bucket.kind.name(), bucket.digest), "BUCKET")
}

fn micros(at: Timestamp) -> AttributeValue {
    AttributeValue::N(at.as_microsecond().to_string())
}

fn seconds(at: Timestamp) -> AttributeValue {
    AttributeValue::N(at.as_second().to_string())
}

fn duration(length: SignedDuration) -> AttributeValue {
    AttributeValue::N(length.as_micros().to_string())
}
