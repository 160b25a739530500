//! What the events of some time add up to. Pure; figures of several buckets merge into those of all of them.

use std::collections::BTreeMap;

use cart::model::ProductId;
use shared::money::Currency;

use crate::model::EventName;
use crate::sketch::Sketch;

/// How often what happened, who came, and what was earned.
#[derive(Debug, Clone, Default)]
pub struct Totals {
    /// How often each event happened, those of orders (`order_paid`) included.
    pub events: BTreeMap<EventName, u64>,
    /// What was earned, in minor units; refunds are not taken off, for they may be of another time.
    pub revenue: BTreeMap<Currency, u64>,
    /// What was paid back, in minor units.
    pub refunds: BTreeMap<Currency, u64>,
    /// Who came.
    pub visitors: Sketch,
}

/// Who got how far.
#[derive(Debug, Clone, Default)]
pub struct Funnel {
    /// The people of each [`Stage`], in order.
    pub stages: [Sketch; 4],
}

/// A step on the way to a sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Looked at a page or a product.
    View,
    /// Put something into a cart.
    Cart,
    /// Placed an order.
    Order,
    /// Paid one.
    Paid,
}

/// What happened to each product.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Products(pub BTreeMap<ProductId, ProductFigures>);

/// What happened to one product.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProductFigures {
    /// How often it was looked at.
    pub views: u64,
    /// How often it was put into a cart.
    pub carts: u64,
    /// How many pieces were sold: of paid orders.
    pub units: u64,
    /// What was paid for them, in minor units.
    pub revenue: BTreeMap<Currency, u64>,
}

/// Figures that add up.
pub trait Merge: Default {
    /// Adds the figures of another time, or of another part of the same.
    fn merge(&mut self, other: &Self);
}

impl Merge for Totals {
    fn merge(&mut self, other: &Self) {
        add(&mut self.events, &other.events);
        add(&mut self.revenue, &other.revenue);
        add(&mut self.refunds, &other.refunds);
        self.visitors.merge(&other.visitors);
    }
}

impl Merge for Funnel {
    fn merge(&mut self, other: &Self) {
        for (stage, other) in self.stages.iter_mut().zip(&other.stages) {
            stage.merge(other);
        }
    }
}

impl Merge for Products {
    fn merge(&mut self, other: &Self) {
        for (id, figures) in &other.0 {
            let sum = self.0.entry(id.clone()).or_default();
            sum.views = sum.views.saturating_add(figures.views);
            sum.carts = sum.carts.saturating_add(figures.carts);
            sum.units = sum.units.saturating_add(figures.units);
            add(&mut sum.revenue, &figures.revenue);
        }
    }
}

fn add<K: Ord + Clone>(into: &mut BTreeMap<K, u64>, from: &BTreeMap<K, u64>) {
    for (key, value) in from {
        let sum = into.entry(key.clone()).or_default();
        *sum = sum.saturating_add(*value);
    }
}
