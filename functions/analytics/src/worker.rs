//! The two workers: one makes events of what happens to orders and payments, the other adds events to the figures.
//!
//! Streams tell everything at least once. The raw event has the id of the order's or payment's event and is written once; it is
//! added to the figures once, by the mark that it gets in the same transaction. What comes again changes nothing, in whatever
//! order.

mod aggregator;
mod orders;
mod payments;

use aws_lambda_events::event::dynamodb::EventRecord;
use order::events::OrderEvent;
use payment::events::PaymentEvent;
use shared::aws::Aws;
use shared::clock::Clock;
use shared::config::{ConfigError, Env};
use shared::db::{DbError, Table};
use shared::stream::Unreadable;

pub use aggregator::{Aggregator, event_of};

use crate::model::Event;
use crate::store::AnalyticsStore;

/// Why records have to come again.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The record is not what the order or payment table's stream brings.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The record's image is not an event.
    #[error("the record's image is not an event")]
    Image(#[source] serde_dynamo::Error),
    /// A table.
    #[error(transparent)]
    Db(#[from] DbError),
}

/// Something that another service's table tells.
#[derive(Debug, Clone)]
pub enum Fact {
    /// Of an order.
    Order(Box<OrderEvent>),
    /// Of a payment.
    Payment(PaymentEvent),
}

/// The worker that makes events of facts.
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
    pub async fn process(&self, records: &[Vec<Fact>]) -> Result<(), Error> {
        let now = self.clock.now();
        let events = records.iter().flatten().map(|fact| match fact {
            Fact::Order(event) => orders::reported(event, now),
            Fact::Payment(event) => payments::reported(event, now),
        });
        self.analytics.add(&events.collect::<Vec<Event>>()).await?;
        Ok(())
    }
}

/// The facts of a record, of either stream: each service's events know their own records by the key.
pub fn facts_of(record: &EventRecord) -> Result<Vec<Fact>, Error> {
    let orders = order::events::from_record(record)?.into_iter().map(|event| Fact::Order(Box::new(event)));
    let payment = payment::events::from_record(record)?.map(Fact::Payment);
    Ok(orders.chain(payment).collect())
}

#[cfg(test)]
mod tests;
