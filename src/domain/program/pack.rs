//! Packs and custom amounts: credits for sale.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Requirement;
use crate::domain::{
    calendar::{Zone, days_after, months_after},
    credits::{Amount, CREDITS_MAX},
    grant::Class,
    money::Money,
    text::Name,
};

/// Credits at a set price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Pack {
    /// What the buyer reads at the checkout. Default: the number of credits and the unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// What it costs.
    pub price: Money,
    /// What it buys.
    pub credits: Amount,
    /// The class of the grant it becomes. Default: balance.
    #[serde(default = "balance")]
    pub class: Class,
    /// When what was bought expires. Default: never.
    #[serde(default)]
    pub expiry: Expiry,
    /// Whether support may give the money back. Default: true.
    #[serde(default = "yes")]
    pub refundable: bool,
    /// Who may buy it. Default: whom `gates.purchase` lets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Requirement>,
}

/// Credits for an amount of money of the buyer's choice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CustomAmount {
    /// Credits for every `per` of money; parts of them in proportion, rounded down.
    pub credits: Amount,
    /// In the currency's minor units (cents; yen). Default: 100.
    #[serde(default = "hundred")]
    pub per: Amount,
    /// The least that can be bought, in minor units.
    pub minimum: Amount,
    /// The most that can be bought, in minor units.
    pub maximum: Amount,
    /// The class of the grant it becomes. Default: balance.
    #[serde(default = "balance")]
    pub class: Class,
    /// When what was bought expires. Default: never.
    #[serde(default)]
    pub expiry: Expiry,
    /// Whether support may give the money back. Default: true.
    #[serde(default = "yes")]
    pub refundable: bool,
    /// Who may buy it. Default: whom `gates.purchase` lets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Requirement>,
}

fn balance() -> Class {
    Class::Balance
}

fn yes() -> bool {
    true
}

fn hundred() -> Amount {
    Amount::HUNDRED
}

impl CustomAmount {
    /// What `money` (in minor units) buys; none: less than one credit, or more than an amount can be.
    pub fn credits_for(&self, money: i64) -> Option<Amount> {
        let credits = i128::from(money) * i128::from(self.credits.get()) / i128::from(self.per.get());
        i64::try_from(credits.min(i128::from(CREDITS_MAX) + 1))
            .ok()
            .and_then(Amount::new)
    }
}

/// When credits expire that were bought, or came as a bonus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Expiry {
    #[default]
    Never,
    /// When the account's billing cycle ends in which they came in.
    CycleEnd,
    /// So many days after they came in, 1 to 36,500.
    Days(u32),
    /// So many months after they came in, clamped to the month's end, 1 to 1,200.
    Months(u32),
}

impl Expiry {
    /// The end of credits that come in at `from`, by the zone's wall clock; `cycle_end` is the end of the account's billing
    /// cycle. None: never.
    pub fn end(self, from: DateTime<Utc>, zone: Zone, cycle_end: Option<DateTime<Utc>>) -> Option<DateTime<Utc>> {
        match self {
            Self::Never => None,
            Self::CycleEnd => cycle_end,
            Self::Days(days) => days_after(from, zone, days),
            Self::Months(months) => months_after(from, zone, months),
        }
    }
}
