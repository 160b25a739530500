use jiff::Timestamp;
use shared::testing::Database;
use uuid::Uuid;

use super::*;

fn request(key: u128, method: &str, amount: u64) -> ChargeRequest {
    ChargeRequest {
        idempotency_key: Uuid::from_u128(key),
        amount: Money::new(amount, "EUR".parse().unwrap()),
        method: method.to_owned().try_into().unwrap(),
        user_id: Uuid::from_u128(1),
        order_id: Uuid::from_u128(2),
        created_at: Timestamp::UNIX_EPOCH,
        is_repeated: false,
    }
}

fn refund(key: u128, charge: &Charge, amount: u64) -> RefundRequest {
    RefundRequest {
        idempotency_key: Uuid::from_u128(key),
        charge_id: charge.id.clone(),
        amount: Money::new(amount, "EUR".parse().unwrap()),
        payment_id: Uuid::from_u128(1),
        is_repeated: false,
    }
}

async fn provider() -> (TestProvider, Database) {
    let database = Database::new(&["PaymentTable"]).await;
    (TestProvider::new(database.table("PaymentTable")), database)
}

#[tokio::test]
async fn one_key_is_one_charge_and_never_another() {
    let (provider, database) = provider().await;
    let first = provider.charge(&request(1, "pm_card_visa", 500)).await.unwrap();
    let again = provider.charge(&request(1, "pm_card_visa", 500)).await.unwrap();
    assert_eq!(first, again);
    for other in [request(1, "pm_card_visa", 501), request(1, "pm_card_mastercard", 500)] {
        let error = provider.charge(&other).await.unwrap_err();
        assert!(matches!(error, ProviderError::Refused(_)), "{error:?}");
    }
    let book: Vec<Entry> = database.items("PaymentTable").await;
    assert_eq!(book.len(), 1);
    assert_eq!(book[0].amount.amount, 500);
}

#[tokio::test]
async fn a_decline_stays_a_decline() {
    let (provider, _database) = provider().await;
    for (card, expected) in [
        ("pm_card_declined", DeclineReason::CardDeclined),
        ("pm_card_insufficient_funds", DeclineReason::InsufficientFunds),
    ] {
        let request = request(expected as u128, card, 500);
        for _ in 0..2 {
            let error = provider.charge(&request).await.unwrap_err();
            assert!(matches!(error, ProviderError::Declined(reason) if reason == expected), "{error:?}");
        }
    }
}

#[tokio::test]
async fn a_lost_answer_is_told_when_asked_again() {
    let (provider, _database) = provider().await;
    let request = request(1, "pm_card_timeout", 500);
    let error = provider.charge(&request).await.unwrap_err();
    assert!(matches!(error, ProviderError::Unknown(_)), "{error:?}");
    provider.charge(&request).await.unwrap();
}

#[test]
fn a_card_number_becomes_a_token_and_a_real_one_is_unknown() {
    let visa = TestProvider::card("4242424242424242").unwrap();
    assert_eq!(visa, TestProvider::card("pm_card_visa").unwrap());
    assert_eq!((visa.token.as_str(), visa.last4.as_str()), ("pm_card_visa", "4242"));
    for unknown in ["4111111111111111", "pm_card_visa ", "pm_card", "4242 4242 4242 4242"] {
        assert_eq!(TestProvider::card(unknown), None);
    }
}

#[tokio::test]
async fn one_key_is_one_refund_and_all_together_are_at_most_the_charge() {
    let (provider, _database) = provider().await;
    let charge = provider.charge(&request(1, "pm_card_visa", 500)).await.unwrap();
    let first = provider.refund(&refund(2, &charge, 300)).await.unwrap();
    assert_eq!(provider.refund(&refund(2, &charge, 300)).await.unwrap(), first);
    for wrong in
        [refund(2, &charge, 200), refund(3, &charge, 201), refund(4, &Charge { id: "x".to_owned() }, 1)]
    {
        let error = provider.refund(&wrong).await.unwrap_err();
        assert!(matches!(error, ProviderError::Refused(_)), "{error:?}");
    }
    let (one, two) = (refund(5, &charge, 200), refund(6, &charge, 200));
    let (one, two) = tokio::join!(provider.refund(&one), provider.refund(&two));
    assert_eq!(u32::from(one.is_ok()) + u32::from(two.is_ok()), 1);
}

#[tokio::test]
async fn a_card_may_not_take_a_refund() {
    let (provider, _database) = provider().await;
    let charge = provider.charge(&request(1, "pm_card_refund_fail", 500)).await.unwrap();
    for _ in 0..2 {
        let outcome = provider.refund(&refund(2, &charge, 500)).await.unwrap();
        assert_eq!(outcome, RefundOutcome::Failed(RefundFailure::Rejected));
    }
}
