//! The built-in provider: test cards, as payment sandboxes have them, and a book of its own.
//!
//! | token | card number | what happens |
//! |---|---|---|
//! | `pm_card_visa` | 4242 4242 4242 4242 | succeeds |
//! | `pm_card_mastercard` | 5555 5555 5555 4444 | succeeds |
//! | `pm_card_declined` | 4000 0000 0000 0002 | declined |
//! | `pm_card_insufficient_funds` | 4000 0000 0000 9995 | declined |
//! | `pm_card_timeout` | 4000 0000 0000 0408 | charged, but the first answer is lost |
//! | `pm_card_refund_fail` | 4000 0000 0000 5126 | succeeds, but takes no refund |
//!
//! Only these exact numbers are understood, and turned into tokens here and nowhere else; a real card number is an
//! unknown token. The book is in Payment's table, so that all instances of the function share it:
//!
//! | item | pk | sk |
//! |---|---|---|
//! | one charge per idempotency key | `TESTPROVIDER#<idempotency key>` | `CHARGE` |
//! | one refund per idempotency key | `TESTPROVIDER#<idempotency key>` | `REFUND` |

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};
use shared::db::{DbError, Key, Table, Transaction, TransactionError, to_item};
use shared::money::Money;
use uuid::Uuid;

use super::{Answer, Charge, ChargeRequest, PaymentProvider, ProviderError, RefundRequest};
use crate::model::{DeclineReason, MethodToken, PaymentMethod, RefundFailure, RefundOutcome};

const CHARGE: &str = "CHARGE";
const REFUND: &str = "REFUND";
const CHARGE_ID: &str = "ch_test_";

/// How often a refund is tried while others change its charge.
const ATTEMPTS: u32 = 5;

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
    takes_refunds: bool,
}

const fn card(token: &'static str, number: &'static str, brand: &'static str) -> Card {
    Card { token, number, brand, declines: None, loses_first_answer: false, takes_refunds: true }
}

const CARDS: [Card; 6] = [
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
    Card { takes_refunds: false, ..card("pm_card_refund_fail", "4000000000005126", "visa") },
];

/// What was asked under an idempotency key, and what came of it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    amount: Money,
    method: MethodToken,
    declined: Option<DeclineReason>,
    /// How much of it went back.
    #[serde(default)]
    refunded: u64,
}

/// What was asked to be paid back under an idempotency key, and what came of it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct RefundEntry {
    charge_id: String,
    amount: Money,
    failed: Option<RefundFailure>,
}

#[derive(Debug, thiserror::Error)]
enum Mistake {
    #[error("this idempotency key was used for another charge")]
    KeyReused,
    #[error("there is no such charge, or less than that is left of it")]
    NothingToRefund,
    #[error("there is no such payment method")]
    NoSuchMethod,
    #[error("the charge kept changing")]
    Contended,
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
        let entry = Entry {
            amount: request.amount,
            method: request.method.clone(),
            declined: card.declines,
            refunded: 0,
        };
        let entry = match self.enter(request, &entry).await {
            Ok(()) if card.loses_first_answer => {
                return Err(ProviderError::Unknown(Mistake::AnswerLost.into()));
            }
            Ok(()) => entry,
            Err(DbError::ConditionFailed) => {
                let first: Option<Entry> =
                    self.table.get(&entry_key(request.idempotency_key, CHARGE)).await.map_err(unknown)?;
                first
                    .filter(|first| (first.amount, &first.method) == (entry.amount, &entry.method))
                    .ok_or_else(|| ProviderError::Refused(Mistake::KeyReused.into()))?
            }
            Err(error) => return Err(unknown(error)),
        };
        match entry.declined {
            Some(reason) => Err(ProviderError::Declined(reason)),
            None => Ok(Charge { id: format!("{CHARGE_ID}{}", request.idempotency_key.simple()) }),
        }
    }

    async fn book_refund(&self, request: &RefundRequest) -> Result<RefundOutcome, ProviderError> {
        let refused = |mistake: Mistake| ProviderError::Refused(mistake.into());
        let charge_key = request.charge_id.strip_prefix(CHARGE_ID).and_then(|id| id.parse().ok());
        let charge_key = charge_key.ok_or_else(|| refused(Mistake::NothingToRefund))?;
        let key = entry_key(request.idempotency_key, REFUND);
        for _ in 0..ATTEMPTS {
            let first: Option<RefundEntry> = self.table.get(&key).await.map_err(unknown)?;
            if let Some(first) = first {
                if (&first.charge_id, first.amount) != (&request.charge_id, request.amount) {
                    return Err(refused(Mistake::KeyReused));
                }
                return Ok(match first.failed {
                    Some(failure) => RefundOutcome::Failed(failure),
                    None => RefundOutcome::Refunded(format!("re_test_{}", request.idempotency_key.simple())),
                });
            }
            let charge: Option<Entry> =
                self.table.get(&entry_key(charge_key, CHARGE)).await.map_err(unknown)?;
            let charge = charge.filter(|charge| charge.left_for(request.amount));
            let charge = charge.ok_or_else(|| refused(Mistake::NothingToRefund))?;
            self.enter_refund(request, charge_key, &charge).await.map_err(unknown)?;
        }
        Err(ProviderError::Unknown(Mistake::Contended.into()))
    }

    /// Writes the entry, and what it leaves of the charge, unless one of them has changed: then the next look tells.
    async fn enter_refund(
        &self,
        request: &RefundRequest,
        charge_key: Uuid,
        charge: &Entry,
    ) -> Result<(), DbError> {
        let card = CARDS.iter().find(|card| card.token == charge.method.as_str());
        let failed = card.is_none_or(|card| !card.takes_refunds).then_some(RefundFailure::Rejected);
        let entry = RefundEntry { charge_id: request.charge_id.clone(), amount: request.amount, failed };
        let mut transaction = Transaction::new(self.table.client());
        let key = entry_key(request.idempotency_key, REFUND);
        transaction.add(self.table.put_write(&key, &entry, "attribute_not_exists(pk)")?);
        if failed.is_none() {
            transaction.add(self.table.update_write(&entry_key(charge_key, CHARGE), |update| {
                let number = |value: u64| AttributeValue::N(value.to_string());
                update
                    .update_expression("SET refunded = :sum")
                    .condition_expression("refunded = :seen")
                    .expression_attribute_values(":sum", number(charge.refunded + request.amount.amount))
                    .expression_attribute_values(":seen", number(charge.refunded))
            })?);
        }
        match transaction.run().await {
            Ok(()) | Err(TransactionError::Cancelled(_)) => Ok(()),
            Err(TransactionError::Db(error)) => Err(error),
        }
    }

    /// Writes the entry unless the key has one: however many ask at once, one of them writes.
    async fn enter(&self, request: &ChargeRequest, entry: &Entry) -> Result<(), DbError> {
        let item = to_item(&entry_key(request.idempotency_key, CHARGE), entry)?;
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

    fn refund<'a>(&'a self, request: &'a RefundRequest) -> Answer<'a, RefundOutcome> {
        Box::pin(self.book_refund(request))
    }
}

impl Entry {
    fn left_for(&self, amount: Money) -> bool {
        self.declined.is_none()
            && self.amount.currency == amount.currency
            && self.amount.amount.saturating_sub(self.refunded) >= amount.amount
    }
}

fn entry_key(idempotency_key: Uuid, kind: &str) -> Key {
    Key::new(format!("TESTPROVIDER#{idempotency_key}"), kind)
}

fn unknown(error: DbError) -> ProviderError {
    ProviderError::Unknown(error.into())
}

#[cfg(test)]
mod tests;
