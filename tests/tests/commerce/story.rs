//! What may happen in a shop, at random.

use proptest::prelude::*;

/// How many customers there are.
pub(crate) const CUSTOMERS: u8 = 3;

/// The products: what they are called and cost, and how many there are. Few, so that customers are in each other's way.
pub(crate) const PRODUCTS: [(&str, u64, u32); 3] = [("cup", 1299, 5), ("pot", 4950, 10), ("tea", 450, 60)];

/// Cards of the built-in provider's.
pub(crate) const CARDS: [&str; 4] =
    ["pm_card_visa", "pm_card_declined", "pm_card_insufficient_funds", "pm_card_timeout"];

/// One thing that somebody does. Where it is about an order, it is about one of those that were placed by then.
#[derive(Debug, Clone)]
pub(crate) enum Action {
    Put {
        customer: u8,
        product: usize,
        quantity: u32,
    },
    Remove {
        customer: u8,
        product: usize,
    },
    Empty {
        customer: u8,
    },
    /// Fills a cart before the login, and merges it into the customer's.
    Merge {
        customer: u8,
        product: usize,
        quantity: u32,
    },
    Checkout {
        customer: u8,
        key: Option<u8>,
    },
    /// Puts something into the cart, checks out, pays.
    Buy {
        customer: u8,
        product: usize,
        quantity: u32,
        card: usize,
    },
    /// Without an order: the newest one.
    Pay {
        customer: u8,
        order: Option<usize>,
        card: usize,
        key: Option<u8>,
    },
    Cancel {
        order: usize,
        by_admin: bool,
    },
    /// The next steps of the shop's.
    Fulfil {
        order: usize,
        steps: u32,
    },
    /// Of so many percent of the total.
    Refund {
        order: usize,
        percent: u64,
        key: Option<u8>,
    },
    Reprice {
        product: usize,
        amount: u64,
    },
    Retire {
        product: usize,
    },
    Look {
        customer: u8,
        order: usize,
    },
    Wait {
        seconds: i64,
    },
    Expire,
    Reconcile,
    /// The provider sends one of its events, maybe not for the first time.
    Webhook {
        event: usize,
    },
}

/// What happens at once, again and again.
pub(crate) type Story = Vec<Vec<Action>>;

pub(crate) fn story() -> impl Strategy<Value = Story> {
    prop::collection::vec(prop::collection::vec(action(), 1..6), 5..12)
}

fn key() -> impl Strategy<Value = Option<u8>> {
    prop_oneof![2 => Just(None), 3 => (0..3_u8).prop_map(Some)]
}

fn card() -> impl Strategy<Value = usize> {
    prop_oneof![5 => Just(0_usize), 3 => 0..CARDS.len()]
}

fn quantity() -> impl Strategy<Value = u32> {
    prop_oneof![20 => 1..=4_u32, 1 => Just(99)]
}

fn action() -> impl Strategy<Value = Action> {
    let (customer, product, order) = (0..CUSTOMERS, 0..PRODUCTS.len(), 0..20_usize);
    prop_oneof![
        12 => (customer.clone(), product.clone(), quantity(), card())
            .prop_map(|(customer, product, quantity, card)| Action::Buy { customer, product, quantity, card }),
        4 => (customer.clone(), product.clone(), quantity())
            .prop_map(|(customer, product, quantity)| Action::Put { customer, product, quantity }),
        1 => (customer.clone(), product.clone())
            .prop_map(|(customer, product)| Action::Remove { customer, product }),
        1 => customer.clone().prop_map(|customer| Action::Empty { customer }),
        2 => (customer.clone(), product.clone(), quantity())
            .prop_map(|(customer, product, quantity)| Action::Merge { customer, product, quantity }),
        5 => (customer.clone(), key()).prop_map(|(customer, key)| Action::Checkout { customer, key }),
        6 => (customer.clone(), prop::option::of(order.clone()), card(), key())
            .prop_map(|(customer, order, card, key)| Action::Pay { customer, order, card, key }),
        5 => (order.clone(), any::<bool>()).prop_map(|(order, by_admin)| Action::Cancel { order, by_admin }),
        12 => (order.clone(), 1..=3_u32).prop_map(|(order, steps)| Action::Fulfil { order, steps }),
        10 => (order.clone(), prop_oneof![Just(100_u64), 1..=110_u64], key())
            .prop_map(|(order, percent, key)| Action::Refund { order, percent, key }),
        2 => (product.clone(), 1..10_000_u64).prop_map(|(product, amount)| Action::Reprice { product, amount }),
        1 => product.prop_map(|product| Action::Retire { product }),
        1 => (customer, order).prop_map(|(customer, order)| Action::Look { customer, order }),
        3 => prop_oneof![2 => 1..20_i64, 1 => 1000..2400_i64].prop_map(|seconds| Action::Wait { seconds }),
        3 => Just(Action::Expire),
        3 => Just(Action::Reconcile),
        6 => (0..8_usize).prop_map(|event| Action::Webhook { event }),
    ]
}
