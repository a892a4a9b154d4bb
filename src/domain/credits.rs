//! Amounts of credits, in the unit's smallest step.

use serde::{Deserialize, Deserializer, Serialize};

/// The largest amount in any field: 2^53 - 1, the largest integer that every JSON client reads exactly.
pub const CREDITS_MAX: i64 = (1 << 53) - 1;

/// A positive amount of credits, 1 to 2^53 - 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, utoipa::ToSchema)]
#[schema(value_type = i64, minimum = 1, maximum = 9_007_199_254_740_991_i64)]
pub struct Amount(i64);

impl Amount {
    /// The smallest amount.
    pub const ONE: Self = Self(1);
    pub const HUNDRED: Self = Self(100);

    pub fn new(value: i64) -> Option<Self> {
        (1..=CREDITS_MAX).contains(&value).then_some(Self(value))
    }

    pub fn get(self) -> i64 {
        self.0
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Amount;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "a whole number from 1 to {CREDITS_MAX}")
            }

            fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Amount, E> {
                Amount::new(value).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Signed(value), &self))
            }

            fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Amount, E> {
                i64::try_from(value)
                    .ok()
                    .and_then(Amount::new)
                    .ok_or_else(|| E::invalid_value(serde::de::Unexpected::Unsigned(value), &self))
            }
        }
        deserializer.deserialize_i64(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bounds_are_one_and_two_to_the_53_less_one() {
        for (json, expected) in [
            ("1", Some(1)),
            ("9007199254740991", Some(CREDITS_MAX)),
            ("0", None),
            ("-1", None),
            ("9007199254740992", None),
            ("18446744073709551615", None),
            ("1.0", None),
            ("1e3", None),
            ("\"5\"", None),
            ("true", None),
        ] {
            assert_eq!(
                serde_json::from_str::<Amount>(json).ok().map(Amount::get),
                expected,
                "{json}"
            );
        }
    }
}
