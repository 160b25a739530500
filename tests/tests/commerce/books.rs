//! What the tables say in the end, and what must be true of it. Written against the items as they are stored and with
//! rules of its own, so that no mistake of the services is made here too.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use uuid::Uuid;

use crate::action::Told;
use crate::shop::Shop;
use crate::story::PRODUCTS;

/// The moves that an order may make; that it also stays where it is for a refund of a part, is checked apart.
const MOVES: [(&str, &str); 11] = [
    ("PENDING_PAYMENT", "PAID"),
    ("PENDING_PAYMENT", "CANCELLED"),
    ("PENDING_PAYMENT", "EXPIRED"),
    ("PAID", "PACKED"),
    ("PACKED", "SHIPPED"),
    ("SHIPPED", "DELIVERED"),
    ("PAID", "CANCELLED"),
    ("PAID", "REFUNDED"),
    ("PACKED", "REFUNDED"),
    ("SHIPPED", "REFUNDED"),
    ("DELIVERED", "REFUNDED"),
];

/// Where an order can be.
pub(crate) const STATUSES: [&str; 8] =
    ["PENDING_PAYMENT", "PAID", "PACKED", "SHIPPED", "DELIVERED", "CANCELLED", "EXPIRED", "REFUNDED"];

/// All that the tables hold.
pub(crate) struct Books {
    orders: Vec<Order>,
    payments: Vec<Payment>,
    charges: Vec<Charge>,
    /// What the provider paid back, in all.
    refunded: u64,
    /// How many pieces of each product can be sold, and what the list of products says of that.
    stock: BTreeMap<String, (u64, String)>,
    carts: Vec<Value>,
    /// What should be gone when nothing is under way.
    loose_ends: Vec<Value>,
}

struct Order {
    id: Uuid,
    status: String,
    total: u64,
    refunded: u64,
    payment_id: Option<Uuid>,
    lines: Vec<(String, u64)>,
    history: Vec<Value>,
}

struct Payment {
    id: Uuid,
    order_id: Uuid,
    status: String,
    amount: u64,
}

/// A charge of the provider's that went through.
struct Charge {
    payment_id: Uuid,
    amount: u64,
}

impl Books {
    pub(crate) async fn read(shop: &Shop) -> Self {
        let cart: Vec<Value> = shop.database.items("CartTable").await;
        let order: Vec<Value> = shop.database.items("OrderTable").await;
        let payment: Vec<Value> = shop.database.items("PaymentTable").await;
        let (user, product, book) = ("USER#", "PRODUCT#", "TESTPROVIDER#");
        let is_loose = |item: &&Value| {
            ["OPEN#"].iter().any(|prefix| text(item, "sk").starts_with(prefix)) && item["status"].is_null()
                || item["due_pk"].is_string()
                || item["in_flight_pk"].is_string()
        };
        Self {
            orders: select(&order, user, "ORDER#").map(Order::read).collect(),
            payments: select(&payment, user, "PAYMENT#").map(Payment::read).collect(),
            charges: select(&payment, book, "CHARGE")
                .filter(|entry| entry["declined"].is_null())
                .map(|entry| Charge { payment_id: id_after(entry, book), amount: amount(&entry["amount"]) })
                .collect(),
            refunded: select(&payment, book, "REFUND")
                .filter(|entry| entry["failed"].is_null())
                .map(|entry| amount(&entry["amount"]))
                .sum(),
            stock: select(&cart, product, "")
                .map(|item| {
                    let stock = (number(item, "stock"), text(item, "availability").to_owned());
                    (text(item, "id").to_owned(), stock)
                })
                .collect(),
            carts: select(&cart, "CART#", "").cloned().collect(),
            loose_ends: order.iter().chain(&payment).filter(is_loose).cloned().collect(),
        }
    }

    /// Everything that must be true when nothing is under way.
    pub(crate) fn check(&self, told: &Told) {
        assert!(self.loose_ends.is_empty(), "nothing may be left under way: {:#?}", self.loose_ends);
        self.check_stock();
        self.check_ledger();
        for order in &self.orders {
            order.check();
            self.check_charges(order);
        }
        self.check_carts();
        self.check_told(told);
    }

    /// Where orders have been.
    pub(crate) fn statuses(&self) -> impl Iterator<Item = String> {
        let entries = self.orders.iter().flat_map(|order| &order.history);
        entries.map(|entry| text(entry, "status").to_owned())
    }

    /// Pieces are on the shelf or in an order that was not given up.
    fn check_stock(&self) {
        for (product, _, stock) in PRODUCTS {
            let sold = self.orders.iter().filter(|order| order.keeps_goods()).flat_map(|order| &order.lines);
            let sold: u64 = sold.filter(|(id, _)| id == product).map(|(_, quantity)| quantity).sum();
            let (left, ref availability) = self.stock[product];
            assert_eq!(left + sold, u64::from(stock), "{product}: {left} left, {sold} sold or reserved");
            assert_eq!(availability, if left == 0 { "SOLD_OUT" } else { "IN_STOCK" }, "{product}");
        }
    }

    /// The provider's book and the orders tell of the same money.
    fn check_ledger(&self) {
        let charged: u64 = self.charges.iter().map(|charge| charge.amount).sum();
        let paid: u64 = self.orders.iter().filter(|order| order.was("PAID")).map(|order| order.total).sum();
        assert_eq!(charged, paid, "what was charged is what orders say was paid");
        let refunded: u64 = self.orders.iter().map(|order| order.refunded).sum();
        assert_eq!(self.refunded, refunded, "what was paid back is what orders say was refunded");
        assert!(refunded <= charged);
    }

    /// At most one successful charge per order, by the payment that the order names.
    fn check_charges(&self, order: &Order) {
        let of_order = |payment: &&Payment| payment.order_id == order.id;
        let payments: Vec<&Payment> = self.payments.iter().filter(of_order).collect();
        let ids: BTreeSet<Uuid> = payments.iter().map(|payment| payment.id).collect();
        let charges: Vec<&Charge> =
            self.charges.iter().filter(|charge| ids.contains(&charge.payment_id)).collect();
        let succeeded: Vec<&&Payment> =
            payments.iter().filter(|payment| payment.status == "SUCCEEDED").collect();
        let name = order.id;
        if !order.was("PAID") {
            assert!(charges.is_empty() && succeeded.is_empty(), "{name} is charged and was never paid");
            assert_eq!(order.payment_id, None, "{name} is still marked");
            return;
        }
        assert_eq!((charges.len(), succeeded.len()), (1, 1), "{name}: charges, payments that succeeded");
        assert_eq!(Some(charges[0].payment_id), order.payment_id, "{name}");
        assert_eq!(Some(succeeded[0].id), order.payment_id, "{name}");
        assert_eq!((charges[0].amount, succeeded[0].amount), (order.total, order.total), "{name}");
    }

    fn check_carts(&self) {
        for cart in &self.carts {
            let lines = cart["lines"].as_object().unwrap();
            assert!(lines.len() <= 50, "{cart}");
            for line in lines.values() {
                // A number in itself, or with what its owner saw.
                let quantity = line.as_u64().or(line["quantity"].as_u64()).unwrap();
                assert!((1..=99).contains(&quantity), "{cart}");
            }
        }
    }

    /// What a client was told is so.
    fn check_told(&self, told: &Told) {
        let order = |id: &Uuid| self.orders.iter().find(|order| order.id == *id);
        for (_, id) in &told.orders {
            assert!(order(id).is_some(), "the order {id} was confirmed");
        }
        for (id, status) in &told.reached {
            assert!(order(id).unwrap().was(status), "{id} was said to be {status}");
        }
        for (payment_id, id) in &told.paid {
            let order = order(id).unwrap();
            assert!(order.was("PAID") && order.payment_id == Some(*payment_id), "{id} was said to be paid");
        }
        for id in &told.declined {
            let payment = self.payments.iter().find(|payment| payment.id == *id).unwrap();
            assert_eq!(payment.status, "DECLINED", "{id} was said to be declined");
            assert!(!self.charges.iter().any(|charge| charge.payment_id == *id), "{id} is charged");
        }
        for (payment_id, refund_id) in &told.refunds {
            let paid = self.orders.iter().find(|order| order.payment_id == Some(*payment_id)).unwrap();
            let refund_id = refund_id.to_string();
            let is_this = |entry: &&Value| entry["refund_id"] == refund_id.as_str();
            assert_eq!(paid.history.iter().filter(is_this).count(), 1, "{refund_id} was said to be refunded");
        }
        self.check_untold(told);
        let mut answers = BTreeMap::new();
        for (key, status, id) in &told.by_key {
            let first = answers.entry(key).or_insert((status, id));
            assert_eq!(*first, (status, id), "two answers under the key {key}");
        }
    }
}

impl Books {
    /// What happened without anybody being told happened where somebody was told that this may be; and that ends with the
    /// truth where there is a key. So no key does anything twice, and no refusal hides that it was done.
    fn check_untold(&self, told: &Told) {
        let unknown = |endpoint: &str| told.unknown.get(endpoint).copied().unwrap_or_default();
        let check = |what: &str, untold: usize, unknown: usize| {
            assert!(untold <= unknown, "{untold} {what}, and {unknown} were told that this may be");
        };
        let placed = self.orders.iter().filter(|order| !told.orders.iter().any(|(_, id)| *id == order.id));
        check("orders were placed unnoticed", placed.count(), unknown("POST /orders"));
        let paid = self.orders.iter().filter(|order| order.was("PAID"));
        let paid = paid.filter(|order| !told.paid.iter().any(|(_, id)| *id == order.id));
        check("orders were paid unnoticed", paid.count(), unknown("POST /pay"));
        let entries = self.orders.iter().flat_map(|order| &order.history);
        let refunds = entries.filter(|entry| entry["refund"].is_object() && entry["by"] == "admin");
        let refunds = refunds
            .filter(|entry| !told.refunds.iter().any(|(_, refund)| id(&entry["refund_id"]) == Some(*refund)));
        check("refunds were made unnoticed", refunds.count(), unknown("POST /payments/{id}/refund"));
        for (step, status) in
            [("cancel", "CANCELLED"), ("pack", "PACKED"), ("ship", "SHIPPED"), ("deliver", "DELIVERED")]
        {
            let moved = self.orders.iter().filter(|order| order.was(status));
            let moved = moved.filter(|order| !told.reached.contains(&(order.id, status)));
            check(status, moved.count(), unknown(&format!("POST /orders/{{id}}/{step}")));
        }
    }
}

impl Order {
    fn read(item: &Value) -> Self {
        let line = |line: &Value| (text(line, "product_id").to_owned(), number(line, "quantity"));
        Self {
            id: id(&item["id"]).unwrap(),
            status: text(item, "status").to_owned(),
            total: amount(&item["total"]),
            refunded: item["refunded"].as_u64().unwrap_or_default(),
            payment_id: id(&item["payment_id"]),
            lines: item["lines"].as_array().unwrap().iter().map(line).collect(),
            history: item["history"].as_array().unwrap().clone(),
        }
    }

    fn was(&self, status: &str) -> bool {
        self.history.iter().any(|entry| entry["status"] == status)
    }

    /// Whether its goods are reserved or gone; who gives an order up returns them.
    fn keeps_goods(&self) -> bool {
        !self.was("CANCELLED") && !self.was("EXPIRED")
    }

    fn check(&self) {
        let name = self.id;
        assert_ne!(self.status, "PENDING_PAYMENT", "{name} would have expired by now");
        assert_eq!(text(self.history.last().unwrap(), "status"), self.status, "{name}");
        assert_eq!(text(&self.history[0], "status"), "PENDING_PAYMENT", "{name}");
        for pair in self.history.windows(2) {
            let (from, to) = (text(&pair[0], "status"), text(&pair[1], "status"));
            let refund = pair[1]["refund"].is_object();
            let paid_back = self.was("PAID") && from == "CANCELLED" && to == "REFUNDED";
            let part = self.was("PAID") && from == to && from != "PENDING_PAYMENT" && from != "REFUNDED";
            assert!(
                if refund {
                    part || paid_back || to == "REFUNDED" && MOVES.contains(&(from, to))
                } else {
                    to != "REFUNDED" && MOVES.contains(&(from, to))
                },
                "{name} went from {from} to {to}: {:#?}",
                self.history
            );
            let at = |entry: &Value| text(entry, "at").parse::<jiff::Timestamp>().unwrap();
            assert!(at(&pair[0]) <= at(&pair[1]), "{name} went back in time: {:#?}", self.history);
        }
        let refunds: u64 = self
            .history
            .iter()
            .filter(|entry| entry["refund"].is_object())
            .map(|entry| amount(&entry["refund"]))
            .sum();
        assert_eq!(refunds, self.refunded, "{name}");
        assert!(self.refunded <= self.total, "{name}");
        assert_eq!(self.status == "REFUNDED", self.refunded == self.total, "{name}");
        assert!(self.status != "CANCELLED" || !self.was("PAID"), "{name} has its money back");
    }
}

impl Payment {
    fn read(item: &Value) -> Self {
        Self {
            id: id(&item["id"]).unwrap(),
            order_id: id(&item["order_id"]).unwrap(),
            status: text(item, "status").to_owned(),
            amount: amount(&item["amount"]),
        }
    }
}

/// The items whose key begins so.
fn select<'a>(items: &'a [Value], pk: &'static str, sk: &'static str) -> impl Iterator<Item = &'a Value> {
    items.iter().filter(move |item| text(item, "pk").starts_with(pk) && text(item, "sk").starts_with(sk))
}

fn text<'a>(item: &'a Value, name: &str) -> &'a str {
    item[name].as_str().unwrap_or_else(|| panic!("{name} is no text in {item:#}"))
}

fn number(item: &Value, name: &str) -> u64 {
    item[name].as_u64().unwrap_or_else(|| panic!("{name} is no number in {item:#}"))
}

fn amount(money: &Value) -> u64 {
    number(money, "amount")
}

fn id(value: &Value) -> Option<Uuid> {
    value.as_str().map(|id| id.parse().unwrap())
}

fn id_after(item: &Value, prefix: &str) -> Uuid {
    text(item, "pk").trim_start_matches(prefix).parse().unwrap()
}
