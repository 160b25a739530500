//! Adds new raw events to the figures, as the stream of Analytics' own table tells them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lambda_events::event::dynamodb::EventRecord;
use cart::model::ProductId;
use cart::store::CartStore;
use serde_dynamo::AttributeValue;
use shared::aws::Aws;
use shared::config::{ConfigError, Env};
use shared::db::{DbError, Table};

use super::Error;
use crate::counting::{Known, portions};
use crate::model::Event;
use crate::store::AnalyticsStore;
use crate::store::EVENT;

/// So many products are remembered at most.
const MAX_PRODUCTS: usize = 10_000;

/// The worker.
#[derive(Debug, Clone)]
pub struct Aggregator {
    analytics: AnalyticsStore,
    cart: CartStore,
    /// What is counted by its own name stays so; it is asked for once.
    known: Arc<Mutex<Known>>,
}

impl Aggregator {
    /// The worker over these tables.
    pub fn new(analytics: AnalyticsStore, cart: CartStore) -> Self {
        Self { analytics, cart, known: Arc::default() }
    }

    /// The worker of a running function: the tables that `ANALYTICS_TABLE` and `CART_TABLE` name.
    pub fn load(env: &Env, aws: &Aws) -> Result<Self, ConfigError> {
        let client = aws.dynamodb();
        let analytics = Table::new(client.clone(), env.required("ANALYTICS_TABLE")?);
        let cart = Table::new(client, env.required("CART_TABLE")?);
        Ok(Self::new(AnalyticsStore::new(analytics), CartStore::new(cart)))
    }

    /// Adds these events to the figures, each once, however often it comes.
    pub async fn process(&self, events: &[Option<Event>]) -> Result<(), Error> {
        let mut ids = BTreeSet::new();
        let events = events.iter().flatten().filter(|event| ids.insert(event.id.as_str()));
        let events: Vec<Event> = events.cloned().collect();
        let known = self.learn(&events).await?;
        // Before the figures: an event that is marked there is done altogether.
        self.analytics.attend(&events).await?;
        self.analytics.apply(events.iter().flat_map(|event| portions(event, &known)).collect()).await?;
        Ok(())
    }

    /// Finds out which names and products of the events are counted by their own.
    async fn learn(&self, events: &[Event]) -> Result<Known, DbError> {
        let mut known = self.known().clone();
        let names: BTreeSet<_> = events
            .iter()
            .map(|event| &event.name)
            .filter(|name| !name.is_known() && !known.names.contains(*name))
            .cloned()
            .collect();
        if !names.is_empty() {
            known.names = self.analytics.claim_names(&names).await?;
        }
        let products: BTreeSet<&ProductId> = events
            .iter()
            .filter_map(|event| event.product_id.as_ref())
            .filter(|id| !known.products.contains(*id))
            .collect();
        if !products.is_empty() {
            known.products.extend(self.cart.products(products).await?.into_keys());
        }
        let mut kept = known.clone();
        if kept.products.len() > MAX_PRODUCTS {
            kept.products.clear();
        }
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = kept;
        Ok(known)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The raw event that a record of the stream tells of; none for whatever else the table holds, and for changes.
pub fn event_of(record: &EventRecord) -> Result<Option<Event>, Error> {
    let is_event = |pk: &AttributeValue| matches!(pk, AttributeValue::S(pk) if pk.starts_with(EVENT));
    if record.event_name != "INSERT" || !record.change.keys.get("pk").is_some_and(is_event) {
        return Ok(None);
    }
    serde_dynamo::from_item(record.change.new_image.clone()).map(Some).map_err(Error::Image)
}

#[cfg(test)]
mod tests;
