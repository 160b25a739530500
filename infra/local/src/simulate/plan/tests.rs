use std::collections::{BTreeMap, BTreeSet};

use super::*;

const NOW: Timestamp = Timestamp::constant(1_795_400_000, 0);

fn products() -> Vec<Product> {
    let product = |number: usize| Product {
        id: format!("p{number}"),
        name: format!("Nice Thing {number}"),
        available: number != 3,
    };
    (0..8).map(product).collect()
}

fn options(users: u16) -> Options {
    Options { users, days: 30, seed: 1 }
}

fn events(shoppers: &[Shopper]) -> impl Iterator<Item = &Event> {
    shoppers.iter().flat_map(|shopper| {
        shopper.visits.iter().flatten().chain(shopper.account.iter().flat_map(|account| &account.visit))
    })
}

#[test]
fn the_same_seed_at_the_same_time_plans_the_same() {
    assert_eq!(plan(&options(50), NOW, &products()), plan(&options(50), NOW, &products()));
    let other = Options { seed: 2, ..options(50) };
    assert_ne!(plan(&options(50), NOW, &products()), plan(&other, NOW, &products()));
}

#[test]
fn two_runs_have_no_user_browser_or_event_in_common() {
    let (one, two) = (
        plan(&options(200), NOW, &products()),
        plan(&options(200), NOW + SignedDuration::from_millis(1), &products()),
    );
    let identities = |shoppers: &[Shopper]| -> Vec<String> {
        let names = shoppers.iter().flat_map(|shopper| {
            let name = shopper.account.as_ref().map(|account| account.username.clone());
            [Some(shopper.anonymous_id.clone()), name].into_iter().flatten()
        });
        names.chain(events(shoppers).map(|event| event.id.to_string())).collect()
    };
    let all = [identities(&one), identities(&two)].concat();
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
}

#[test]
fn there_are_as_many_shoppers_as_asked_and_only_some_have_an_account() {
    for users in [1, 7, 200, 2000] {
        let shoppers = plan(&options(users), NOW, &products());
        assert_eq!(shoppers.len(), usize::from(users));
        let accounts = shoppers.iter().filter_map(|shopper| shopper.account.as_ref());
        let names: Vec<_> = accounts.map(|account| account.username.clone()).collect();
        assert!((1..=MOST_REGISTERED).contains(&names.len()), "{}", names.len());
        for name in names {
            user::model::Username::try_from(name.clone()).expect(&name);
        }
    }
}

#[test]
fn visits_are_spread_over_all_days_more_by_day_than_by_night_and_grow() {
    let shoppers = plan(&options(2000), NOW, &products());
    let mut days: BTreeMap<i64, usize> = BTreeMap::new();
    let (mut night, mut evening) = (0, 0);
    for visit in shoppers.iter().flat_map(|shopper| &shopper.visits) {
        *days.entry((NOW.as_second() - visit[0].at.as_second()) / 86_400).or_default() += 1;
        match visit[0].at.to_zoned(TimeZone::UTC).hour() {
            1..=4 => night += 1,
            18..=21 => evening += 1,
            _ => {}
        }
    }
    assert_eq!(days.keys().copied().collect::<Vec<_>>(), (0..30).collect::<Vec<_>>());
    assert!(evening > 5 * night, "{evening} and {night}");
    let week = |first: i64| (first..first + 7).map(|day| days[&day]).sum::<usize>();
    assert!(week(0) > week(23) * 3 / 2, "{days:?}");
}

#[test]
fn some_return_and_some_do_not() {
    let shoppers = plan(&options(500), NOW, &products());
    let returned = shoppers.iter().filter(|shopper| shopper.visits.len() > 1).count();
    assert!((100..450).contains(&returned), "{returned}");
}

#[test]
fn every_event_is_one_that_analytics_takes() {
    let shoppers = plan(&options(500), NOW, &products());
    let oldest = NOW - SignedDuration::from_hours(24 * 30);
    for event in events(&shoppers) {
        assert!(event.at >= oldest && event.at <= NOW, "{event:?}");
        assert!(
            ["page_view", "product_view", "add_to_cart", "search", "checkout_started"].contains(&event.name),
            "{event:?}"
        );
        let about_product = ["product_view", "add_to_cart"].contains(&event.name);
        let product = event.properties.get("product_id").and_then(Value::as_str);
        assert_eq!(product.is_some(), about_product, "{event:?}");
        if let Some(product) = product {
            cart::model::ProductId::try_from(product.to_owned()).unwrap();
        }
        assert_eq!(event.body("a")["at"], event.at.to_string());
    }
    let names: BTreeSet<_> = events(&shoppers).map(|event| event.name).collect();
    assert_eq!(names.len(), 5, "{names:?}");
}

#[test]
fn few_products_are_looked_at_often_and_what_is_sold_out_is_not_ordered() {
    let shoppers = plan(&options(1000), NOW, &products());
    let mut views: BTreeMap<&str, usize> = BTreeMap::new();
    for event in events(&shoppers).filter(|event| event.name == "product_view") {
        *views.entry(event.properties["product_id"].as_str().unwrap()).or_default() += 1;
    }
    let (most, least) = (views.values().max().unwrap(), views.values().min().unwrap());
    assert!(views.len() == 8 && *most > 4 * least, "{views:?}");
    let purchases = shoppers.iter().filter_map(|shopper| shopper.account.as_ref()?.purchase.as_ref());
    let purchases: Vec<_> = purchases.collect();
    assert!(purchases.len() > 30 && purchases.iter().any(|purchase| purchase.ending != Ending::Paid));
    assert!(purchases.iter().flat_map(|purchase| &purchase.lines).all(|(product, _)| product != "p3"));
}

#[test]
fn a_shop_without_products_has_visitors_who_buy_nothing() {
    let shoppers = plan(&options(100), NOW, &[]);
    assert!(events(&shoppers).count() > 100);
    assert!(
        shoppers
            .iter()
            .all(|shopper| shopper.account.as_ref().is_none_or(|account| account.purchase.is_none()))
    );
}
