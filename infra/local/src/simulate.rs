//! `cargo local simulate`: shoppers for the running system, who do only what its public API lets anybody do.
//!
//! Visits are reported as having happened over the last days, as a browser reports what it kept while it was offline. Orders cannot
//! be: the server states when they are placed and paid, so all of them are of today.

mod dice;
mod plan;
mod shop;

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use self::plan::{BROWSERS, Shopper};
use self::shop::{Shop, Visitor};
use crate::ambient;

/// Most events of one request.
const BATCH: usize = 500;
/// Requests under way at once, so that a laptop stays usable: of events, and of users.
const EVENTS_AT_ONCE: usize = 2;
const USERS_AT_ONCE: usize = 4;
/// The seed unless another is given.
pub const SEED: u64 = 1;

/// How much happens.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many shoppers there are.
    pub users: u16,
    /// Over how many days they came; at most 30, since Analytics takes no older events.
    pub days: u8,
    /// Other shoppers for another number.
    pub seed: u64,
}

/// What happened.
#[derive(Debug, Default)]
pub struct Report {
    /// What was made, by its name.
    pub made: BTreeMap<&'static str, usize>,
    /// What went wrong though it was not planned to, and how often.
    pub unplanned: BTreeMap<String, usize>,
}

/// Fills the system whose services answer at these URLs, by function name. What it is at goes to `say`.
pub async fn simulate(
    urls: &BTreeMap<String, String>,
    options: &Options,
    say: impl Fn(&str),
) -> Result<Report> {
    let shop = Arc::new(Shop::new(urls.clone()));
    let products = shop.products().await?;
    if products.is_empty() {
        bail!("the shop has no products");
    }
    let now = ambient::now();
    let shoppers = plan::plan(options, now, &products);
    let batches = batches(&shoppers);
    let users: Vec<_> = shoppers.into_iter().filter(|shopper| shopper.account.is_some()).collect();
    say(&format!("{} visitors over {} days, {} of whom register", options.users, options.days, users.len()));

    let mut tasks = JoinSet::new();
    let gate = Arc::new(Semaphore::new(EVENTS_AT_ONCE));
    for (browser, events) in batches {
        let (shop, gate) = (Arc::clone(&shop), Arc::clone(&gate));
        tasks.spawn(async move {
            let _turn = gate.acquire_owned().await;
            let visitor = Visitor::new(&shop, 0, BROWSERS[browser].0)?;
            visitor.report(&events, None).await;
            anyhow::Ok(())
        });
    }
    let gate = Arc::new(Semaphore::new(USERS_AT_ONCE));
    for (number, shopper) in users.into_iter().enumerate() {
        let (shop, gate) = (Arc::clone(&shop), Arc::clone(&gate));
        tasks.spawn(async move {
            let _turn = gate.acquire_owned().await;
            let visitor = Visitor::new(&shop, number + 1, BROWSERS[shopper.browser].0)?;
            visitor.shop(&shopper).await;
            anyhow::Ok(())
        });
    }
    let (all, mut done) = (tasks.len(), 0);
    while let Some(ended) = tasks.join_next().await {
        ended.context("a shopper panicked")??;
        done += 1;
        if done * 10 / all != (done - 1) * 10 / all {
            say(&format!("{} % – {}", done * 100 / all, shop.progress()));
        }
    }
    Ok(shop.report())
}

/// The events of the past by browser, in requests; those of one shopper may be in two.
fn batches(shoppers: &[Shopper]) -> Vec<(usize, Vec<Value>)> {
    let mut batches = Vec::new();
    for browser in 0..BROWSERS.len() {
        let of_browser = shoppers.iter().filter(|shopper| shopper.browser == browser);
        let events = of_browser.flat_map(|shopper| {
            shopper.visits.iter().flatten().map(|event| event.body(&shopper.anonymous_id))
        });
        let events: Vec<_> = events.collect();
        batches.extend(events.chunks(BATCH).map(|chunk| (browser, chunk.to_vec())));
    }
    batches
}

impl Visitor {
    /// Registers, logs in, reports the visit and orders; ends where something fails.
    async fn shop(&self, shopper: &Shopper) -> Option<()> {
        let account = shopper.account.as_ref()?;
        let token = self.register(&account.username).await?;
        let events: Vec<_> = account.visit.iter().map(|event| event.body(&shopper.anonymous_id)).collect();
        // The first that carries both ids: from here on the visits of the past are this user's.
        self.report(&events, Some(&token)).await;
        let purchase = account.purchase.as_ref()?;
        for (product, quantity) in &purchase.lines {
            self.put_into_cart(&token, product, *quantity).await?;
        }
        self.order(&token, purchase).await
    }
}

/// What is said at the end.
pub fn summary(report: &Report, urls: &BTreeMap<String, String>) -> String {
    let mut lines: Vec<_> = report.made.iter().map(|(what, count)| format!("  {count:6} {what}")).collect();
    lines.insert(0, "Made:".to_owned());
    if !report.unplanned.is_empty() {
        lines.push("What failed though it should not have:".to_owned());
        lines.extend(report.unplanned.iter().map(|(what, count)| format!("  {count:6} {what}")));
    }
    lines.push(
        "Visits are spread over the days. Orders can only be placed now, so orders, payments and revenue are of today."
            .to_owned(),
    );
    lines.push(
        "Figures follow within seconds. To see them, make a user of yours an admin and sign in:".to_owned(),
    );
    lines.push("  cargo local admin NAME".to_owned());
    if let Some(url) = urls.get("analytics") {
        lines.push(format!("  {url}/analytics/dashboard"));
    }
    lines.join("\n")
}

/// The body of a batch.
fn batch(events: &[Value]) -> Value {
    json!({ "events": events })
}
