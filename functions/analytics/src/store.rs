//! Analytics' table.
//!
//! | item | pk | sk |
//! |---|---|---|
//! | raw event, deleted 90 days later by the attribute `expires_at` | `EVENT#<event id>` | `EVENT` |
//! | counter of one UTC day, stays | `DAY#<YYYY-MM-DD>` | `COUNTER#<name>` |
//!
//! A counter is an event's name, or `revenue#<currency>` or `refunds#<currency>` in minor units. Event and counters are written in one
//! transaction on condition that the event is new: a duplicate changes nothing, and counters are always what the raw
//! events add up to.

pub(crate) mod cells;
mod figures;

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use shared::db::{DbError, Key, Table, Transaction, TransactionError, from_item};
use shared::money::Money;
use shared::text::Text;
use tokio::task::JoinSet;
use tracing::Instrument as _;
use uuid::Uuid;

use crate::model::{Counter, Days, Event, EventName, Sums};

/// The only way to Analytics' table.
#[derive(Debug, Clone)]
pub struct AnalyticsStore {
    table: Table,
}

/// A raw event as stored.
#[derive(Serialize)]
struct EventItem<'a> {
    id: &'a str,
    name: &'a EventName,
    at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    anonymous_id: Option<&'a Text<64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    order_id: Option<Uuid>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revenue: Option<Money>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refund: Option<Money>,
    /// JSON text.
    #[serde(skip_serializing_if = "Option::is_none")]
    properties: Option<String>,
    /// Seconds since 1970, as DynamoDB's time to live has it.
    expires_at: i64,
}

#[derive(Deserialize)]
struct CounterItem {
    sk: String,
    value: u64,
}

impl AnalyticsStore {
    /// The store over `table`.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// The table, for readiness probes.
    pub fn table(&self) -> Table {
        self.table.clone()
    }

    /// Stores an event and counts it; false where it was there before, and then nothing changes.
    pub async fn record(&self, event: &Event) -> Result<bool, DbError> {
        let item = EventItem {
            id: &event.id,
            name: &event.name,
            at: event.at,
            client_at: event.client_at,
            user_id: event.user_id,
            anonymous_id: event.anonymous_id.as_ref(),
            order_id: event.order_id,
            revenue: event.revenue,
            refund: event.refund,
            properties: event.properties.to_json(),
            expires_at: event.expires_at(),
        };
        let key = Key::new(format!("EVENT#{}", event.id), "EVENT");
        let mut transaction = Transaction::new(self.table.client());
        transaction.add(self.table.put_write(&key, &item, "attribute_not_exists(pk)")?);
        transaction.add(self.count_write(event.day(), &Counter::Happened(event.name.clone()), 1)?);
        if let Some(revenue) = event.revenue {
            let counter = Counter::Revenue(revenue.currency);
            transaction.add(self.count_write(event.day(), &counter, revenue.amount)?);
        }
        if let Some(refund) = event.refund {
            let counter = Counter::Refunds(refund.currency);
            transaction.add(self.count_write(event.day(), &counter, refund.amount)?);
        }
        match transaction.run().await {
            Ok(()) => Ok(true),
            // Only the event's put has a condition.
            Err(TransactionError::Cancelled(_)) => Ok(false),
            Err(TransactionError::Db(error)) => Err(error),
        }
    }

    fn count_write(&self, day: Date, counter: &Counter, by: u64) -> Result<TransactWriteItem, DbError> {
        let key = Key::new(partition(day), format!("{COUNTER}{}", counter.name()));
        self.table.update_write(&key, |update| {
            update
                .update_expression("ADD #value :by")
                .expression_attribute_names("#value", "value")
                .expression_attribute_values(":by", AttributeValue::N(by.to_string()))
        })
    }

    /// The sums of each of these days, in order; one query per day, all at once.
    pub async fn sums(&self, days: Days) -> Result<Vec<(Date, Sums)>, DbError> {
        let mut queries = JoinSet::new();
        for day in days.iter() {
            let store = self.clone();
            let query = async move { store.sums_of(day).await.map(|sums| (day, sums)) };
            // A task is outside of the request's span, and its log lines would lack the request's id.
            queries.spawn(query.in_current_span());
        }
        let mut sums = queries.join_all().await.into_iter().collect::<Result<Vec<_>, _>>()?;
        sums.sort_by_key(|(day, _)| *day);
        Ok(sums)
    }

    async fn sums_of(&self, day: Date) -> Result<Sums, DbError> {
        let mut sums = Sums::default();
        let mut start = None;
        loop {
            let query = self
                .table
                .client()
                .query()
                .table_name(self.table.name())
                .key_condition_expression("pk = :pk AND begins_with(sk, :prefix)")
                .expression_attribute_values(":pk", AttributeValue::S(partition(day)))
                .expression_attribute_values(":prefix", AttributeValue::S(COUNTER.to_owned()))
                .consistent_read(true)
                .set_exclusive_start_key(start);
            let output = query.send().await?;
            for item in output.items.unwrap_or_default() {
                let CounterItem { sk, value } = from_item(item)?;
                if let Some(counter) = sk.strip_prefix(COUNTER).and_then(Counter::parse) {
                    sums.add(counter, value);
                } else {
                    tracing::warn!(sk, "a counter of unknown meaning is left out");
                }
            }
            start = output.last_evaluated_key;
            if start.is_none() {
                return Ok(sums);
            }
        }
    }
}

const COUNTER: &str = "COUNTER#";

fn partition(day: Date) -> String {
    format!("DAY#{day}")
}
