//! What somebody does in the shop.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use super::{ENDINGS, Event, Planner, Product, Purchase};

/// How likely it is that a visit puts something into the cart, and then that it goes on to the checkout.
const TO_CART: f64 = 0.3;
const TO_CHECKOUT: f64 = 0.5;
/// How likely it is that somebody with an account orders now.
const ORDERS: f64 = 0.75;

/// Events one after another, with a look at each page in between.
struct Trail<'a> {
    planner: &'a mut Planner,
    at: Timestamp,
    /// Most seconds between two of them.
    pace: u32,
    events: Vec<Event>,
}

impl Trail<'_> {
    fn add(&mut self, name: &'static str, properties: Value) {
        let properties = match properties {
            Value::Object(properties) => properties,
            _ => Map::new(),
        };
        let id = self.planner.dice.uuid();
        self.events.push(Event { name, id, at: self.at, properties });
        let pause = self.planner.dice.between(1, self.pace);
        self.at += SignedDuration::from_secs(pause.into());
    }

    fn looks_at(&mut self, product: &Product) {
        self.add(
            "product_view",
            json!({ "product_id": product.id, "path": format!("/products/{}", product.id) }),
        );
    }
}

impl Planner {
    /// A visit of the past: some leave at once, some look around, few get as far as the checkout.
    pub(super) fn visit(&mut self, at: Timestamp) -> Vec<Event> {
        let products = self.dice.between(0, 5);
        let mut trail = Trail { planner: self, at, pace: 90, events: Vec::new() };
        trail.add("page_view", json!({ "path": "/" }));
        if products > 0 && trail.planner.dice.happens(0.35) {
            let query = trail.planner.query();
            trail.add("search", json!({ "query": query }));
        }
        let mut seen = None;
        for _ in 0..products {
            if let Some(product) = trail.planner.product(false) {
                trail.looks_at(&product);
                seen = Some(product);
            }
        }
        if let Some(product) = seen
            && trail.planner.dice.happens(TO_CART)
        {
            let quantity = trail.planner.quantity();
            trail.add("add_to_cart", json!({ "product_id": product.id, "quantity": quantity }));
            if trail.planner.dice.happens(TO_CHECKOUT) {
                trail.add("page_view", json!({ "path": "/cart" }));
                trail.add("checkout_started", json!({ "path": "/checkout" }));
            }
        }
        trail.events
    }

    /// What leads to the purchase, in the minutes before now.
    pub(super) fn visit_now(&mut self, purchase: Option<&Purchase>) -> Vec<Event> {
        let at = self.now - SignedDuration::from_mins(5);
        let mut trail = Trail { planner: self, at, pace: 15, events: Vec::new() };
        trail.add("page_view", json!({ "path": "/" }));
        trail.add("page_view", json!({ "path": "/account" }));
        for (product_id, quantity) in purchase.into_iter().flat_map(|purchase| &purchase.lines) {
            trail.add(
                "product_view",
                json!({ "product_id": product_id, "path": format!("/products/{product_id}") }),
            );
            trail.add("add_to_cart", json!({ "product_id": product_id, "quantity": quantity }));
        }
        if purchase.is_some() {
            trail.add("checkout_started", json!({ "path": "/checkout" }));
        }
        trail.events
    }

    /// What somebody with an account orders; nothing where they are only looking, or everything is sold out.
    pub(super) fn purchase(&mut self) -> Option<Purchase> {
        if !self.dice.happens(ORDERS) {
            return None;
        }
        let mut lines: Vec<(String, u32)> = Vec::new();
        for _ in 0..self.dice.between(1, 3) {
            let product = self.product(true)?;
            if lines.iter().all(|(id, _)| *id != product.id) {
                lines.push((product.id, self.quantity()));
            }
        }
        let ending = self.dice.weighted(&ENDINGS.map(|(_, weight)| weight)).unwrap_or_default();
        let keys = [self.dice.uuid(), self.dice.uuid(), self.dice.uuid()];
        Some(Purchase { lines, ending: ENDINGS[ending].0, keys })
    }

    /// A product by Zipf's law: the second most popular is half as popular as the first, and so on.
    fn product(&mut self, available: bool) -> Option<Product> {
        let ranks = (1..).map(f64::from);
        let weights = self
            .popular
            .iter()
            .zip(ranks)
            .map(|(product, rank)| if available && !product.available { 0.0 } else { 1.0 / rank });
        let weights: Vec<_> = weights.collect();
        self.dice.weighted(&weights).map(|index| self.popular[index].clone())
    }

    fn quantity(&mut self) -> u32 {
        if self.dice.happens(0.15) { 2 } else { 1 }
    }

    /// A word that a product has in its name, or one that none has.
    fn query(&mut self) -> String {
        let product = if self.dice.happens(0.9) { self.product(false) } else { None };
        let words: Vec<_> = product.iter().flat_map(|product| product.name.split_whitespace()).collect();
        let word = self.dice.pick(&words).map_or_else(|| "tea".to_owned(), |word| word.to_lowercase());
        word.chars().take(64).collect()
    }
}
