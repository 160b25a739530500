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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn event(mut event: Value) -> Event {
        event["id"] = "1".into();
        event["at"] = "2026-01-01T10:30:00Z".into();
        event["received_at"] = "2026-01-02T00:00:00Z".into();
        serde_json::from_value(event).unwrap()
    }

    /// What an event adds to the day that it happened on.
    fn of_the_day(event: &Event, known: &Known) -> BTreeMap<Part, Cell> {
        let mut cells = Cells::new();
        for portion in portions(event, known) {
            add_all(&mut cells, &portion.cells);
        }
        let day = Bucket::Day("2026-01-01".parse().unwrap());
        let hours: Cells = cells.extract_if(.., |id, _| id.bucket != day).collect();
        let parts =
            |cells: Cells| cells.into_iter().map(|(id, cell)| (id.part, cell)).collect::<BTreeMap<_, _>>();
        let day = parts(cells);
        assert_eq!(parts(hours), day, "an hour counts what its day counts");
        day
    }

    fn numbers(cell: &Cell) -> Vec<(String, u64)> {
        cell.numbers.iter().map(|(measure, by)| (measure.attribute(), *by)).collect()
    }

    fn people(cell: &Cell) -> Vec<(&str, Vec<&str>)> {
        cell.people
            .iter()
            .map(|(name, people)| (*name, people.iter().map(String::as_str).collect()))
            .collect()
    }

    #[test]
    fn only_known_names_and_products_are_counted_by_their_own() {
        let view = event(json!({ "name": "product_view", "anonymous_id": "a", "product_id": "mug" }));
        let mut known = Known::default();
        assert_eq!(of_the_day(&view, &known).len(), 2, "totals and funnel");
        known.products.insert("mug".to_owned().try_into().unwrap());
        let cells = of_the_day(&view, &known);
        let mug = Part::Product("mug".to_owned().try_into().unwrap());
        assert_eq!(numbers(&cells[&mug]), [("views".to_owned(), 1)]);
        assert_eq!(numbers(&cells[&Part::Totals]), [("e:product_view".to_owned(), 1)]);

        let custom = event(json!({ "name": "spin" }));
        assert_eq!(numbers(&of_the_day(&custom, &known)[&Part::Totals]), [("e:other".to_owned(), 1)]);
        known.names.insert(custom.name.clone());
        assert_eq!(numbers(&of_the_day(&custom, &known)[&Part::Totals]), [("e:spin".to_owned(), 1)]);
    }

    #[test]
    fn a_client_is_one_visitor_before_and_after_login_and_orders_are_of_users() {
        let user = "00000000-0000-0000-0000-000000000001";
        let known = Known::default();
        let before = event(json!({ "name": "add_to_cart", "anonymous_id": "a" }));
        let after = event(json!({ "name": "add_to_cart", "anonymous_id": "a", "user_id": user }));
        assert_eq!(of_the_day(&before, &known), of_the_day(&after, &known));
        let cells = of_the_day(&after, &known);
        assert_eq!(people(&cells[&Part::Totals]), [("visitors", vec!["ANON#a"])]);
        assert_eq!(people(&cells[&Part::Funnel]), [("s1", vec!["ANON#a"])]);

        let placed = event(json!({ "name": "order_placed", "user_id": user }));
        let cells = of_the_day(&placed, &known);
        assert_eq!(people(&cells[&Part::Totals]), []);
        assert_eq!(people(&cells[&Part::Funnel]), [("s2", vec![format!("USER#{user}").as_str()])]);
        let shipped = event(json!({ "name": "order_shipped", "user_id": user }));
        assert_eq!(of_the_day(&shipped, &known).len(), 1);
    }

    #[test]
    fn an_order_is_revenue_as_a_whole_and_of_each_product_however_many_they_are() {
        let eur = |amount: u64| json!({ "amount": amount, "currency": "EUR" });
        let lines: Vec<Value> = (1..=50)
            .map(|n| json!({ "product_id": format!("p{n}"), "quantity": 2, "total": eur(n) }))
            .collect();
        let paid = event(json!({ "name": "order_paid", "revenue": eur(1275), "lines": lines }));
        let portions = portions(&paid, &Known::default());
        assert_eq!(portions.len(), 2);
        // Each fits into a transaction with its mark.
        assert!(portions.iter().all(|portion| portion.cells.len() < 100));
        let cells = of_the_day(&paid, &Known::default());
        assert_eq!(
            numbers(&cells[&Part::Totals]),
            [("e:order_paid".to_owned(), 1), ("r:EUR".to_owned(), 1275)]
        );
        assert_eq!(cells.len(), 51);
        let seventh = &cells[&Part::Product("p7".to_owned().try_into().unwrap())];
        assert_eq!(numbers(seventh), [("r:EUR".to_owned(), 7), ("units".to_owned(), 2)]);
    }
}
