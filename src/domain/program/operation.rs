//! Operations and what they cost.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::domain::{credits::Amount, grant::Class, text::Name};

/// Something that credits are spent on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Operation {
    /// What people read. Default: the operation's name in the program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// The price: the first rule whose `when` fits. None fits: the spend is refused as `no_price`.
    pub prices: Vec<PriceRule>,
    /// The classes whose grants may pay for it. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paid_by: Option<Vec<Class>>,
}

/// A price for the attributes it names: `fixed`, and what `per` adds, within `minimum` and `maximum`. At least 1 credit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PriceRule {
    /// Attributes that must have these values: `{"quality": "premium"}`. Default: it always fits.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub when: BTreeMap<String, AttributeValue>,
    /// Credits, whatever the rest. Default: 0.
    #[serde(default)]
    pub fixed: i64,
    /// Credits by `quantity` or by an attribute that is a number: `{"seconds": {"credits": 5, "each": 1}}`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub per: BTreeMap<String, Rate>,
    /// The least it costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum: Option<Amount>,
    /// The most it costs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum: Option<Amount>,
}

/// A text, a whole number or a truth value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum AttributeValue {
    Flag(bool),
    Number(i64),
    Text(String),
}

/// So many credits for each so much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    pub credits: Amount,
    /// For so much of the attribute. Default: 1.
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
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// How many, 1 or more.
    pub quantity: i64,
    pub attributes: BTreeMap<String, AttributeValue>,
}
