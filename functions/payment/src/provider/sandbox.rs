//! The built-in provider: test cards, as payment sandboxes have them, and a book of its own.
//!
//! | token | card number | what happens |
//! |---|---|---|
//! | `pm_card_visa` | 4242 4242 4242 4242 | succeeds |
//! | `pm_card_mastercard` | 5555 5555 5555 4444 | succeeds |
//! | `pm_card_declined` | 4000 0000 0000 0002 | declined |
//! | `pm_card_insufficient_funds` | 4000 0000 0000 9995 | declined |
//! | `pm_card_timeout` | 4000 0000 0000 0408 | charged, but the first answer is lost |
//!
//! Only these exact numbers are understood, and turned into tokens here and nowhere else; a real card number is an
//! unknown token. The book is in Payment's table, so that all instances of the function share it:
//!
//! | item | pk | sk |
//! |---|---|---|
//! | one entry per idempotency key | `TESTPROVIDER#<idempotency key>` | `CHARGE` |

use serde::{Deserialize, Serialize};
use shared::db::{DbError, Key, Table, to_item};
use shared::money::Money;

use super::{Answer, Charge, ChargeRequest, PaymentProvider, ProviderError};
use crate::model::{DeclineReason, MethodToken, PaymentMethod};

/// A provider that charges nobody.
#[derive(Debug, Clone)]
pub struct TestProvider {
    table: Table,
}

struct Card {
    token: &'static str,
    number: &'static str,
    brand: &'static str,
    declines: Option<DeclineReason>,
    loses_first_answer: bool,
}

const fn card(token: &'static str, number: &'static str, brand: &'static str) -> Card {
    Card { token, number, brand, declines: None, loses_first_answer: false }
}

const CARDS: [Card; 5] = [
    card("pm_card_visa", "4242424242424242", "visa"),
    card("pm_card_mastercard", "5555555555554444", "mastercard"),
    Card {
        declines: Some(DeclineReason::CardDeclined),
        ..card("pm_card_declined", "4000000000000002", "visa")
    },
    Card {
        declines: Some(DeclineReason::InsufficientFunds),
        ..card("pm_card_insufficient_funds", "4000000000009995", "visa")
    },
    Card { loses_first_answer: true, ..card("pm_card_timeout", "4000000000000408", "visa") },
];

/// What was asked under an idempotency key, and what came of it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    amount: Money,
    method: MethodToken,
    declined: Option<DeclineReason>,
}

#[derive(Debug, thiserror::Error)]
enum Mistake {
    #[error("this idempotency key was used for another charge")]
    KeyReused,
    #[error("there is no such payment method")]
    NoSuchMethod,
    #[error("the answer got lost, as this card's answers do")]
    AnswerLost,
}

impl TestProvider {
    /// The provider that keeps its book in `table`.
    pub fn new(table: Table) -> Self {
        Self { table }
    }

    /// The test card that a token or a card number names.
    pub fn card(name: &str) -> Option<PaymentMethod> {
        let card = CARDS.iter().find(|card| card.token == name || card.number == name)?;
        Some(PaymentMethod {
            token: MethodToken::try_from(card.token.to_owned()).ok()?,
            brand: card.brand.to_owned(),
            last4: card.number[card.number.len() - 4..].to_owned(),
        })
    }

    async fn book(&self, request: &ChargeRequest) -> Result<Charge, ProviderError> {
        let card = CARDS
            .iter()
            .find(|card| card.token == request.method.as_str())
            .ok_or_else(|| ProviderError::Refused(Mistake::NoSuchMethod.into()))?;
        let entry = Entry { amount: request.amount, method: request.method.clone(), declined: card.declines };
        let entry = match self.enter(request, &entry).await {
            Ok(()) if card.loses_first_answer => {
                return Err(ProviderError::Unknown(Mistake::AnswerLost.into()));
            }
            Ok(()) => entry,
            Err(DbError::ConditionFailed) => {
                let first: Option<Entry> = self.table.get(&key(request)).await.map_err(unknown)?;
                first
                    .filter(|first| (first.amount, &first.method) == (entry.amount, &entry.method))
                    .ok_or_else(|| ProviderError::Refused(Mistake::KeyReused.into()))?
            }
            Err(error) => return Err(unknown(error)),
        };
        match entry.declined {
            Some(reason) => Err(ProviderError::Declined(reason)),
            None => Ok(Charge { id: format!("ch_test_{}", request.idempotency_key.simple()) }),
        }
    }

    /// Writes the entry unless the key has one: however many ask at once, one of them writes.
    async fn enter(&self, request: &ChargeRequest, entry: &Entry) -> Result<(), DbError> {
        let item = to_item(&key(request), entry)?;
        let put = self.table.client().put_item().table_name(self.table.name()).set_item(Some(item));
        put.condition_expression("attribute_not_exists(pk)").send().await?;
        Ok(())
    }
}

impl PaymentProvider for TestProvider {
    fn method<'a>(&'a self, token: &'a MethodToken) -> Answer<'a, Option<PaymentMethod>> {
        Box::pin(async { Ok(Self::card(token.as_str())) })
    }

    fn charge<'a>(&'a self, request: &'a ChargeRequest) -> Answer<'a, Charge> {
        Box::pin(self.book(request))
    }
}

fn key(request: &ChargeRequest) -> Key {
    Key::new(format!("TESTPROVIDER#{}", request.idempotency_key), "CHARGE")
}

fn unknown(error: DbError) -> ProviderError {
    ProviderError::Unknown(error.into())
}

#[cfg(test)]
mod tests {
    use shared::testing::Database;
    use uuid::Uuid;

    use super::*;

    fn request(key: u128, method: &str, amount: u64) -> ChargeRequest {
        ChargeRequest {
            idempotency_key: Uuid::from_u128(key),
            amount: Money::new(amount, "EUR".parse().unwrap()),
            method: method.to_owned().try_into().unwrap(),
            user_id: Uuid::from_u128(1),
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
}
