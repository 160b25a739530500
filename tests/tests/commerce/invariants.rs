//! Random stories of a shop, of which none may lose, double or oversell anything.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestRunner};
use shared::config::Env;
use shared::testing::Faults;
use tokio::task::JoinSet;

use crate::books::{Books, STATUSES};
use crate::shop::Shop;
use crate::story::{PRODUCTS, Story, story};

/// How many stories are told of each kind, where nobody says.
const CASES: u32 = 24;

/// The same stories every time, unless the environment says otherwise: a build fails for a reason, and not by chance.
fn config() -> ProptestConfig {
    let env = Env::process();
    let mut config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    if env.optional("PROPTEST_CASES").is_none() {
        config.cases = CASES;
    }
    if env.optional("PROPTEST_RNG_SEED").is_none() {
        config.rng_seed = RngSeed::Fixed(4);
    }
    config
}

/// Tells stories, in a DynamoDB that fails so many of a thousand calls.
fn tell(per_mille: impl Strategy<Value = u16>) {
    let (config, seen) = (config(), Mutex::new(BTreeSet::new()));
    let cases = config.cases;
    let story = (story(), any::<u64>(), per_mille);
    let told = TestRunner::new(config).run(&story, |(story, seed, per_mille)| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let books = runtime.block_on(play(story, Faults { seed, per_mille }));
        seen.lock().unwrap().extend(books.statuses());
        Ok(())
    });
    told.unwrap_or_else(|error| panic!("{error}"));
    let seen = seen.into_inner().unwrap();
    for status in STATUSES {
        assert!(
            seen.contains(status) || cases < CASES,
            "in no story an order is {status}: they prove little"
        );
    }
}

async fn play(story: Story, faults: Faults) -> Books {
    let shop = Arc::new(Shop::new().await);
    for (product, amount, stock) in PRODUCTS {
        shop.sell(product, amount, stock).await;
    }
    shop.database.faults(Some(faults));
    for at_once in story {
        let mut actions = JoinSet::new();
        for action in at_once {
            let shop = Arc::clone(&shop);
            actions.spawn(async move { action.run(&shop).await });
        }
        while let Some(done) = actions.join_next().await {
            // With its own message.
            done.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        }
    }
    shop.settle().await;
    let books = Books::read(&shop).await;
    books.check(&shop.told.lock().unwrap());
    books
}

#[test]
fn whatever_happens_at_once_nothing_is_lost_doubled_or_oversold() {
    tell(Just(0));
}

#[test]
fn whatever_the_database_does_nothing_is_lost_doubled_or_oversold() {
    tell(50..300_u16);
}
