use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn payment(in_flight_since: Timestamp) -> Payment {
    Payment {
        id: Uuid::from_u128(1),
        user_id: Uuid::from_u128(2),
        order_id: Uuid::from_u128(3),
        amount: Money::new(1999, "EUR".parse().unwrap()),
        method: PaymentMethod {
            token: "pm_card_visa".to_owned().try_into().unwrap(),
            brand: "visa".to_owned(),
            last4: "4242".to_owned(),
        },
        save_method: false,
        created_at: in_flight_since,
        refunded: 0,
        refund_reserved: 0,
        trace: None,
        progress: Progress::Processing { in_flight_since },
    }
}

#[test]
fn a_lease_ends_and_a_final_payment_has_none() {
    let begun = at("2026-01-01T00:00:00Z");
    let payment = payment(begun);
    assert_eq!(payment.lease_left(begun), 15);
    assert_eq!(payment.lease_left(at("2026-01-01T00:00:14.999Z")), 1);
    assert_eq!(payment.lease_left(at("2026-01-01T00:00:15Z")), 0);
    assert_eq!(payment.lease_left(at("2026-01-02T00:00:00Z")), 0);
    let paid = payment.finished(Outcome::Charged("ch_1".to_owned()), begun);
    assert_eq!(paid.lease_left(begun), 0);
}

#[test]
fn times_in_flight_sort_as_text() {
    let times = ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.5Z", "2026-01-01T00:00:01Z"];
    let texts: Vec<String> = times.iter().map(|time| sortable::text(at(time))).collect();
    assert!(texts.is_sorted(), "{texts:?}");
    assert_eq!(texts[0], "2026-01-01T00:00:00.000Z");
}

#[test]
fn a_method_that_a_client_typed_is_never_printed() {
    let token = MethodToken::try_from("4111111111111111".to_owned()).unwrap();
    assert!(!format!("{token:?}").contains("4111"));
    for bad in [String::new(), "x".repeat(65), "pm card".to_owned(), "pm_é".to_owned(), "a\nb".to_owned()] {
        MethodToken::try_from(bad).unwrap_err();
    }
}
