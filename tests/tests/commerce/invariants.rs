//! Random stories of a shop, of which none may lose, double or oversell anything.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestRunner};
use shared::config::Env;
use shared::testing::Faults;
use tokio::task::JoinSet;

use crate::action::{Action, PRODUCTS, action};
use crate::books::Books;
use crate::shop::Shop;

/// How many stories are told of each kind, where nobody says.
const CASES: u32 = 24;

/// What happens at once, again and again.
type Story = Vec<Vec<Action>>;

fn story() -> impl Strategy<Value = Story> {
    prop::collection::vec(prop::collection::vec(action(), 1..6), 4..12)
}

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

/// Tells stories; with `faults`, in a DynamoDB that fails.
fn tell(per_mille: impl Strategy<Value = u16>) {
    let story = (story(), any::<u64>(), per_mille);
    let told = TestRunner::new(config()).run(&story, |(story, seed, per_mille)| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(play(story, Faults { seed, per_mille }));
        Ok(())
    });
    told.unwrap_or_else(|error| panic!("{error}"));
}

async fn play(story: Story, faults: Faults) {
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
            done.unwrap();
        }
    }
    shop.settle().await;
    Books::read(&shop).await.check(&shop.told.lock().unwrap());
}

#[test]
fn whatever_happens_at_once_nothing_is_lost_doubled_or_oversold() {
    tell(Just(0));
}

#[test]
fn whatever_the_database_does_nothing_is_lost_doubled_or_oversold() {
    tell(50..300_u16);
}
