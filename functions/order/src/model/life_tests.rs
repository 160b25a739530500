//! The rules that an order lives by.

use serde_json::json;

use super::*;

const STATUSES: [Status; 8] = [
    Status::PendingPayment,
    Status::Paid,
    Status::Packed,
    Status::Shipped,
    Status::Delivered,
    Status::Cancelled,
    Status::Expired,
    Status::Refunded,
];

const TRANSITIONS: [Transition; 8] = [
    Transition::Pay,
    Transition::Cancel,
    Transition::Expire,
    Transition::Pack,
    Transition::Ship,
    Transition::Deliver,
    Transition::PartialRefund,
    Transition::Refund,
];

fn now() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

fn act() -> Act {
    let reason = "because".to_owned().try_into().unwrap();
    Act { by: Actor::Admin, by_id: Some(Uuid::from_u128(9)), at: now(), reason: Some(reason) }
}

fn money(amount: u64) -> Money {
    Money::new(amount, "EUR".parse().unwrap())
}

/// An order of 10 EUR in this state, paid or not.
fn order(status: Status, paid: bool) -> Order {
    let mut order: Order = serde_json::from_value(json!({
        "id": Uuid::nil(), "user_id": Uuid::nil(), "status": status, "lines": [], "total": money(1000),
        "created_at": now(), "pay_until": now(),
        "history": [{"status": "PENDING_PAYMENT", "at": now(), "by": "customer"}],
    }))
    .unwrap();
    order.payment_id = paid.then(|| Uuid::from_u128(5));
    order
}

fn refund_of(amount: Money) -> Refunded {
    let Act { by, by_id, reason, .. } = act();
    Refunded { refund_id: Uuid::from_u128(6), amount, by, by_id, reason }
}

fn refund(order: &Order, amount: u64) -> Result<Order, Illegal> {
    order.clone().refunded(&refund_of(money(amount)), now())
}

/// Written down from the issue, state by state, and not from the code.
fn legal(from: Status, paid: bool) -> Vec<(Transition, Status)> {
    use Transition::{Cancel, Deliver, Expire, Pack, PartialRefund, Pay, Refund, Ship};
    let refunds = [(PartialRefund, from), (Refund, Status::Refunded)];
    let forward = match from {
        Status::PendingPayment if paid => vec![(Pay, Status::Paid)],
        Status::PendingPayment => {
            vec![(Pay, Status::Paid), (Cancel, Status::Cancelled), (Expire, Status::Expired)]
        }
        Status::Paid => vec![(Cancel, Status::Cancelled), (Pack, Status::Packed)],
        Status::Packed => vec![(Ship, Status::Shipped)],
        Status::Shipped => vec![(Deliver, Status::Delivered)],
        Status::Delivered | Status::Cancelled => vec![],
        Status::Expired | Status::Refunded => return vec![],
    };
    let refundable = paid && from != Status::PendingPayment;
    forward.into_iter().chain(refunds.into_iter().filter(|_| refundable)).collect()
}

#[test]
fn these_moves_are_legal_and_no_others() {
    // The other combinations do not come about: nothing gets behind PAID without a payment, or expires with one.
    let paid_or_not = |status| match status {
        Status::PendingPayment | Status::Cancelled => vec![false, true],
        Status::Expired => vec![false],
        _ => vec![true],
    };
    for from in STATUSES {
        for paid in paid_or_not(from) {
            let legal = legal(from, paid);
            for transition in TRANSITIONS {
                let to = legal.iter().find(|(move_, _)| *move_ == transition).map(|(_, to)| *to);
                match (order(from, paid).moved(transition, act()), to) {
                    (Ok(moved), Some(to)) => {
                        assert_eq!(moved.status, to, "{from} {transition:?}");
                        assert_eq!(moved.history.last(), Some(&act().entry(to)));
                    }
                    (Err(Illegal::State { from: at, transition: asked }), None) => {
                        assert_eq!((at, asked), (from, transition));
                    }
                    (Err(Illegal::PaymentInProgress { transition: asked }), None) => {
                        assert_eq!((from, paid, asked), (Status::PendingPayment, true, transition));
                    }
                    (outcome, _) => panic!("{from} {transition:?}: {outcome:?}"),
                }
            }
        }
    }
}

#[test]
fn while_a_payment_is_under_way_only_it_moves_the_order() {
    let order = order(Status::PendingPayment, true);
    for transition in [Transition::Cancel, Transition::Expire] {
        let refused = order.clone().moved(transition, act()).unwrap_err();
        assert_eq!(refused, Illegal::PaymentInProgress { transition });
    }
    order.moved(Transition::Pay, act()).unwrap();
}

#[test]
fn refunds_add_up_to_the_total_and_never_beyond() {
    let paid = order(Status::Delivered, true);
    let first = refund(&paid, 400).unwrap();
    assert_eq!((first.status, first.refunded, first.left()), (Status::Delivered, 400, money(600)));
    let entry = first.history.last().unwrap();
    assert_eq!((entry.refund, entry.refund_id), (Some(money(400)), Some(Uuid::from_u128(6))));
    assert_eq!((entry.by, entry.by_id, &entry.reason), (Actor::Admin, act().by_id, &act().reason));

    for beyond in [601, 1000, u64::MAX, 0] {
        assert_eq!(refund(&first, beyond), Err(Illegal::Amount { left: money(600) }));
    }
    let usd = Money::new(600, "USD".parse().unwrap());
    assert_eq!(
        first.clone().refunded(&refund_of(usd), now()),
        Err(Illegal::Amount { left: money(600) }),
        "another currency"
    );
    let whole = refund(&first, 600).unwrap();
    assert_eq!((whole.status, whole.refunded), (Status::Refunded, 1000));
    assert!(matches!(refund(&whole, 1), Err(Illegal::State { from: Status::Refunded, .. })));
}

#[test]
fn what_was_never_paid_is_not_refunded() {
    for status in [Status::PendingPayment, Status::Expired, Status::Cancelled] {
        for amount in [1, 1000] {
            let refused = refund(&order(status, false), amount).unwrap_err();
            assert!(matches!(refused, Illegal::State { from, .. } if from == status), "{refused:?}");
        }
    }
    assert!(refund(&order(Status::PendingPayment, true), 1000).is_err(), "not even while it is being paid");
}

#[test]
fn a_refund_is_due_from_the_cancellation_until_all_is_paid_back() {
    let cancelled = order(Status::Paid, true).moved(Transition::Cancel, act()).unwrap();
    assert!(cancelled.refund_due());
    let partly = refund(&cancelled, 1).unwrap();
    assert!(partly.refund_due());
    assert!(!refund(&partly, 999).unwrap().refund_due());
    for other in [order(Status::Cancelled, false), order(Status::Paid, true), order(Status::Expired, false)] {
        assert!(!other.refund_due(), "{other:?}");
    }
}

#[test]
fn a_state_reads_the_same_everywhere() {
    for status in STATUSES {
        assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
    }
}
