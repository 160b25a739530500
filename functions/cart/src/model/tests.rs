//! What is a product id, and what a sum may be.

use super::*;

fn id(id: &str) -> Result<ProductId, &'static str> {
    id.to_owned().try_into()
}

#[test]
fn product_ids() {
    for good in ["a", "0", "green-tea-2", "a-", &"a".repeat(64)] {
        id(good).unwrap();
    }
    for bad in ["", "-a", "A", "a_b", "a b", "a#b", "ä", &"a".repeat(65)] {
        id(bad).unwrap_err();
    }
}

#[test]
fn a_sum_that_no_number_holds_is_an_error_not_a_small_number() {
    let product = Product {
        id: id("tea").unwrap(),
        name: "Tea".to_owned().try_into().unwrap(),
        description: None,
        price: Money::new(u64::MAX / 2, "EUR".parse().unwrap()),
        stock: 10,
    };
    let cart = |quantity| Cart { version: 1, lines: BTreeMap::from([(product.id.clone(), quantity)]) };
    let products = HashMap::from([(product.id.clone(), product.clone())]);
    cart(2).priced(&products).unwrap();
    assert_eq!(cart(3).priced(&products), Err(Overflow));
}
