//! What an event adds to the figures. Pure: whatever the order, the company and the number of workers that events are counted
//! by, the sum is the same.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use cart::model::ProductId;
use shared::money::Money;

use crate::bucket::Bucket;
use crate::figures::Stage;
use crate::model::{Event, EventName};
use crate::store::cells::{Cell, CellId, Measure, Part, STAGES, VISITORS};

/// How many products one portion of an event counts for: with marks and all, a transaction holds it.
const PRODUCTS_AT_ONCE: usize = 40;

/// What is counted by its own name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Known {
    /// Names that clients made up. Their number is bounded, or anyone could make the figures as large as they like.
    pub(crate) names: BTreeSet<EventName>,
    /// Products of the shop. Anyone can send an event of any product id, and figures of things that do not exist would be as
    /// many as somebody cares to make up.
    pub(crate) products: HashSet<ProductId>,
}

/// A part of an event, counted in one go; most events have one.
#[derive(Debug, Clone)]
pub(crate) struct Portion {
    /// The event's id.
    pub(crate) event: String,
    /// The attribute of the raw event that says that this portion is counted.
    pub(crate) mark: &'static str,
    /// What to add.
    pub(crate) cells: Cells,
}

pub(crate) type Cells = BTreeMap<CellId, Cell>;

/// All that an event adds, in portions. An order of many different products has a second one.
pub(crate) fn portions(event: &Event, known: &Known) -> Vec<Portion> {
    let buckets = Bucket::of(event.at);
    let mut portions = Vec::new();
    let mut sold = event.lines.chunks(PRODUCTS_AT_ONCE);
    let first = sold.next().unwrap_or_default();
    for (mark, lines) in [("applied", first), ("applied_rest", sold.next().unwrap_or_default())] {
        let mut cells = Cells::new();
        for bucket in buckets {
            if mark == "applied" {
                count(event, known, bucket, &mut cells);
            }
            for line in lines {
                let part = Part::Product(line.product_id.clone());
                let product = cells.entry(CellId { bucket, part }).or_default();
                product.add(Measure::Units, line.quantity.into());
                product.add_money(Measure::Revenue, line.total);
            }
        }
        if !cells.is_empty() {
            portions.push(Portion { event: event.id.clone(), mark, cells });
        }
    }
    portions
}

/// What an event adds to one bucket, but for what was sold.
fn count(event: &Event, known: &Known, bucket: Bucket, cells: &mut Cells) {
    let totals = cells.entry(CellId { bucket, part: Part::Totals }).or_default();
    let named = event.name.is_known() || known.names.contains(&event.name);
    totals.add(Measure::Event(if named { event.name.clone() } else { EventName::other() }), 1);
    if let Some(revenue) = event.revenue {
        totals.add_money(Measure::Revenue, revenue);
    }
    if let Some(refund) = event.refund {
        totals.add_money(Measure::Refunds, refund);
    }
    // What the shop does to an order is no visit of the customer.
    if let Some(visitor) = event.visitor().filter(|_| !event.name.is_reserved()) {
        totals.add_person(VISITORS, visitor.to_string());
    }
    if let (Some(stage), Some(person)) = (event.name.stage(), event.visitor()) {
        let attribute = STAGES[match stage {
            Stage::View => 0,
            Stage::Cart => 1,
            Stage::Order => 2,
            Stage::Paid => 3,
        }];
        let funnel = cells.entry(CellId { bucket, part: Part::Funnel }).or_default();
        funnel.add_person(attribute, person.to_string());
    }
    if let Some(id) = event.product_id.as_ref().filter(|id| known.products.contains(*id)) {
        let measure = match event.name.stage() {
            Some(Stage::View) => Measure::Views,
            _ => Measure::Carts,
        };
        let part = Part::Product(id.clone());
        cells.entry(CellId { bucket, part }).or_default().add(measure, 1);
    }
}

/// Adds cells to cells.
pub(crate) fn add_all(into: &mut Cells, cells: &Cells) {
    for (id, cell) in cells {
        let sum = into.entry(id.clone()).or_default();
        for (measure, by) in &cell.numbers {
            sum.add(measure.clone(), *by);
        }
        for (attribute, people) in &cell.people {
            sum.people.entry(attribute).or_default().extend(people.iter().cloned());
        }
    }
}

impl Cell {
    fn add(&mut self, measure: Measure, by: u64) {
        let sum = self.numbers.entry(measure).or_default();
        *sum = sum.saturating_add(by);
    }

    fn add_money(&mut self, measure: impl Fn(shared::money::Currency) -> Measure, money: Money) {
        self.add(measure(money.currency), money.amount);
    }

    fn add_person(&mut self, attribute: &'static str, person: String) {
        self.people.entry(attribute).or_default().insert(person);
    }
}
