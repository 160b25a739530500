//! Makes events of what happens to orders, as the stream of the order table tells it.

use aws_lambda_events::event::dynamodb::EventRecord;
use jiff::Timestamp;
use order::events::{Kind, OrderEvent, from_record};
use shared::aws::Aws;
use shared::clock::Clock;
use shared::config::{ConfigError, Env};
use shared::db::Table;

use super::Error;
use crate::model::{Event, EventName, Sold};
use crate::store::AnalyticsStore;

/// The worker.
#[derive(Debug, Clone)]
pub struct Worker {
    /// This service's table.
    pub analytics: AnalyticsStore,
    /// Time.
    pub clock: Clock,
}

impl Worker {
    /// The worker of a running function: the table that `ANALYTICS_TABLE` names.
    pub fn new(env: &Env, aws: &Aws) -> Result<Self, ConfigError> {
        let table = Table::new(aws.dynamodb(), env.required("ANALYTICS_TABLE")?);
        Ok(Self { analytics: AnalyticsStore::new(table), clock: Clock::system() })
    }

    /// Stores the events of these records, each once, however often it comes.
    pub async fn process(&self, records: &[Vec<OrderEvent>]) -> Result<(), Error> {
        let now = self.clock.now();
        let events: Vec<Event> = records.iter().flatten().map(|event| reported(event, now)).collect();
        self.analytics.add(&events).await?;
        Ok(())
    }
}

/// The events of a record.
pub fn orders_of(record: &EventRecord) -> Result<Vec<OrderEvent>, Error> {
    Ok(from_record(record)?)
}

/// An order's event as Analytics stores it.
fn reported(event: &OrderEvent, now: Timestamp) -> Event {
    let (order, paid) = (&event.order, event.kind == Kind::Paid);
    let sold = order.lines.iter().map(|line| Sold {
        product_id: line.product_id.clone(),
        quantity: line.quantity,
        total: line.total,
    });
    Event {
        id: event.id.clone(),
        name: EventName::of_order(event.kind),
        // The time of the event itself: a late delivery counts on the day when it happened.
        at: event.at,
        received_at: now,
        user_id: Some(order.user_id),
        anonymous_id: None,
        device: None,
        order_id: Some(order.id),
        revenue: paid.then_some(order.total),
        refund: event.refund,
        lines: if paid { sold.collect() } else { Vec::new() },
        product_id: None,
        properties: None,
    }
}

#[cfg(test)]
mod tests;
