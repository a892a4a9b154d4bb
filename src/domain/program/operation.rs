//! Operations and what they cost.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::{
    credits::{Amount, CREDITS_MAX},
    grant::Class,
    text::Name,
};

#[cfg(test)]
mod tests;

/// The name by which rules ask for, and count, how many are wanted.
pub const QUANTITY: &str = "quantity";

/// Something that credits are spent on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Operation {
    /// What people read. Default: the operation's name in the program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// The price: the first rule whose `when` fits. None fits: the spend is refused as `no_price`. 1 to 100 rules.
    pub prices: Vec<PriceRule>,
    /// The classes whose grants may pay for it. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paid_by: Option<Vec<Class>>,
}

/// A price for the attributes it names: `fixed`, and what `per` adds, within `minimum` and `maximum`. At least 1 credit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PriceRule {
    /// Attributes that must have these values, or the `quantity`: `{"quality": "premium"}`. Default: none, it always fits.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub when: BTreeMap<String, AttributeValue>,
    /// Credits, whatever the rest, 0 to 2^53 - 1. Default: 0.
    #[serde(default)]
    pub fixed: i64,
    /// Credits by `quantity` or by an attribute that is a number: `{"seconds": {"credits": 5, "each": 1}}`. Default: none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub per: BTreeMap<String, Rate>,
    /// The least it costs, in credits. Default: 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<Amount>,
    /// The most it costs, in credits. Default: no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum: Option<Amount>,
}

/// A text, a whole number or a truth value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(untagged, expecting = "give a text, a whole number, or true or false")]
pub enum AttributeValue {
    Flag(bool),
    Number(i64),
    Text(String),
}

/// So many credits for each so much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// So many credits.
    pub credits: Amount,
    /// For so much of the attribute, or so many of the quantity. Default: 1.
    #[serde(default = "one")]
    pub each: Amount,
    /// What becomes of parts. Default: up.
    #[serde(default)]
    pub rounding: Rounding,
}

fn one() -> Amount {
    Amount::ONE
}

/// What becomes of parts of a rate's `each`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Rounding {
    /// In proportion, then up to a whole credit.
    #[default]
    Up,
    /// In proportion, then down to a whole credit.
    Down,
    /// Every part that was begun counts whole.
    Begun,
}

/// What a caller wants of an operation.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Wanted {
    /// How many, 1 or more.
    pub quantity: i64,
    pub attributes: BTreeMap<String, AttributeValue>,
}

/// Why an operation has no price for what is wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(untagged)]
pub enum PriceError {
    #[error("No price of the operation fits these attributes.")]
    NoPrice {
        attributes: BTreeMap<String, AttributeValue>,
    },
    #[error("attributes.{attribute}: the price is reckoned by it: give a whole number of 0 or more.")]
    MissingAttribute { attribute: String },
    #[error("attributes.{attribute}: {value} is out of range: give a whole number of 0 or more.")]
    InvalidAttribute { attribute: String, value: i64 },
    #[error("It would cost more than {limit}, the most an amount can be.")]
    TooExpensive { limit: i64 },
}

impl PriceError {
    /// The `code` of the refusal, part of the API's contract.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoPrice { .. } => "no_price",
            Self::MissingAttribute { .. } => "missing_attribute",
            Self::InvalidAttribute { .. } => "invalid_attribute",
            Self::TooExpensive { .. } => "too_expensive",
        }
    }
}

impl Operation {
    /// What `wanted` costs, 1 to 2^53 - 1: by the first rule that fits.
    pub fn price(&self, wanted: &Wanted) -> Result<i64, PriceError> {
        let rule = self.prices.iter().find(|rule| rule.fits(wanted));
        let rule = rule.ok_or_else(|| PriceError::NoPrice {
            attributes: wanted.attributes.clone(),
        })?;
        let too_expensive = PriceError::TooExpensive { limit: CREDITS_MAX };
        let cost = rule.cost(|attribute| wanted.count(attribute))?;
        i64::try_from(cost)
            .ok()
            .filter(|cost| *cost <= CREDITS_MAX)
            .ok_or(too_expensive)
    }

    /// The least it can cost over all its rules, 1 or more: one of it, with nothing of what the price is reckoned by.
    pub fn cheapest(&self) -> i64 {
        let costs = self
            .prices
            .iter()
            .filter_map(|rule| rule.cost(|name| Ok(rule.least(name))).ok());
        costs.min().map_or(1, |cost| i64::try_from(cost).unwrap_or(i64::MAX))
    }
}

impl PriceRule {
    fn fits(&self, wanted: &Wanted) -> bool {
        self.when.iter().all(|(name, value)| match name.as_str() {
            QUANTITY => *value == AttributeValue::Number(wanted.quantity),
            name => wanted.attributes.get(name) == Some(value),
        })
    }

    /// `count` says how much there is of what a rate counts.
    fn cost(&self, count: impl Fn(&str) -> Result<i64, PriceError>) -> Result<i128, PriceError> {
        let mut cost = i128::from(self.fixed);
        for (name, rate) in &self.per {
            cost = cost.saturating_add(rate.cost(count(name)?));
        }
        let least = self.minimum.map_or(1, Amount::get);
        let most = self.maximum.map_or(i128::MAX, |most| most.get().into());
        Ok(cost.max(least.into()).min(most))
    }

    /// The least there can be of `name` while the rule fits.
    fn least(&self, name: &str) -> i64 {
        match self.when.get(name) {
            Some(AttributeValue::Number(number)) => *number,
            _ => i64::from(name == QUANTITY),
        }
    }
}

impl Rate {
    /// For `count`, 0 or more. Both are i64, so that their product fits in an i128.
    fn cost(self, count: i64) -> i128 {
        let (count, credits) = (i128::from(count), i128::from(self.credits.get()));
        let each = i128::from(self.each.get());
        match self.rounding {
            Rounding::Up => (count * credits + each - 1) / each,
            Rounding::Down => count * credits / each,
            Rounding::Begun => (count + each - 1) / each * credits,
        }
    }
}

impl Wanted {
    /// One, without attributes.
    pub fn one() -> Self {
        Self {
            quantity: 1,
            attributes: BTreeMap::new(),
        }
    }

    fn count(&self, name: &str) -> Result<i64, PriceError> {
        let attribute = || name.to_owned();
        let value = match (name, self.attributes.get(name)) {
            (QUANTITY, _) => self.quantity,
            (_, Some(AttributeValue::Number(number))) => *number,
            _ => return Err(PriceError::MissingAttribute { attribute: attribute() }),
        };
        if value < 0 {
            return Err(PriceError::InvalidAttribute {
                attribute: attribute(),
                value,
            });
        }
        Ok(value)
    }
}
