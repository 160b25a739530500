//! Refunds, and what they leave of the payment.

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use jiff::Timestamp;
use shared::db::{DbError, Key};
use uuid::Uuid;

use super::{InFlight, PaymentStore, partition, payment_key};
use crate::model::{Payment, Refund, RefundProgress};

const REFUND: &str = "REFUND#";
const IN_FLIGHT: &str = "REFUND_IN_FLIGHT";

impl PaymentStore {
    /// One of the user's refunds.
    pub async fn refund(
        &self,
        user_id: Uuid,
        payment_id: Uuid,
        refund_id: Uuid,
    ) -> Result<Option<Refund>, DbError> {
        self.table().get(&refund_key(user_id, payment_id, refund_id)).await
    }

    /// Records the intent, and reserves its amount of `payment`, as it was read; fails where less than that is left by now.
    pub fn begin_refund_writes(
        &self,
        payment: &Payment,
        refund: &Refund,
    ) -> Result<[TransactWriteItem; 2], DbError> {
        let (charged, amount) = (payment.amount.amount, refund.amount.amount);
        let most = charged.checked_sub(amount).ok_or(DbError::ConditionFailed)?;
        let reserve = self.table().update_write(&payment_key(payment.user_id, payment.id), |update| {
            update
                .update_expression("SET refund_reserved = refund_reserved + :amount")
                .condition_expression("#status = :succeeded AND refund_reserved <= :most")
                .expression_attribute_names("#status", "status")
                .expression_attribute_values(":succeeded", AttributeValue::S("SUCCEEDED".to_owned()))
                .expression_attribute_values(":amount", number(amount))
                .expression_attribute_values(":most", number(most))
        })?;
        let in_flight = InFlight { intent: refund, in_flight_pk: IN_FLIGHT };
        let intent = self.table().put_write(&key(refund), &in_flight, "attribute_not_exists(pk)")?;
        Ok([reserve, intent])
    }

    /// Records the outcome, first of the refund, then of its payment; fails where one is recorded already.
    pub fn finish_refund_writes(&self, finished: &Refund) -> Result<[TransactWriteItem; 2], DbError> {
        let record = self.table().put_write(&key(finished), finished, "attribute_exists(in_flight_pk)")?;
        let settle = match finished.progress {
            RefundProgress::Failed { .. } => "SET refund_reserved = refund_reserved - :amount",
            _ => "SET refunded = refunded + :amount",
        };
        let settle =
            self.table().update_write(&payment_key(finished.user_id, finished.payment_id), |update| {
                update
                    .update_expression(settle)
                    .expression_attribute_values(":amount", number(finished.amount.amount))
            })?;
        Ok([record, settle])
    }

    /// Takes the lease of `refund`, as it was read, from `now` on; fails where somebody else did so since. None where the
    /// refund is final.
    pub fn take_over_refund_write(
        &self,
        refund: &Refund,
        now: Timestamp,
    ) -> Result<Option<TransactWriteItem>, DbError> {
        self.lease_write(&key(refund), refund.in_flight_since(), now)
    }

    /// Up to `limit` refunds whose lease ran out before `now`, the longest untouched first, as of a moment ago.
    pub async fn abandoned_refunds(&self, now: Timestamp, limit: i32) -> Result<Vec<Refund>, DbError> {
        self.in_flight(IN_FLIGHT, now, limit).await
    }
}

fn key(refund: &Refund) -> Key {
    refund_key(refund.user_id, refund.payment_id, refund.id)
}

fn refund_key(user_id: Uuid, payment_id: Uuid, refund_id: Uuid) -> Key {
    Key::new(partition(user_id), format!("{REFUND}{payment_id}#{refund_id}"))
}

fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}
