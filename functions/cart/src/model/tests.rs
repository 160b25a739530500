//! What is a product id, what fits into a cart, and what a sum may be.

use std::collections::{BTreeMap, HashMap};

use shared::money::Money;

use super::*;

fn id(id: &str) -> Result<ProductId, &'static str> {
    id.to_owned().try_into()
}

fn product(name: &str, amount: u64, currency: &str) -> Product {
    Product {
        id: id(name).unwrap(),
        name: name.to_owned().try_into().unwrap(),
        description: None,
        price: Money::new(amount, currency.parse().unwrap()),
        category: None,
        image_url: None,
        stock: 10,
        version: 1,
        retired_at: None,
    }
}

fn cart(lines: &[(&Product, u32)]) -> Cart {
    let line =
        |(product, quantity): &(&Product, u32)| (product.id.clone(), CartLine::new(product, *quantity));
    Cart { version: 1, lines: lines.iter().map(line).collect() }
}

fn catalogue(products: &[&Product]) -> HashMap<ProductId, Product> {
    products.iter().map(|product| (product.id.clone(), (*product).clone())).collect()
}

fn quantities(cart: &Cart) -> BTreeMap<&str, u32> {
    cart.lines.iter().map(|(id, line)| (id.as_str(), line.quantity)).collect()
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
fn categories_and_images() {
    for good in ["a", "-", "green-tea-2", &"a".repeat(50)] {
        Category::try_from(good.to_owned()).unwrap();
    }
    for bad in ["", "A", "a_b", "a b", "a#b", "a/b", "ä", &"a".repeat(51)] {
        Category::try_from(bad.to_owned()).unwrap_err();
    }
    let long = |length: usize| format!("https://a/{}", "x".repeat(length - 10));
    for good in
        ["https://shop.example", "https://a:8443/b/c.jpg?d=e&f=%20", "https://[2001:db8::1]/a", &long(2000)]
    {
        ImageUrl::try_from(good.to_owned()).unwrap();
    }
    for bad in [
        "",
        "https://",
        "https:///a",
        "https:a",
        "http://a/b",
        "ftp://a/b",
        "//a/b",
        "a/b",
        "data:image/png;base64,AAAA",
        "javascript:alert(1)",
        "https://a/b c",
        "https://a/b#c",
        "https://a/\"><script>",
        "https://ä/",
        "https://user:secret@a/",
        " https://a",
        "https://a\n",
        &long(2001),
    ] {
        ImageUrl::try_from(bad.to_owned()).unwrap_err();
    }
}

#[test]
fn a_sum_that_no_number_holds_is_an_error_not_a_small_number() {
    let product = product("tea", u64::MAX / 2, "EUR");
    let products = catalogue(&[&product]);
    cart(&[(&product, 2)]).priced(&products).unwrap();
    assert_eq!(cart(&[(&product, 3)]).priced(&products), Err(Overflow));
}

#[test]
fn a_merge_adds_up_to_the_limit_and_keeps_what_the_owner_saw() {
    let (tea, cup, pot) = (product("tea", 450, "EUR"), product("cup", 900, "EUR"), product("pot", 1, "EUR"));
    let cheaper = Product { price: Money::new(400, tea.price.currency), ..tea.clone() };
    let mut own = cart(&[(&cheaper, 60), (&cup, 1)]);
    own.merge(&cart(&[(&tea, 60), (&pot, 7)]), &catalogue(&[&tea, &cup, &pot])).unwrap();
    assert_eq!(quantities(&own), BTreeMap::from([("tea", 99), ("cup", 1), ("pot", 7)]));
    assert_eq!(own.lines[&tea.id].price.amount, 400);
}

#[test]
fn a_merge_that_does_not_fit_changes_nothing() {
    let products: Vec<Product> = (0..=MAX_LINES).map(|n| product(&format!("p-{n}"), 1, "EUR")).collect();
    let lines: Vec<(&Product, u32)> = products.iter().map(|product| (product, 1)).collect();
    let known = catalogue(&products.iter().collect::<Vec<_>>());
    let before = cart(&lines[..30]);
    let mut own = before.clone();
    assert_eq!(own.merge(&cart(&lines[20..]), &known), Err(Refused::Full));
    assert_eq!(own, before);
    own.merge(&cart(&lines[20..MAX_LINES]), &known).unwrap();
    assert_eq!(own.lines.len(), MAX_LINES);
}

#[test]
fn the_currency_of_a_cart_is_that_of_what_is_sold() {
    let (tea, cup) = (product("tea", 450, "EUR"), product("cup", 900, "USD"));
    let before = cart(&[(&tea, 1)]);
    let mut own = before.clone();
    assert_eq!(own.merge(&cart(&[(&cup, 1)]), &catalogue(&[&tea, &cup])), Err(Refused::OtherCurrency));
    assert_eq!(own, before);
    let retired = Product { retired_at: Some(jiff::Timestamp::UNIX_EPOCH), ..tea.clone() };
    own.merge(&cart(&[(&cup, 1)]), &catalogue(&[&retired, &cup])).unwrap();
    assert_eq!(quantities(&own), BTreeMap::from([("tea", 1), ("cup", 1)]), "no line is lost");
    let mut own = before;
    own.set(&cup, 1.try_into().unwrap(), &catalogue(&[&retired])).unwrap();
}

#[test]
fn a_token_of_a_cart_is_22_characters_and_every_other_text_is_none() {
    let token = CartToken::new([0xfb; 16]);
    let text = token.encode();
    assert_eq!((text.len(), token.hash().as_str().len()), (22, 64));
    assert_eq!(CartToken::parse(&text).unwrap().hash(), token.hash());
    let mut bits = text.clone();
    bits.replace_range(21.., "x"); // The last character has four bits to spare, which must be zero.
    for bad in
        ["", "a", &text[1..], &format!("{text}="), &format!("{text} "), &format!("{text}A"), &bits, "ä"]
    {
        assert!(CartToken::parse(bad).is_none(), "{bad}");
    }
}
