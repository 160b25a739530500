//! What a cart becomes, and how an order travels.

use cart::model::CartLine;

use super::*;

fn now() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

fn product(id: &str, amount: u64, currency: &str) -> Product {
    Product {
        id: id.to_owned().try_into().unwrap(),
        name: id.to_owned().try_into().unwrap(),
        description: None,
        price: Money::new(amount, currency.parse().unwrap()),
        category: None,
        image_url: None,
        stock: 99,
        version: 1,
        retired_at: None,
    }
}

fn place(products: &[Product]) -> Result<Order, Unplaceable> {
    let line = |product: &Product| (product.id.clone(), CartLine::new(product, 3));
    let cart = Cart { version: 1, lines: products.iter().map(line).collect() };
    let products = products.iter().map(|product| (product.id.clone(), product.clone())).collect();
    Order::place(Uuid::nil(), Uuid::nil(), &cart, &products, None, now(), now())
}

#[test]
fn sums_are_checked() {
    let order = place(&[product("cup", 100, "EUR"), product("tea", 7, "EUR")]).unwrap();
    assert_eq!(order.total.amount, 321);
    let half = u64::MAX / 6 + 1;
    for products in [
        vec![product("tea", u64::MAX / 2, "EUR")],
        vec![product("cup", half, "EUR"), product("tea", half, "EUR")],
    ] {
        assert_eq!(place(&products), Err(Unplaceable::Overflow));
    }
    let mixed = [product("cup", 1, "EUR"), product("tea", 1, "USD")];
    assert_eq!(place(&mixed), Err(Unplaceable::MixedCurrencies));
    assert_eq!(place(&[]), Err(Unplaceable::Empty));
}

#[test]
fn estimates_are_days_or_times() {
    let read = |text: &str| serde_json::from_value::<Estimate>(text.into());
    for (text, written) in [
        ("2026-01-31", "2026-01-31"),
        ("2026-01-31T12:00:00Z", "2026-01-31T12:00:00Z"),
        ("2026-01-31T12:00:00+02:00", "2026-01-31T10:00:00Z"),
    ] {
        assert_eq!(serde_json::to_value(read(text).unwrap()).unwrap(), written);
    }
    for bad in ["", "soon", "2026-02-30", "2026-01-31T12:00:00", "31.01.2026", "2026-01-31T25:00:00Z"] {
        read(bad).unwrap_err();
    }
}
