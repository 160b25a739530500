//! Amounts of money as people write them.

use shared::money::{Currency, Money};

/// An amount with these marks between its digits: `1,999.95 EUR`, `500 JPY`.
pub fn amount(money: Money, decimal: &str, group: &str) -> String {
    let decimals = decimals(money.currency);
    let digits = format!("{:0width$}", money.amount, width = decimals + 1);
    let (whole, fraction) = digits.split_at(digits.len() - decimals);
    let mut written = String::new();
    for (at, digit) in whole.char_indices() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            written += group;
        }
        written.push(digit);
    }
    if decimals > 0 {
        written += decimal;
        written += fraction;
    }
    format!("{written} {}", money.currency)
}

/// How many decimals a currency's minor unit stands for (ISO 4217, table A.1).
pub fn decimals(currency: Currency) -> usize {
    match currency.as_str() {
        "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX" | "UYI"
        | "VND" | "VUV" | "XAF" | "XOF" | "XPF" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        "CLF" | "UYW" => 4,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_the_decimals_of_their_currency() {
        for (value, currency, expected) in [
            (1999, "EUR", "19.99 EUR"),
            (5, "USD", "0.05 USD"),
            (500, "JPY", "500 JPY"),
            (1, "KWD", "0.001 KWD"),
            (123_456, "EUR", "1,234.56 EUR"),
            (100_000, "JPY", "100,000 JPY"),
            (u64::MAX, "EUR", "184,467,440,737,095,516.15 EUR"),
        ] {
            assert_eq!(amount(Money::new(value, currency.parse().unwrap()), ".", ","), expected);
        }
    }

    #[test]
    fn a_locale_brings_its_own_marks() {
        let money = Money::new(123_456_789, "EUR".parse().unwrap());
        assert_eq!(amount(money, ",", "."), "1.234.567,89 EUR");
    }
}
