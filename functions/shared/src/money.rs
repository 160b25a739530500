//! Amounts of money.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An amount in minor units (cents) of one currency; never negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
pub struct Money {
    /// Minor units: 1999 is 19.99 in a currency with two decimals.
    pub amount: u64,
    /// The currency.
    pub currency: Currency,
}

/// An ISO 4217 code. Its form is checked, three capital letters, and not whether a currency has it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema), schemars(extend("pattern" = "^[A-Z]{3}$", "example" = "EUR")))]
pub struct Currency([u8; 3]);

impl Money {
    /// `amount` minor units of `currency`.
    pub fn new(amount: u64, currency: Currency) -> Self {
        Self { amount, currency }
    }

    /// This many times the amount; none on overflow.
    pub fn times(self, count: u32) -> Option<Self> {
        let amount = self.amount.checked_mul(u64::from(count))?;
        Some(Self { amount, ..self })
    }

    /// The sum; none on overflow and where the currencies differ.
    pub fn plus(self, other: Self) -> Option<Self> {
        let amount = self.amount.checked_add(other.amount).filter(|_| self.currency == other.currency)?;
        Some(Self { amount, ..self })
    }
}

impl Currency {
    /// The three letters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl TryFrom<String> for Currency {
    type Error = &'static str;

    fn try_from(code: String) -> Result<Self, Self::Error> {
        code.parse()
    }
}

impl std::str::FromStr for Currency {
    type Err = &'static str;

    fn from_str(code: &str) -> Result<Self, Self::Err> {
        match <[u8; 3]>::try_from(code.as_bytes()) {
            Ok(letters) if letters.iter().all(u8::is_ascii_uppercase) => Ok(Self(letters)),
            _ => Err("expected an ISO 4217 code, such as EUR"),
        }
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.as_str().to_owned()
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_refuse_overflow_and_other_currencies() {
        let eur = "EUR".parse().unwrap();
        let one = Money::new(u64::MAX, eur);
        assert_eq!(one.plus(Money::new(1, eur)), None);
        assert_eq!(one.times(2), None);
        assert_eq!(Money::new(1, eur).plus(Money::new(1, "USD".parse().unwrap())), None);
        assert_eq!(Money::new(250, eur).times(3), Some(Money::new(750, eur)));
    }

    #[test]
    fn currencies_are_three_capital_letters() {
        for code in ["eur", "EURO", "E1R", "", "ÄÖ"] {
            code.parse::<Currency>().unwrap_err();
        }
    }
}
