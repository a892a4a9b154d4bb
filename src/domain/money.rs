//! Money: minor units and an ISO 4217 currency.

use serde::{Deserialize, Serialize};

use super::credits::Amount;

/// Currencies whose minor unit is the whole unit, as Stripe lists them
/// (<https://docs.stripe.com/currencies#zero-decimal>): 500 JPY is `{"amount": 500, "currency": "JPY"}`.
const ZERO_DECIMAL: [&str; 16] = [
    "BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF",
];

/// An ISO 4217 code: three upper-case letters. Lower case, as Stripe writes it, is read too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String, pattern = "^[A-Z]{3}$", example = "USD")]
pub struct Currency([u8; 3]);

impl Currency {
    pub fn as_str(&self) -> &str {
        // Made from ASCII letters alone.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Digits behind the point: 2, or 0 for a currency without minor units.
    pub fn decimals(&self) -> u32 {
        if ZERO_DECIMAL.contains(&self.as_str()) { 0 } else { 2 }
    }
}

impl TryFrom<String> for Currency {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match <[u8; 3]>::try_from(text.as_bytes()) {
            Ok(letters) if letters.iter().all(u8::is_ascii_alphabetic) => {
                Ok(Self(letters.map(|l| l.to_ascii_uppercase())))
            }
            _ => Err(format!("`{text}` is no ISO 4217 currency: three letters, such as USD")),
        }
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.as_str().to_owned()
    }
}

/// A price: `amount` in the currency's minor units (cents; yen).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Money {
    /// In the currency's minor units (cents; yen).
    pub amount: Amount,
    /// An ISO 4217 code, such as `USD`.
    pub currency: Currency,
}

impl std::fmt::Display for Money {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (amount, code) = (self.amount.get(), self.currency.as_str());
        match self.currency.decimals() {
            0 => write!(f, "{amount} {code}"),
            _ => write!(f, "{}.{:02} {code}", amount / 100, amount % 100),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(amount: i64, currency: &str) -> Money {
        Money {
            amount: Amount::new(amount).expect("positive"),
            currency: Currency::try_from(currency.to_owned()).expect("a currency"),
        }
    }

    #[test]
    fn yen_have_no_cents() {
        assert_eq!(money(1_205, "usd").to_string(), "12.05 USD");
        assert_eq!(money(1_205, "JPY").to_string(), "1205 JPY");
    }

    #[test]
    fn a_currency_is_three_letters() {
        for bad in ["", "US", "USDT", "U$D", "éé"] {
            assert!(Currency::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}
